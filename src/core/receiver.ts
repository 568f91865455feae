/**
 * The receiving half of a session: committed ≤ accepted ≤ handed ≤ received ≤ grant, and the end of the peer's direction,
 * which takes one position. Holds what arrived and was not handed out, as the chunks in which it came.
 */
import { DATA_ACK_NOW, DATA_BLOCKED, DATA_END_FINAL, DATA_END_MOVED, type Mode } from "./frames.ts";
import { type Fault, fault } from "./faults.ts";
import { PREFIX_BYTES } from "./log.ts";
import type { EndKind } from "./sender.ts";
import type { Allowance } from "./window.ts";

/** A piece of fewer bytes is not worth a Buffer of its own while it waits. */
const SMALL_BYTES = 512;
const TAIL_BYTES = 8_192;
const NOTHING: Buffer = Buffer.alloc(0);

/** Without a store everything accepted is committed at once. */
export class Receiver {
  readonly mode: Mode;
  /** Everything below has arrived; one more than the last byte once the end has. */
  received = 0;
  /** Where the message that was handed out last ends. */
  handed = 0;
  /** Everything below is accepted by our application, for good. */
  accepted = 0;
  /** Up to here credit was stated on the connection in use. */
  grant = 0;
  endKind: EndKind = "none";
  /** The end's own position: the one after the last byte. */
  endPosition: number = Infinity;
  /** Nothing more is accepted, whatever arrives. */
  stopped = false;
  /** What keeps any further message from being handed out: it is the peer's mistake, and a resume would bring it again. */
  problem: Fault | undefined;
  readonly #maxMessageBytes: number;
  readonly #allowance: Allowance;
  /** What was received and not handed out: chunks from `#head`, the first from `#headAt`. */
  #chunks: Buffer[] = [];
  #head = 0;
  #headAt = 0;
  /** Where small pieces are put together: the block, what of it is used, and its part that is the last chunk. */
  #tail: Buffer | undefined;
  #tailUsed = 0;
  #tailFrom = 0;
  #tailChunk: Buffer | undefined;
  /** Up to here the application has accepted ahead of what was handed out: it is skipped as it arrives. */
  #skipTo = 0;
  #ackNowAt = -1;
  #stated = 0;
  #peerIsBlocked = false;

  constructor(mode: Mode, maxMessageBytes: number, allowance: Allowance) {
    this.mode = mode;
    this.#maxMessageBytes = maxMessageBytes;
    this.#allowance = allowance;
  }

  get committed(): number {
    return this.accepted;
  }

  /** Bytes that wait to be handed out. */
  get readableBytes(): number {
    return Math.min(this.received, this.endPosition) - this.handed;
  }

  /** Bytes that the consumer has not accepted, handed out or not. */
  get unacceptedBytes(): number {
    return Math.min(this.received, this.endPosition) - Math.min(this.accepted, this.endPosition);
  }

  /** The peer has ended and everything before was accepted, for good: only then is the direction through. */
  get endAccepted(): boolean {
    return this.committed > this.endPosition;
  }

  /** The peer has ended and everything before was handed out. */
  get endReached(): boolean {
    return this.handed === this.endPosition && this.received > this.endPosition;
  }

