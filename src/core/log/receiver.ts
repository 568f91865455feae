/**
 * The receiving half of a session: committed ≤ accepted ≤ handed ≤ received ≤ grant, and the end of the peer's direction,
 * which takes one position. Holds what arrived and was not handed out.
 */
import { readUint32 } from "../wire/bytes.ts";
import { DATA_ACK_NOW, DATA_BLOCKED, DATA_END_FINAL, DATA_END_MOVED, type Mode } from "../wire/frames.ts";
import { type Fault, fault } from "../wire/faults.ts";
import { PREFIX_BYTES } from "./log.ts";
import type { EndKind } from "./sender.ts";
import { type Keep, Unread } from "./unread.ts";
import type { Allowance } from "./window.ts";

/** What `subarray()` makes a new Buffer with. It asks for the memory each time, which is a fifth of what a small message takes. */
const { [Symbol.species]: View } = Buffer as unknown as {
  [Symbol.species]: new (memory: ArrayBufferLike, at: number, length: number) => Buffer;
};

/** Takes a message, and the position where it ends. Answers whether it wants the next. */
export type Hand = (message: Buffer, end: number) => boolean;

const FORGET: Keep = () => {};

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
  /** What was received and not handed out. */
  readonly unread: Unread = new Unread();
  /** How far both had come when what is unread was last looked at. */
  #restedReceived = 0;
  #restedHanded = 0;
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
    this.#allowance.giveBack(this.grant - this.committed);
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
    if (this.#peerIsBlocked && !this.stopped) this.#widen();
    return undefined;
  }

  #keep(bytes: Buffer): void {
    if (this.stopped || bytes.length === 0) return;
    this.unread.push(bytes);
    if (this.#skipTo > this.handed) this.#skip();
  }

  /** Something is unread that was not looked at by `rest()`. */
  get needsRest(): boolean {
    return (
      this.unread.first !== undefined && (this.received !== this.#restedReceived || this.handed !== this.#restedHanded)
    );
  }

  /** The turn is over: what is unread waits on, in no more memory than it needs. */
  rest(): void {
    this.#restedReceived = this.received;
    this.#restedHanded = this.handed;
    this.unread.rest();
  }

  /** The memory that unread bytes really hold. */
  get heldBytes(): number {
    return this.unread.heldBytes;
  }

  /** The peer had more to send than its credit: a larger window helps if our consumer keeps up with this one. */
  #widen(): void {
    if (this.unacceptedBytes * 2 <= this.#allowance.size) this.#allowance.grow();
  }

  /**
   * The next message, whole; undefined if none is here, or if `problem` says that none can come. `keep` is told of the memory
   * that it lies in, if others may lie there too.
   */
  next(keep: Keep = FORGET): Buffer | undefined {
    const unread = this.unread;
    unread.beforeHandingOut();
    const { first, at } = unread;
    if (first === undefined) return undefined;
    if (this.mode === "bytes") return this.#nextBytes(first, at, keep);
    const { length } = first;
    const from = at + PREFIX_BYTES;
    const end = from <= length ? from + readUint32(first, at) : Infinity;
    if (end > length || end - from > this.#maxMessageBytes) return this.#nextAcross();
    const message = new View(unread.memory as ArrayBufferLike, unread.memoryAt + from, end - from);
    unread.show(keep, end === length && unread.isFirstAlone);
    this.handed += end - at;
    unread.drop(end - at);
    return message;
  }

  /**
   * Hands out what is here, one message after the other and each with where it ends, until `hand` answers false, and about
   * `most` of them. The same as `next()`, in one go. Answers whether more is here, and it has stopped for `most`.
   */
  handOut(hand: Hand, keep: Keep, most: number): boolean {
    const unread = this.unread;
    for (let left = most; left > 0;) {
      const { first, at } = unread;
      // One that was begun goes on: most messages lie within a piece.
      if (this.mode === "messages" && first !== undefined && at > 0) {
        left = this.#handOutOfPiece(first, hand, keep, left);
        if (left <= 0) return left === 0;
      }
      const message = this.next(keep);
      if (message === undefined || !hand(message, this.handed)) return false;
      left--;
    }
    return unread.first !== undefined;
  }

  /**
   * Those that lie whole in the first piece, but for its last: what comes after that is `next()`'s. At most `left`; answers
   * how many more there may be, or -1 if `hand` wants none.
   */
  #handOutOfPiece(first: Buffer, hand: Hand, keep: Keep, left: number): number {
    const unread = this.unread;
    const most = this.#maxMessageBytes;
    const { length } = first;
    const { memoryAt } = unread;
    const memory = unread.memory as ArrayBufferLike;
    let isShown = false;
    for (let { at } = unread; left > 0 && at + PREFIX_BYTES <= length; left--) {
      const from = at + PREFIX_BYTES;
      const end = from + readUint32(first, at);
      if (end >= length || end - from > most) break;
      if (!isShown) {
        isShown = true;
        unread.show(keep);
      }
      this.handed += end - at;
      unread.at = at = end;
      if (!hand(new View(memory, memoryAt + from, end - from), this.handed)) return -1;
      // Whoever is handed a message may end the link, or accept what comes after it, which is then skipped.
      if (this.stopped) return -1;
      if (unread.at !== at || unread.first !== first) return left - 1;
    }
    return left;
  }

  #nextBytes(first: Buffer, at: number, keep: Keep): Buffer {
    this.unread.show(keep);
    const bytes = at === 0 ? first : first.subarray(at);
    this.unread.drop(bytes.length);
    this.handed += bytes.length;
    return bytes;
  }

  /** One that lies in several pieces, or is not all here, or never will be. */
  #nextAcross(): Buffer | undefined {
    if (this.readableBytes < PREFIX_BYTES) return this.#incomplete();
    const length = this.unread.peekLength(PREFIX_BYTES);
    if (length > this.#maxMessageBytes) {
      this.problem = fault("oversized", `a message of ${length} bytes`);
      return undefined;
    }
    const encoded = PREFIX_BYTES + length;
    if (this.readableBytes < encoded) return this.#incomplete();
    this.handed += encoded;
    return this.unread.gather(encoded).subarray(PREFIX_BYTES);
  }

  /** The rest of the message is still to come, unless the peer has ended its direction in the middle of it. */
  #incomplete(): undefined {
    if (this.endKind !== "none") this.problem = fault("bad-frame", "the direction ends in the middle of a message");
    return undefined;
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
    if (bytes <= 0) return;
    this.unread.skip(bytes);
    this.handed += bytes;
    this.accepted = Math.max(this.accepted, this.handed);
    this.#acceptEnd();
  }

  /** The end is accepted by itself as soon as everything before it is. */
  #acceptEnd(): void {
    if (!this.stopped && this.accepted === this.endPosition) this.accepted = this.endPosition + 1;
  }

  /** What arrives from now on, and what waits to be handed out, is not accepted any more, and takes no memory. */
  stop(): void {
    this.stopped = true;
    this.unread.clear();
    this.#allowance.shrinkTo(0);
  }

  /**
   * The connection is gone, and the credit given on it with it. What is held stays accounted for; what is accepted and not
   * committed yet is in the application's hands.
   */
  loseConnection(): void {
    this.#allowance.shrinkTo(this.unacceptedBytes);
    this.grant = Math.max(this.received, this.accepted + this.#allowance.floor);
  }

  /** A new connection: its credit is stated anew and replaces what was stated before, and may be less than has arrived. */
  restart(): void {
    this.grant = Math.max(Math.min(this.received, this.endPosition), this.committed + this.#allowance.size);
  }

  /**
   * Drops what no consumer has been handed; the peer sends it again. Only without a connection. The protocol lets an end do
   * that to save memory; ours has no need to yet, and the simulation sees to it that every sender bears it.
   */
  forget(): void {
    if (this.stopped || this.readableBytes === 0) return;
    this.unread.clear();
    this.received = this.handed;
    this.endKind = "none";
    this.endPosition = Infinity;
    this.loseConnection();
  }
}
