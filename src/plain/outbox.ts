/**
 * The messages of a link that are sent, in the order in which they were taken: first those that were written and are
 * still in doubt, then those of the one write that is under way, then those that wait. A message moves from one part to
 * the next without being touched: only the bounds between the parts move.
 */
import { Account, type Budget } from "../core/log/window.ts";
import { RespliceError } from "../link/errors.ts";
import { Entries } from "./entries.ts";
import { ENTRY_BYTES, type Entry, type PlainTicket } from "./entry.ts";
import { Storage } from "./storage.ts";

/** Memory is reserved in steps, so that not each message asks the shared budget. */
const RESERVED_BYTES = 65_536;

export interface OutboxOptions {
  queue: { maxMessages: number; maxBytes: number };
  maxMessageBytes: number;
  logBudget: Budget;
}

/** Decides about single messages while they are written. */
export interface Gate {
  /** The message may be written now. If not, it and all behind it wait. */
  mayWrite(entry: Entry): boolean;
  onWritten(entry: Entry): void;
  /** A message that is written in several parts is written whole. */
  onWhole(entry: Entry): void;
}

export class Outbox {
  readonly account: Account;
  readonly storage: Storage;
  readonly #options: OutboxOptions;
  readonly #entries: Entries = new Entries();
  /** The framing is at work on a message. */
  #isTaking = false;
  /** Below: settled. */
  head = 0;
  /** Below: the kernel has all of it. */
  kernelTo = 0;
  /** Below: given to the kernel, all of it. */
  sentTo = 0;
  /** Bytes of message `sentTo` that were given to the kernel. */
  partWritten = 0;
  /** A write is under way: the kernel may have any part of it. */
  isWriting = false;
  takenBytes = 0;
  /** Messages, and bytes of payload, that were taken and never given to a kernel, or that is to be given again. */
  queuedMessages = 0;
  queuedBytes = 0;
  /** Payload that no kernel has, or not all of it. */
  unwrittenBytes = 0;
  /** What is kept of messages in doubt, those that wait for an answer apart: payload, and `ENTRY_BYTES` for each. */
  doubtBytes = 0;
  /** Messages and bytes that are known to have been delivered. */
  deliveredMessages = 0;
  deliveredBytes = 0;
  /** Messages and bytes in doubt that were let go, since they were last reported. */
  untrackedMessages = 0;
  untrackedBytes = 0;
  /** The next message that might be let go. */
  #letGoFrom = 0;

  constructor(options: OutboxOptions, storage: Storage) {
    this.#options = options;
    this.storage = storage;
    this.account = new Account(options.maxMessageBytes, options.logBudget);
  }

  // ── messages that wait ──────────────────────────────────────────────────────────────────────────────────────────

  /** The number of the next message that is taken. */
  get next(): number {
    return this.#entries.next;
  }

  get roomMessages(): number {
    return this.#options.queue.maxMessages - this.queuedMessages;
  }

