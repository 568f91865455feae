/**
 * The receiving half of a session: committed ≤ accepted ≤ handed ≤ received ≤ grant, and the end of the peer's
 * direction, which takes one position. It holds the bytes that have arrived and were not handed out.
 */
import { readUint32, View } from "../wire/bytes.ts";
import { DATA_ACK_NOW, DATA_BLOCKED, DATA_END_FINAL, DATA_END_MOVED, type Mode } from "../wire/frames.ts";
import { type Fault, fault } from "../wire/faults.ts";
import { PREFIX_BYTES } from "./blocks.ts";
import type { EndKind } from "./sender.ts";
import { type Keep, Unread } from "./unread.ts";
import type { Allowance } from "./window.ts";

/** Takes a message, and the position where it ends. Answers whether it wants the next. */
export type Hand = (message: Buffer, end: number) => boolean;

/** A receiver as plain data. Bytes that are not committed come again. */
export interface ReceiverSnapshot {
  readonly committed: number;
  /** The end of the peer's direction, if it has come; it comes again unless `committed` is above it. */
  readonly endKind: EndKind;
  readonly endPosition: number;
}

export class Receiver {
  readonly mode: Mode;
  /** Everything below has arrived; one more than the last byte once the end has. */
  received = 0;
  /** The position where the message that was handed out last ends. */
  handed = 0;
  /** Everything below is accepted by our application, for good. */
  accepted = 0;
  /** The credit stated on the connection in use goes up to here. */
  grant = 0;
  endKind: EndKind = "none";
  /** The end's own position: the one after the last byte. */
  endPosition: number = Infinity;
  /** Our application reads no more: bytes that arrive are not accepted. */
  stopped = false;
  /** A mistake of the peer after which no message can be handed out; a resume would bring the same bytes again. */
  problem: Fault | undefined;
  readonly #maxMessageBytes: number;
  readonly #allowance: Allowance;
  /** The bytes that were received and not handed out. */
  readonly unread: Unread = new Unread();
  /** `received` and `handed` at the last call of rest(). */
  #restedReceived = 0;
  #restedHanded = 0;
  /** The application has accepted up to here, ahead of what was handed out: those bytes are skipped as they arrive. */
  #skipTo = 0;
  #ackNowAt = -1;
  #stated = 0;
  #peerIsBlocked = false;
  readonly #hasStore: boolean;
  #committed = 0;

  /** `hasStore`: what was accepted is stated to the peer when a store has it. */
  constructor(mode: Mode, maxMessageBytes: number, allowance: Allowance, hasStore = false) {
    this.mode = mode;
    this.#maxMessageBytes = maxMessageBytes;
    this.#allowance = allowance;
    this.#hasStore = hasStore;
  }

  /** Acceptance that is stated to the peer. Without a store everything accepted is committed at once. */
  get committed(): number {
    return this.#hasStore ? this.#committed : this.accepted;
  }

  /** Bytes that wait to be handed out. */
  get readableBytes(): number {
    return Math.min(this.received, this.endPosition) - this.handed;
  }

  /** Bytes that the consumer has not accepted, handed out or not. */
  get unacceptedBytes(): number {
    return Math.min(this.received, this.endPosition) - Math.min(this.accepted, this.endPosition);
  }

  /** The peer has ended and everything before was accepted, for good: only then is the direction complete. */
  get endAccepted(): boolean {
    return this.committed > this.endPosition;
  }

  /** The peer has ended and everything before was handed out. */
  get endReached(): boolean {
    return this.handed === this.endPosition && this.received > this.endPosition;
  }

  /**
   * Nobody reads any more, and everything accepted is committed: a peer that hears of the stop takes the accepted
   * position for the last one.
   */
  get stopIsFinal(): boolean {
    return this.stopped && this.committed >= this.accepted;
  }