  /** The peer can send no more until our consumer accepts: its credit is used up, or all that it can keep is unaccepted. */
  get isFull(): boolean {
    return !this.stopped && (this.received >= this.grant || this.#peerIsBlocked) && this.unacceptedBytes > 0;
  }

  get windowBytes(): number {
    return this.#allowance.size;
  }

  /** What has arrived since `received` was stated last. */
  get unstatedBytes(): number {
    return this.received - this.#stated;
  }

  /** Credit that may be stated now, counted from `accepted`. */
  statedWindow(): number {
    this.#stated = this.received;
    this.grant = Math.max(this.grant, this.committed + this.#allowance.size);
    return this.#allowance.size;
  }

  /** Takes a piece of a DATA frame of the connection in use. */
  onData(offset: number, bytes: Buffer, flags: number): Fault | undefined {
    const end = flags & (DATA_END_FINAL | DATA_END_MOVED);
    const next = offset + bytes.length;
    if (offset > this.received) return fault("gap", `DATA at ${offset}, received ${this.received}`);
    if (next > this.endPosition) return fault("beyond-credit", "DATA beyond the end of its direction");
    if (end !== 0 && (this.endKind === "none" ? next < this.received : next !== this.endPosition)) {
      return fault("beyond-credit", "an end below what was received, or a second one");
    }
    if (next > this.grant && next > this.received) {
      return fault("beyond-credit", `DATA up to ${next}, credit up to ${this.grant}`);
    }
    if ((flags & DATA_ACK_NOW) !== 0) this.#ackNowAt = next;
    if (next > this.received) {
      const news = bytes.subarray(this.received - offset);
      this.received = next;
      this.#keep(news);
    }
    if (end !== 0 && this.endKind === "none") {
      this.endKind = end === DATA_END_FINAL ? "final" : "moved";
      this.endPosition = next;
      this.received = next + 1;
      this.#acceptEnd();
    }
    this.#peerIsBlocked = (flags & DATA_BLOCKED) !== 0;
    if (this.#peerIsBlocked) this.#widen();
    return undefined;
  }

  #keep(bytes: Buffer): void {
    if (this.stopped || bytes.length === 0) return;
    // Small pieces that wait are put together: a Buffer takes more than a hundred bytes besides what it shows.
    if (bytes.length < SMALL_BYTES && this.#chunks.length > this.#head) this.#gatherSmall(bytes);
    else this.#chunks.push(bytes);
    if (this.#skipTo > this.handed) this.#skip();
  }

  #gatherSmall(bytes: Buffer): void {
    const last = this.#chunks.length - 1;
    const from = this.#tailUsed;
    if (this.#tail === undefined || this.#tail.length - from < bytes.length) {
      this.#tail = Buffer.allocUnsafeSlow(TAIL_BYTES);
      this.#tailUsed = bytes.copy(this.#tail, 0);
      this.#tailFrom = 0;
      this.#chunks.push(this.#tail.subarray(0, this.#tailUsed));
      this.#tailChunk = this.#chunks.at(-1);
      return;
    }
    this.#tailUsed += bytes.copy(this.#tail, from);
    if (this.#chunks[last] === this.#tailChunk) {
      this.#chunks[last] = this.#tail.subarray(this.#tailFrom, this.#tailUsed);
    } else {
      this.#tailFrom = from;
      this.#chunks.push(this.#tail.subarray(from, this.#tailUsed));
    }
    this.#tailChunk = this.#chunks.at(-1);
  }

  /** The peer had more to send than its credit: a larger window helps if our consumer keeps up with this one. */
  #widen(): void {
    if (this.unacceptedBytes * 2 <= this.#allowance.size) this.#allowance.grow();
  }

  /** The next message, whole; undefined if none is here, or if `problem` says that none can come. */
  next(): Buffer | undefined {
    const chunk = this.#chunks[this.#head];
    if (chunk === undefined) return undefined;
    const at = this.#headAt;
    if (this.mode === "bytes") return this.#nextBytes(chunk, at);
    const from = at + PREFIX_BYTES;
    const end = from <= chunk.length ? from + chunk.readUInt32BE(at) : Infinity;
    if (end > chunk.length || end - from > this.#maxMessageBytes) return this.#nextAcross();
    this.handed += end - at;
    if (end < chunk.length) this.#headAt = end;
    else this.#drop(end - at);
    return chunk.subarray(from, end);
  }

  /** Hands out what is here, one message after the other, until `hand` answers false. The same as `next()`, in one go. */
  handOut(hand: (message: Buffer) => boolean): void {
    for (let message = this.next(); message !== undefined; message = this.next()) {
      if (!hand(message)) return;
      if (this.mode === "messages" && !this.#handOutOfChunk(hand)) return;
    }
  }

  /** Those that lie whole in the first chunk, but for its last: what comes after that is `next()`'s. */
  #handOutOfChunk(hand: (message: Buffer) => boolean): boolean {
    const chunk = this.#chunks[this.#head];
    if (chunk === undefined) return true;
    const most = this.#maxMessageBytes;
    for (let at = this.#headAt; at + PREFIX_BYTES <= chunk.length;) {
      const from = at + PREFIX_BYTES;
      const end = from + chunk.readUInt32BE(at);
      if (end >= chunk.length || end - from > most) break;
      this.handed += end - at;
      this.#headAt = end;
      at = end;
      if (!hand(chunk.subarray(from, end))) return false;
      // Whoever is handed a message may end the link, or accept what comes after it, which is then skipped.
      if (this.stopped) return false;
      if (this.#headAt !== at || this.#chunks[this.#head] !== chunk) return true;
    }
    return true;
  }

  #nextBytes(chunk: Buffer, at: number): Buffer {
    const bytes = at === 0 ? chunk : chunk.subarray(at);
    this.#drop(bytes.length);
    this.handed += bytes.length;
    return bytes;
  }

  /** One that lies in several chunks, or is not all here, or never will be. */
  #nextAcross(): Buffer | undefined {
    const length = this.#peekLength();
    if (length === undefined) return this.#incomplete();
    if (length > this.#maxMessageBytes) {
      this.problem = fault("oversized", `a message of ${length} bytes`);
      return undefined;
    }
    const encoded = PREFIX_BYTES + length;
    if (this.readableBytes < encoded) return this.#incomplete();
    this.handed += encoded;
    return this.#gather(encoded).subarray(PREFIX_BYTES);
  }

  /** The rest of the message is still to come, unless the peer has ended its direction in the middle of it. */
  #incomplete(): undefined {
    if (this.endKind !== "none") this.problem = fault("bad-frame", "the direction ends in the middle of a message");
    return undefined;
  }

  #peekLength(): number | undefined {
    if (this.readableBytes < PREFIX_BYTES) return undefined;
    let length = 0;
    let at = this.#headAt;
    let chunk = this.#head;
    for (let read = 0; read < PREFIX_BYTES; read++) {
      while (at >= (this.#chunks[chunk] as Buffer).length) {
        chunk++;
        at = 0;
      }
      length = length * 256 + ((this.#chunks[chunk] as Buffer)[at++] as number);
    }
    return length;
  }

  #gather(bytes: number): Buffer {
    const whole = Buffer.allocUnsafeSlow(bytes);
    for (let gathered = 0; gathered < bytes;) {
      const chunk = this.#chunks[this.#head] as Buffer;
      const copied = chunk.copy(whole, gathered, this.#headAt, Math.min(chunk.length, this.#headAt + bytes - gathered));
      gathered += copied;
      this.#drop(copied);
    }
    return whole;
  }

  /** Forgets `bytes` of the first chunk, at most all of it. */
  #drop(bytes: number): void {
    this.#headAt += bytes;
    if (this.#headAt < (this.#chunks[this.#head] as Buffer).length) return;
    this.#headAt = 0;
    this.#chunks[this.#head++] = NOTHING;
    if (this.#head === this.#chunks.length) {
      this.#clear();
    } else if (this.#head > 64 && this.#head * 2 > this.#chunks.length) {
      this.#chunks = this.#chunks.slice(this.#head);
      this.#head = 0;
    }
  }

  /** Accepts everything up to `position`; what of it was not handed out is skipped, now or as it arrives. */
  accept(position: number): "urgent" | "later" | "nothing" {
    if (this.stopped) return "nothing";
    const before = this.accepted;
    if (position > this.handed) {
      this.#skipTo = Math.max(this.#skipTo, position);
      this.#skip();
    }
    this.accepted = Math.max(this.accepted, Math.min(position, this.handed));
    this.#acceptEnd();
    if (this.accepted === before) return "nothing";
    const asked = this.#ackNowAt >= 0 && this.accepted >= this.#ackNowAt;
    if (asked) this.#ackNowAt = -1;
    const unstated = this.accepted + this.#allowance.size - this.grant;
    return asked || this.endAccepted || unstated * 4 >= this.#allowance.size ? "urgent" : "later";
  }

  #skip(): void {
    const bytes = Math.min(this.#skipTo, this.received, this.endPosition) - this.handed;
    for (let left = bytes; left > 0;) {
      const here = Math.min(left, (this.#chunks[this.#head] as Buffer).length - this.#headAt);
      this.#drop(here);
      left -= here;
    }
    if (bytes <= 0) return;
    this.handed += bytes;
    this.accepted = Math.max(this.accepted, this.handed);
    this.#acceptEnd();
  }

  /** The end is accepted by itself as soon as everything before it is. */
  #acceptEnd(): void {
    if (!this.stopped && this.accepted === this.endPosition) this.accepted = this.endPosition + 1;
  }

  #clear(): void {
    this.#chunks = [];
    this.#head = 0;
    this.#headAt = 0;
    this.#tail = undefined;
    this.#tailUsed = 0;
    this.#tailChunk = undefined;
  }

  /** What arrives from now on, and what waits to be handed out, is not accepted any more. */
  stop(): void {
    this.stopped = true;
    this.#clear();
  }

  /** The connection is gone, and the credit given on it with it. What is held stays accounted for. */
  loseConnection(): void {
    this.#allowance.shrinkTo(this.unacceptedBytes);
    this.grant = Math.max(this.received, this.accepted + this.#allowance.floor);
  }

  /** A new connection: its credit is stated anew and replaces what was stated before. */
  restart(): void {
    this.grant = Math.max(Math.min(this.received, this.endPosition), this.committed + this.#allowance.size);
  }

  /**
   * Drops what no consumer has been handed; the peer sends it again. Only without a connection. The protocol lets an end do
   * that to save memory; ours has no need to yet, and the simulation sees to it that every sender bears it.
   */
  forget(): void {
    if (this.stopped || this.readableBytes === 0) return;
    this.#clear();
    this.received = this.handed;
    this.endKind = "none";
    this.endPosition = Infinity;
    this.loseConnection();
  }
}