  /** The bytes for which there is certainly room: in the queue, and in memory that is reserved already. */
  get roomBytes(): number {
    return Math.max(0, Math.min(this.#queueBytes, this.account.heldBytes - this.unwrittenBytes));
  }

  get #queueBytes(): number {
    return this.#options.queue.maxBytes - this.queuedBytes;
  }

  hasRoom(payloadBytes: number): boolean {
    if (this.roomMessages <= 0 || payloadBytes > this.#queueBytes) return false;
    const bytes = this.unwrittenBytes + payloadBytes;
    return bytes <= this.account.heldBytes || bytes <= this.account.mostBytes;
  }

  /** `needsId`: a call waits for the answer. Throws what `Storage.store()` throws; then nothing was taken. */
  take(payload: Uint8Array | string, payloadBytes: number, given: boolean, needsId: boolean): Entry {
    if (this.#isTaking) throw new RespliceError("INVALID_STATE", "encode() and idOf() cannot send on their own link");
    const entry = this.#entries.prepare(needsId);
    this.#isTaking = true;
    try {
      this.storage.store(entry, payload, payloadBytes, given);
    } finally {
      this.#isTaking = false;
    }
    this.#entries.add();
    this.takenBytes += payloadBytes;
    this.queuedMessages++;
    this.queuedBytes += payloadBytes;
    this.#holdMore(payloadBytes);
    return entry;
  }

  #holdMore(bytes: number): void {
    this.unwrittenBytes += bytes;
    const more = this.unwrittenBytes - this.account.heldBytes;
    if (more <= 0) return;
    const most = this.account.mostBytes - this.account.heldBytes;
    this.account.hold(Math.max(more, Math.min(most, RESERVED_BYTES)));
  }

  #holdLess(bytes: number): void {
    this.unwrittenBytes -= bytes;
    const unused = this.account.heldBytes - this.unwrittenBytes;
    if (this.unwrittenBytes === 0 || unused >= 2 * RESERVED_BYTES) {
      this.account.hold(-Math.max(0, unused - (this.unwrittenBytes === 0 ? 0 : RESERVED_BYTES)));
    }
  }

  entry(number: number): Entry {
    return this.#entries.at(number);
  }

  // ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Adds the bytes of about `roomBytes` of messages, at least of one, to `out`. The caller has seen that no write is
   * under way. A large message may be written in parts.
   */
  write(out: Buffer[], roomBytes: number, gate: Gate): void {
    let left = roomBytes;
    /** The block of small messages that lie one behind the other, and where these begin and end. */
    let run: Entry | undefined;
    let runEnd = 0;
    while (this.sentTo < this.next && left > 0) {
      const entry = this.entry(this.sentTo);
      // A message that is answered before all of it was written is written to its end.
      if (entry.isSettled && this.partWritten === 0) {
        // It was answered on an earlier connection, between others that are sent again.
        entry.payloadBytes = 0;
        this.sentTo++;
        continue;
      }
      if (this.partWritten === 0) {
        if (entry.pieces === undefined && entry.wireBytes > left && this.isWriting) break;
        if (!gate.mayWrite(entry)) break;
        this.queuedMessages--;
        this.queuedBytes -= entry.payloadBytes;
        entry.wasWritten = true;
        gate.onWritten(entry);
        this.isWriting = true;
      }
      if (entry.pieces === undefined) {
        left -= entry.wireBytes;
        if (run === undefined || run.wire !== entry.wire || runEnd !== entry.wireFrom) {
          if (run !== undefined) out.push(viewOf(run, runEnd));
          run = entry;
        }
        runEnd = entry.wireFrom + entry.wireBytes;
        this.sentTo++;
        continue;
      }
      if (run !== undefined) out.push(viewOf(run, runEnd));
      run = undefined;
      const added = entry.addTo(out, this.partWritten, left);
      left -= added;
      this.isWriting = true;
      this.partWritten += added;
      if (this.partWritten < entry.wireBytes) break;
      this.partWritten = 0;
      this.sentTo++;
      gate.onWhole(entry);
    }
    if (run !== undefined) out.push(viewOf(run, runEnd));
    // Messages that are no bytes on the wire, or were settled before: no write will say that it is done.
    if (left === roomBytes && (this.isWriting || this.kernelTo < this.sentTo)) this.written();
  }

  /** The kernel has everything that was given to it. */
  written(): void {
    this.isWriting = false;
    let bytes = 0;
    for (; this.kernelTo < this.sentTo; this.kernelTo++) {
      const entry = this.entry(this.kernelTo);
      bytes += entry.payloadBytes;
      if (entry.isSettled) this.storage.release(entry);
      else if (!entry.isAnswered) this.doubtBytes += entry.payloadBytes + ENTRY_BYTES;
    }
    this.#holdLess(bytes);
    this.#advance();
  }

  // ── what became of them ─────────────────────────────────────────────────────────────────────────────────────────

  /** Nothing was written that is still in doubt. */
  get isClear(): boolean {
    return this.head === this.sentTo && this.partWritten === 0;
  }

  delivered(entry: Entry): void {
    this.deliveredMessages++;
    this.deliveredBytes += entry.payloadBytes;
    this.#settle(entry);
  }

  /** Settles what is in doubt below `to` and is not answered. `onDelivered` is called for those with a ticket. */
  proven(to: number, onDelivered: (ticket: PlainTicket) => void): void {
    for (let n = this.head; n < to; n++) {
      const entry = this.entry(n);
      if (entry.isSettled || entry.isAnswered) continue;
      if (entry.ticket !== undefined) onDelivered(entry.ticket);
      this.deliveredMessages++;
      this.deliveredBytes += entry.payloadBytes;
      this.#release(entry);
    }
    this.#advance();
  }

  /**
   * Lets go of the oldest messages in doubt until at most `mostBytes` of them are kept. One that is old keeps the places
   * of all that were settled after it, which count as well.
   */
  letGo(mostBytes: number): void {
    this.#letGoFrom = Math.max(this.#letGoFrom, this.head);
    for (; this.#letGoFrom < this.kernelTo; this.#letGoFrom++) {
      if (this.doubtBytes <= mostBytes && (this.kernelTo - this.#letGoFrom) * ENTRY_BYTES <= mostBytes) break;
      const entry = this.entry(this.#letGoFrom);
      if (entry.isSettled || entry.isAnswered) continue;
      this.untrackedMessages++;
      this.untrackedBytes += entry.payloadBytes;
      this.#release(entry);
    }
    this.#advance();
  }

  #settle(entry: Entry): void {
    this.#release(entry);
    this.#advance();
  }

  #release(entry: Entry): void {
    entry.isSettled = true;
    entry.ticket = undefined;
    entry.parts = undefined;
    if (entry.number >= this.kernelTo) return;
    if (!entry.isAnswered) this.doubtBytes -= entry.payloadBytes + ENTRY_BYTES;
    this.storage.release(entry);
  }

  #advance(): void {
    while (this.head < this.kernelTo && this.entry(this.head).isSettled) this.head++;
    this.#entries.forget(this.head);
  }

  /**
   * The connection is gone. Answers the messages that were written on it and are in doubt, oldest first. With `again`
   * they wait to be sent again, before the others; else the outbox forgets them.
   */
  lost(again: boolean): Entry[] {
    const underWay = this.sentTo + (this.partWritten > 0 ? 1 : 0);
    const inDoubt: Entry[] = [];
    let unwritten = 0;
    for (let n = this.head; n < underWay; n++) {
      const entry = this.entry(n);
      if (n >= this.kernelTo) unwritten += entry.payloadBytes;
      if (!entry.isSettled) inDoubt.push(entry);
      if (n >= this.kernelTo) Storage.mayBeRead(entry);
      if (entry.isSettled) this.storage.release(entry);
    }
    this.#holdLess(unwritten);
    if (again) this.#again(inDoubt);
    this.#forget(again ? (inDoubt[0]?.number ?? underWay) : underWay);
    this.kernelTo = this.sentTo = this.head;
    this.partWritten = 0;
    this.isWriting = false;
    this.doubtBytes = 0;
    return inDoubt;
  }

  #forget(to: number): void {
    this.#entries.forget(to);
    this.head = to;
  }

  /** Those between them that are settled stay where they are, and are passed over. */
  #again(inDoubt: readonly Entry[]): void {
    this.queuedMessages += inDoubt.length;
    for (const entry of inDoubt) {
      this.queuedBytes += entry.payloadBytes;
      this.#holdMore(entry.payloadBytes);
      entry.parts = undefined;
      entry.partsBytes = 0;
    }
  }

  /** The link has ended. Answers the messages whose fate is not known, or that were never written, oldest first. */
  end(): Entry[] {
    this.lost(true);
    const left: Entry[] = [];
    for (let n = this.head; n < this.next; n++) {
      const entry = this.entry(n);
      if (!entry.isSettled) left.push(entry);
    }
    this.#forget(this.next);
    this.kernelTo = this.sentTo = this.next;
    this.queuedMessages = this.queuedBytes = 0;
    this.account.hold(-this.account.heldBytes);
    return left;
  }

  /** The connection was closed in order: what is in doubt is only counted, as there was nothing to be wrong with it. */
  closedInOrder(): void {
    this.letGo(-1);
  }
}

function viewOf({ wire, wireFrom }: Entry, end: number): Buffer {
  return (wire as NonNullable<typeof wire>).bytes.subarray(wireFrom, end);
}