  /** The peer can send no more until our consumer accepts: its credit is used up, or it has said that it is blocked. */
  get isFull(): boolean {
    return !this.stopped && (this.received >= this.grant || this.#peerIsBlocked) && this.unacceptedBytes > 0;
  }

  get windowBytes(): number {
    return this.#allowance.size;
  }

  /** Bytes that have arrived since `received` was last stated to the peer. */
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
      const news = offset === this.received ? bytes : bytes.subarray(this.received - offset);
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

  /**
   * Takes the next `bytes` of a byte stream, which the consumer is handed at once: they do not wait here. Answers whether
   * it did; if not, they are for `onData()`. Taken are only bytes that change nothing else.
   */
  pass(offset: number, bytes: number): boolean {
    const next = offset + bytes;
    if (this.mode !== "bytes" || offset !== this.received || offset !== this.handed || next >= this.grant) return false;
    if (this.stopped || this.endKind !== "none" || this.#peerIsBlocked || this.#skipTo > offset) return false;
    this.received = next;
    this.handed = next;
    return true;
  }

  #keep(bytes: Buffer): void {
    if (this.stopped || bytes.length === 0) return;
    this.unread.push(bytes);
    if (this.#skipTo > this.handed) this.#skip();
  }

  /** Bytes are unread, and some have arrived or were handed out since the last `rest()`. */
  get needsRest(): boolean {
    return (
      this.unread.first !== undefined && (this.received !== this.#restedReceived || this.handed !== this.#restedHanded)
    );
  }

  /** The turn is over: unread bytes are moved into less memory if they hold too much of it. */
  rest(): void {
    this.#restedReceived = this.received;
    this.#restedHanded = this.handed;
    this.unread.rest();
  }

  /** The memory that unread bytes hold, which can be more than the bytes themselves. */
  get heldBytes(): number {
    return this.unread.heldBytes;
  }

  /** The peer had more to send than its credit: a larger window helps if our consumer keeps up with this one. */
  #widen(): void {
    if (this.unacceptedBytes * 2 <= this.#allowance.size) this.#allowance.grow();
  }

  /**
   * The next whole message; undefined if none is here, or if `problem` says that none can come. `keep` is called with
   * the memory of the message, if other messages may share it. Without it the caller transfers no memory.
   */
  next(keep?: Keep): Buffer | undefined {
    const unread = this.unread;
    if (keep === undefined && this.mode === "bytes") {
      const lone = unread.takeLone();
      if (lone !== undefined) {
        this.handed += lone.length;
        return lone;
      }
    }
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
   * Hands out one message after another, each with the position where it ends, until `hand` answers false or about
   * `most` were handed out. It is faster than calling `next()` for each. Answers true if it stopped because of `most`
   * and more is here.
   */
  handOut(hand: Hand, keep: Keep | undefined, most: number): boolean {
    const unread = this.unread;
    for (let left = most; left > 0;) {
      const { first, at } = unread;
      // The first piece was begun already: hand out the messages that lie whole in it, which are most.
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
   * Hands out at most `left` of the messages that lie whole in the first piece, except the last of the piece, which
   * `next()` takes. Answers how many more may be handed out, or -1 if `hand` wants none.
   */
  #handOutOfPiece(first: Buffer, hand: Hand, keep: Keep | undefined, left: number): number {
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
      // `hand` may have ended the link, or accepted later messages, which were then skipped.
      if (this.stopped) return -1;
      if (unread.at !== at || unread.first !== first) return left - 1;
    }
    return left;
  }

  #nextBytes(first: Buffer, at: number, keep: Keep | undefined): Buffer {
    this.unread.show(keep);
    const bytes = at === 0 ? first : first.subarray(at);
    this.unread.drop(bytes.length);
    this.handed += bytes.length;
    return bytes;
  }

  /** The next message if it lies in several pieces; undefined if it is incomplete or too large. */
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

  /** Accepts everything up to `position`; bytes that were not handed out are skipped, now or as they arrive. */
  accept(position: number): "urgent" | "later" | "nothing" {
    if (this.stopped) return "nothing";
    const before = this.accepted;
    if (position > this.handed) {
      this.#skipTo = Math.max(this.#skipTo, position);
      this.#skip();
    }
    this.accepted = Math.max(this.accepted, Math.min(position, this.handed));
    this.#acceptEnd();
    return this.accepted === before || this.#hasStore ? "nothing" : this.#urgencyOf(this.accepted);
  }

  /**
   * The store has our acceptance up to `to`. Answers how urgent an ACK is. Throws a RangeError if so much was not
   * accepted, or if there is no store.
   */
  onCommitted(to: number): "urgent" | "later" | "nothing" {
    if (!this.#hasStore || to > this.accepted) throw new RangeError(`committed ${to} of ${this.accepted} accepted`);
    if (to <= this.#committed) return "nothing";
    this.#committed = to;
    return this.#urgencyOf(to);
  }

  /** How urgent an ACK is that states `committed`, which has risen. */
  #urgencyOf(committed: number): "urgent" | "later" {
    const asked = this.#ackNowAt >= 0 && committed >= this.#ackNowAt;
    if (asked) this.#ackNowAt = -1;
    const unstated = committed + this.#allowance.size - this.grant;
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

  /** The end needs no acceptance of its own: it is accepted as soon as everything before it is. */
  #acceptEnd(): void {
    if (!this.stopped && this.accepted === this.endPosition) this.accepted = this.endPosition + 1;
  }

  /** Stops accepting: bytes that arrive from now on, and bytes that wait to be handed out, are dropped. */
  stop(): void {
    this.stopped = true;
    this.unread.clear();
    this.#allowance.shrinkTo(0);
  }

  /**
   * The connection is gone, and the credit stated on it is void. Unaccepted bytes stay accounted for; the rest of the
   * window is given back to the budget.
   */
  loseConnection(): void {
    this.#allowance.shrinkTo(this.unacceptedBytes);
    this.grant = Math.max(this.received, this.accepted + this.#allowance.floor);
  }

  /**
   * A new connection: its credit is stated anew and replaces what was stated before, and may be less than has arrived.
   */
  restart(): void {
    this.grant = Math.max(Math.min(this.received, this.endPosition), this.committed + this.#allowance.size);
  }

  snapshot(): ReceiverSnapshot {
    const { committed, endKind, endPosition } = this;
    return { committed, endKind, endPosition };
  }

  /** A new receiver goes on from a snapshot: it has received what was committed, and nothing else. */
  restore({ committed, endKind, endPosition }: ReceiverSnapshot): void {
    const isEnded = committed > endPosition;
    this.received = committed;
    this.accepted = committed;
    this.#committed = committed;
    this.handed = isEnded ? endPosition : committed;
    if (isEnded) {
      this.endKind = endKind;
      this.endPosition = endPosition;
    }
    this.loseConnection();
  }

  /**
   * Drops the bytes that were not handed out; the peer sends them again. Called only without a connection. A
   * server does so when it lacks memory.
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
