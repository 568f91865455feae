/**
 * The messages of a link that are sent, in the order in which they were taken: first those that were written and are
 * still in doubt, then those of the one write that is under way, then those that wait. A message moves from one part to
 * the next without being touched: only the bounds between the parts move.
 */
import { RespliceError } from "../link/errors.ts";
import { type AccountOptions, Accounts } from "./accounts.ts";
import { Entries } from "./entries.ts";
import { Entry, ENTRY_BYTES, type Gate, type PlainTicket } from "./entry.ts";
import { SmallMessages } from "./small.ts";
import { type Block, Run, Storage } from "./storage.ts";

export class Outbox extends Accounts {
  readonly storage: Storage;
  readonly #entries: Entries = new Entries();
  readonly #small: SmallMessages;
  /** The object in which a message is stored that will most often be a small one. */
  #spare: Entry = new Entry(false);
  /** The number of the next message that is taken. */
  next = 0;
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
  /** Below: settled, unless it is to be answered. */
  #settledTo = 0;
  /** The number behind the last message that is for one connection alone. */
  #boundTo = 0;

  constructor(options: AccountOptions, storage: Storage) {
    super(options);
    this.storage = storage;
    this.#small = new SmallMessages(storage);
  }

  // ── messages that wait ──────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Takes a message with an object of its own. `needsId`: a call waits for the answer. Throws what `Storage.store()`
   * throws; then nothing was taken.
   */
  take(payload: Uint8Array | string, payloadBytes: number, given: boolean, needsId: boolean): Entry {
    this.#checkIdle();
    const entry = this.#entries.prepare(this.next, needsId);
    this.#store(entry, payload, payloadBytes, given);
    this.#keep(entry);
    this.#took(payloadBytes);
    return entry;
  }

  /** The same for a message that is not to be answered. It has an object only if it is large, or by `entry()`. */
  takeLight(payload: Uint8Array | string, payloadBytes: number, given: boolean): void {
    this.#checkIdle();
    const spare = this.#spare;
    this.#store(spare, payload, payloadBytes, given);
    if (SmallMessages.fits(spare)) {
      this.#small.add(this.next, spare, this.takenBytes);
    } else {
      this.#keep(spare);
      this.#spare = new Entry(false);
    }
    this.#took(payloadBytes);
  }

  #checkIdle(): void {
    if (this.#isTaking) throw new RespliceError("INVALID_STATE", "encode() and idOf() cannot send on their own link");
  }

  #store(into: Entry, payload: Uint8Array | string, payloadBytes: number, given: boolean): void {
    this.#isTaking = true;
    try {
      this.storage.store(into, payload, payloadBytes, given);
    } finally {
      this.#isTaking = false;
    }
  }

  #keep(entry: Entry): void {
    this.storage.keep(entry);
    this.#entries.put(this.next, entry);
  }

  #took(payloadBytes: number): void {
    this.next++;
    this.takenBytes += payloadBytes;
    this.queuedMessages++;
    this.queuedBytes += payloadBytes;
    this.reserved.more(payloadBytes);
  }

  /** The message that was taken last is for the connection in use alone. */
  bind(): void {
    this.entry(this.next - 1).isBound = true;
    this.#boundTo = this.next;
  }

  /** A message that is for one connection alone may wait. */
  get hasBound(): boolean {
    return this.#boundTo > this.sentTo;
  }

  /** The object of a message. A small one gets it now. */
  entry(number: number): Entry {
    return this.#entries.at(number) ?? this.#grown(number);
  }

  #grown(number: number): Entry {
    const entry = new Entry(false);
    this.#small.describe(number, entry);
    entry.wasWritten = number < this.sentTo;
    entry.isSettled = number < this.#settledTo;
    this.#entries.put(number, entry);
    return entry;
  }

  // ── writing ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Adds the bytes of about `roomBytes` of messages, at least of one, to `out`. The caller has seen that no write is
   * under way. A large message may be written in parts.
   */
  write(out: Buffer[], roomBytes: number, gate: Gate | undefined): void {
    const run = new Run(out, roomBytes);
    while (this.sentTo < this.next && run.left > 0) {
      const entry = this.#entries.at(this.sentTo);
      if (entry === undefined) {
        const from = this.sentTo;
        this.#writeSmall(run);
        if (this.sentTo === from) break;
        continue;
      }
      // A message that is answered before all of it was written is written to its end.
      if (entry.isSettled && this.partWritten === 0) {
        this.#passOver(entry);
        continue;
      }
      if (this.partWritten === 0) {
        if (entry.pieces === undefined && entry.wireBytes > run.left && this.isWriting) break;
        if (gate !== undefined && !gate.mayWrite(entry)) break;
        this.queuedMessages--;
        this.queuedBytes -= entry.payloadBytes;
        entry.wasWritten = true;
        gate?.onWritten(entry);
        this.isWriting = true;
      }
      if (entry.pieces === undefined) {
        run.add(entry.wire as Block, entry.wireFrom, entry.wireFrom + entry.wireBytes);
        this.sentTo++;
        continue;
      }
      run.end();
      const added = entry.addTo(out, this.partWritten, run.left);
      run.left -= added;
      this.isWriting = true;
      this.partWritten += added;
      if (this.partWritten < entry.wireBytes) break;
      this.partWritten = 0;
      this.sentTo++;
      gate?.onWhole(entry);
    }
    run.end();
    // Messages that are no bytes on the wire: no write will say that it is done.
    if (run.left === roomBytes && this.isWriting) this.written();
  }

  /**
   * The message was answered on an earlier connection, between others that are sent again, or was for an earlier
   * connection alone.
   */
  #passOver(entry: Entry): void {
    entry.payloadBytes = 0;
    this.sentTo++;
  }

  /** No write is needed to pass over these. */
  #passOverSettled(): void {
    if (this.partWritten > 0) return;
    let entry = this.#entries.at(this.sentTo);
    while (entry?.isSettled === true) {
      this.#passOver(entry);
      entry = this.#entries.at(this.sentTo);
    }
  }

  /** Writes the small messages up to the next one that has an object, as far as there is room. */
  #writeSmall(run: Run): void {
    const from = this.sentTo;
    const to = this.#small.addTo(run, from, this.#entries.firstFrom(from, this.next), !this.isWriting);
    if (to > from) this.isWriting = true;
    this.queuedMessages -= to - from;
    this.queuedBytes -= this.#small.payloadOf(from, to);
    this.sentTo = to;
  }

  /** The kernel has everything that was given to it. */
  written(): void {
    this.isWriting = false;
    this.#passOverSettled();
    let bytes = 0;
    let doubt = 0;
    for (let n = this.kernelTo; n < this.sentTo;) {
      const to = this.#entries.firstFrom(n, this.sentTo);
      if (to > n) {
        bytes += this.#small.payloadOf(n, to);
        doubt += this.#doubtOf(Math.max(n, Math.min(to, this.#settledTo)), to);
        n = to;
        continue;
      }
      const entry = this.entry(n++);
      bytes += entry.payloadBytes;
      if (entry.isSettled) this.storage.release(entry);
      else if (!entry.isAnswered) doubt += entry.payloadBytes + ENTRY_BYTES;
    }
    this.kernelTo = this.sentTo;
    this.doubtBytes += doubt;
    this.reserved.less(bytes);
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
    this.#release(entry);
    this.#advance();
  }

  /** Settles what is in doubt below `to` and is not answered. `onDelivered` is called for those with a ticket. */
  proven(to: number, onDelivered: (ticket: PlainTicket) => void): void {
    let n = Math.max(this.#settledTo, this.head);
    while (n < to) {
      const end = this.#entries.firstFrom(n, to);
      if (end > n) {
        this.deliveredMessages += end - n;
        this.deliveredBytes += this.#small.payloadOf(n, end);
        this.doubtBytes -= this.#doubtOf(n, Math.max(n, Math.min(end, this.kernelTo)));
        n = end;
        continue;
      }
      const entry = this.entry(n++);
      if (entry.isSettled || entry.isAnswered) continue;
      if (entry.ticket !== undefined) onDelivered(entry.ticket);
      this.deliveredMessages++;
      this.deliveredBytes += entry.payloadBytes;
      this.#release(entry);
    }
    this.#settledTo = n;
    this.#advance();
  }

  /**
   * Lets go of the oldest messages in doubt until at most `mostBytes` of them are kept. One that is old keeps the
   * places of all that were settled after it, which count as well.
   */
  letGo(mostBytes: number): void {
    let n = Math.max(this.#settledTo, this.head);
    const placesFrom = this.kernelTo - Math.floor(mostBytes / ENTRY_BYTES);
    while (n < this.kernelTo && (this.doubtBytes > mostBytes || n < placesFrom)) {
      const to = this.#entries.firstFrom(n, this.kernelTo);
      if (to > n) {
        const from = n;
        n = this.#small.behind(from, to, this.doubtBytes - mostBytes, ENTRY_BYTES);
        n = Math.min(to, Math.max(n, placesFrom));
        this.untrackedMessages += n - from;
        this.untrackedBytes += this.#small.payloadOf(from, n);
        this.doubtBytes -= this.#doubtOf(from, n);
        continue;
      }
      const entry = this.entry(n++);
      if (entry.isSettled || entry.isAnswered) continue;
      this.untrackedMessages++;
      this.untrackedBytes += entry.payloadBytes;
      this.#release(entry);
    }
    this.#settledTo = n;
    this.#advance();
  }

  /** What messages without objects, all those from `from` to before `to`, count for while they are in doubt. */
  #doubtOf(from: number, to: number): number {
    return this.#small.payloadOf(from, to) + (to - from) * ENTRY_BYTES;
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
    if (this.#entries.count === 0) this.head = Math.max(this.head, Math.min(this.kernelTo, this.#settledTo));
    else while (this.head < this.kernelTo && this.#isSettled(this.head)) this.head++;
    this.#entries.forget(this.head);
    this.#small.forget(this.head);
  }

  #isSettled(number: number): boolean {
    return this.#entries.at(number)?.isSettled ?? number < this.#settledTo;
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
    // All of these have objects now.
    this.#small.forget(underWay);
    this.reserved.less(unwritten);
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
    this.#small.forget(to);
    this.head = to;
  }

  /** Those between them that are settled stay where they are, and are passed over. */
  #again(inDoubt: readonly Entry[]): void {
    this.queuedMessages += inDoubt.length;
    for (const entry of inDoubt) {
      this.queuedBytes += entry.payloadBytes;
      this.reserved.more(entry.payloadBytes);
      entry.parts = undefined;
      entry.partsBytes = 0;
    }
  }

  /**
   * The connection is gone, and nothing is under way. Takes out what was for it alone, and answers it, oldest first.
   */
  takeBound(): Entry[] {
    const bound = this.#entries.takeBound(this.sentTo, this.#boundTo);
    for (const { payloadBytes } of bound) {
      this.queuedMessages--;
      this.queuedBytes -= payloadBytes;
      this.reserved.less(payloadBytes);
    }
    this.#passOverSettled();
    this.#forget((this.kernelTo = this.sentTo));
    this.#boundTo = 0;
    return bound;
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
    this.reserved.giveBack();
    return left;
  }

  /** The connection was closed in order: what is in doubt is only counted, as there was nothing to be wrong with it. */
  closedInOrder(): void {
    this.letGo(-1);
  }
}
