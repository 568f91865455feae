/**
 * The sending half of a session: acked ≤ sent ≤ highest sent ≤ durable ≤ end, and the end of the direction, which takes
 * the one position after the last byte.
 */
import type { BlockPool } from "./blocks.ts";
import { writeUint32 } from "../wire/bytes.ts";
import {
  DATA_ACK_NOW,
  DATA_BLOCKED,
  DATA_END_FINAL,
  DATA_END_MOVED,
  DATA_HEADER_BYTES,
  encodeDataHeader,
  MAX_DATA_BYTES,
} from "../wire/frames.ts";
import type { Mode } from "../wire/frames.ts";
import { Log, type LoggedMessage } from "./log.ts";
import { Account, type Flight } from "./window.ts";

/** Of the head that `takeNow()` puts in front of a piece. */
export const HEAD_BYTES = 4;
/** A frame with no more payload is written as one buffer: to gather several later costs more than to copy this much. */
export const COPIED_BYTES = 1_024;

export type EndKind = "none" | "final" | "moved";

/** A message that will not be delivered, as the application is told of it. */
export interface UndeliveredEntry {
  message: Buffer;
  delivery: "not-sent" | "maybe";
  /** Where the message ends in its session; undefined if it was never written. */
  position: number | undefined;
  /** Where the message ends in the log. */
  end: number;
}

/** A sender as plain data. */
export interface SenderSnapshot {
  readonly acked: number;
  readonly highestSent: number;
  /** Everything below is persisted; the end too, if this is above `endAt`. */
  readonly durable: number;
  readonly endKind: EndKind;
  readonly endAt: number;
  /** Where the log begins, with `rest`: the bytes of a message of which the peer has accepted a part. */
  readonly start: number;
  readonly rest: Uint8Array;
  /** The messages of the log; of a byte stream its pieces. */
  readonly messages: readonly LoggedMessage[];
}

export class Sender {
  readonly log: Log;
  /** Everything below is accepted by the peer, for good. May be one above `log.end`: the end of the direction. */
  acked = 0;
  /** The position of the next byte to write on the connection in use. */
  sentNow = 0;
  /** The highest position ever written on any connection of this session. */
  highestSent = 0;
  /** The peer has given credit up to here. */
  limit = 0;
  /** The position that the peer last said it had received; on a new connection, the position where writing began. */
  peerReceived = 0;
  endKind: EndKind = "none";
  /** Where the direction ends in this session: messages taken beyond are for the next session. */
  endAt: number = Infinity;
  /** The application sends nothing more, in this session or another. */
  ended = false;
  /** Messages below this position were written in an earlier session of the link, whatever `highestSent` says. */
  carriedWritten = 0;
  /** Where the piece begins that was taken last. Stays 0 in mode "messages". */
  pieceFrom = 0;
  /** Messages taken, and messages of which at least a part was written. Both stay 0 in mode "bytes". */
  #takenMessages = 0;
  #writtenMessages = 0;
  #ackNowAt = -1;
  /** The flight limit allows writing up to here. */
  #flightTo = 0;
  /** `#mostWritten` allows writing up to here. */
  #keepTo = 0;

  /** The most bytes that may be written and not accepted. */
  readonly #mostWritten: number;
  readonly #hasOutbox: boolean;
  /** The outbox has everything below; the end of the direction too, if this is above `endAt`. */
  #persisted = 0;

  /** `account`: for the memory that the log holds. `hasOutbox`: nothing is written before it is persisted. */
  constructor(mode: Mode, pool: BlockPool, account: Account, mostWrittenBytes: number, hasOutbox = false) {
    this.log = new Log(mode, pool, account);
    this.#mostWritten = mostWrittenBytes;
    this.#hasOutbox = hasOutbox;
  }

  /** An empty sender for the link's next session, with an account of its own. */
  successor(): Sender {
    const { mode, pool, account } = this.log;
    const own = new Account(account.minimum, account.budget);
    return new Sender(mode, pool, own, this.#mostWritten, this.#hasOutbox);
  }

  /** Only bytes below are written to a connection. Without an outbox nothing is held back. */
  get durable(): number {
    return this.#hasOutbox ? this.#persisted : this.log.end;
  }

  get #isEndDurable(): boolean {
    return !this.#hasOutbox || this.#persisted > this.endAt;
  }

  /**
   * The outbox has everything below `to`. The end of the direction takes the position after the last byte:
   * `finalPosition` says that it is persisted too. Throws a RangeError if nothing was taken there, or if there is no
   * outbox.
   */
  onPersisted(to: number): void {
    const { finalPosition } = this;
    if (!this.#hasOutbox || to > Math.max(this.log.end, finalPosition)) {
      throw new RangeError(`persisted up to ${to} of ${finalPosition}`);
    }
    // Above the end there are messages for the next session, which may have been persisted before the end was set.
    this.#persisted = Math.max(this.#persisted, to > finalPosition ? this.endAt : to);
  }

  /** The position after everything, the end of the direction included. */
  get finalPosition(): number {
    return this.endKind === "none" ? this.log.end : this.endAt + 1;
  }

  /** Bytes of messages were written up to here; the position of the direction's end does not count. */
  get #written(): number {
    return Math.min(this.highestSent, this.endAt);
  }

  /** Messages and bytes that were never written. */
  get queuedMessages(): number {
    return this.#takenMessages - this.#writtenMessages;
  }

  get queuedBytes(): number {
    return this.log.end - this.#written;
  }

  /** Bytes taken and not accepted by the peer. */
  get unackedBytes(): number {
    return this.log.end - this.log.start;
  }

  /** Bytes not accepted that this session is to deliver. */
  get owedBytes(): number {
    return Math.min(this.log.end, this.endAt) - this.log.start;
  }

  get endAcked(): boolean {
    return this.acked > this.endAt;
  }

  take(payload: Uint8Array | string, payloadBytes: number, given: boolean): void {
    if (this.log.mode === "messages") {
      this.#takenMessages++;
    } else {
      this.pieceFrom = this.log.end;
      if (payloadBytes === 0) return;
    }
    this.log.append(payload, payloadBytes, given);
  }

  /** Asks the peer to acknowledge at once when it has accepted all that was taken until now. */
  askForAck(): void {
    this.#ackNowAt = this.log.end;
  }

  /** Nothing more is taken. */
  end(kind: "final" | "moved"): void {
    this.ended = true;
    if (this.endKind !== "none") return;
    this.endKind = kind;
    this.endAt = this.log.end;
  }

  /**
   * Ends the direction after the last message that was begun to be written. All later messages wait for the next
   * session.
   */
  moveOn(): void {
    if (this.endKind !== "none") return;
    this.endKind = "moved";
    this.endAt = this.log.messageFrom(this.highestSent);
    // Messages beyond may be persisted already, but the end is not.
    this.#persisted = Math.min(this.#persisted, this.endAt);
  }

  wasWritten(start: number): boolean {
    return start < Math.max(this.#written, this.carriedWritten);
  }

  /**
   * A new connection goes on after the bytes that the peer has. The credit stated on it replaces the earlier credit.
   */
  restart(peerReceived: number, limit: number): void {
    this.log.share();
    this.sentNow = Math.max(peerReceived, this.acked);
    this.peerReceived = this.sentNow;
    this.limit = limit;
  }

  /** Bytes or an end that could be written now if the connection had room. */
  hasSomethingToWrite(flight: Flight): boolean {
    return this.sentNow < this.#writableTo(flight) || (this.sentNow === this.endAt && this.#isEndDurable);
  }

  #writableTo(flight: Flight): number {
    this.#flightTo = this.peerReceived + flight.limitBytes;
    this.#keepTo = this.log.start + this.#mostWritten;
    return Math.min(this.durable, this.endAt, this.limit, this.#flightTo, this.#keepTo);
  }

  /** Appends DATA frames of at most `maxBytes` payload to `out`; answers how many payload bytes those are. */
  write(out: Buffer[], maxBytes: number, flight: Flight, nowMs: number): number {
    const before = this.sentNow;
    const to = Math.min(this.#writableTo(flight), this.sentNow + maxBytes);
    while (this.sentNow < to) this.#writeFrame(out, Math.min(to, this.log.frameEnd(this.sentNow, MAX_DATA_BYTES)));
    if (this.sentNow === this.endAt && this.#isEndDurable) {
      if (this.sentNow === before) out.push(encodeDataHeader(this.sentNow, 0, this.#endFlag()));
      this.sentNow++;
    }
    if (this.sentNow === before) return 0;
    if (this.sentNow > this.highestSent) this.#raiseHighestSent();
    flight.onWritten(this.sentNow, this.peerReceived, nowMs);
    return this.sentNow - before;
  }

  /**
   * Takes a small piece of a byte stream: a head of 32 bits, and `memory` from `from` to before `to`. Answers the DATA frame
   * with it, which is to be written at once. Undefined: nothing was taken, as something else has to be written before it,
   * or as it meets a limit.
   */
  takeNow(head: number, memory: Buffer, from: number, to: number, flight: Flight, nowMs: number): Buffer | undefined {
    const { log, sentNow } = this;
    const length = HEAD_BYTES + to - from;
    const end = sentNow + length;
    const limit = Math.min(this.limit, this.peerReceived + flight.limitBytes, log.start + this.#mostWritten);
    if (length > COPIED_BYTES || sentNow !== log.end || end >= limit) return undefined;
    if (log.mode !== "bytes" || this.ended || this.endKind !== "none" || this.#hasOutbox) return undefined;
    if (this.#ackNowAt >= sentNow) return undefined;
    const frame = encodeDataHeader(sentNow, length, 0, length);
    writeUint32(frame, DATA_HEADER_BYTES, head);
    memory.copy(frame, DATA_HEADER_BYTES + HEAD_BYTES, from, to);
    this.pieceFrom = sentNow;
    log.appendRest(frame, DATA_HEADER_BYTES);
    if (!log.hasRoomForLargest) frame[1] = DATA_BLOCKED;
    this.sentNow = end;
    this.highestSent = end;
    flight.onWritten(end, this.peerReceived, nowMs);
    return frame;
  }

  #writeFrame(out: Buffer[], to: number): void {
    let flags = 0;
    if (to === this.endAt && this.#isEndDurable) flags |= this.#endFlag();
    const isAwaited = this.#ackNowAt >= this.sentNow && this.#ackNowAt <= to;
    if (isAwaited || (to === this.#flightTo && to < this.durable)) flags |= DATA_ACK_NOW;
    if (this.#isBlockedAt(to)) flags |= DATA_BLOCKED;
    if (to - this.sentNow <= COPIED_BYTES) return void out.push(this.#wholeFrame(to, flags));
    out.push(encodeDataHeader(this.sentNow, to - this.sentNow, flags));
    while (this.sentNow < to) {
      const piece = this.log.read(this.sentNow, to - this.sentNow);
      out.push(piece);
      this.sentNow += piece.length;
    }
  }

  #wholeFrame(to: number, flags: number): Buffer {
    const frame = encodeDataHeader(this.sentNow, to - this.sentNow, flags, to - this.sentNow);
    this.log.copyTo(frame, DATA_HEADER_BYTES, this.sentNow, to);
    this.sentNow = to;
    return frame;
  }

  /** No more can be written, or even taken, until the peer accepts something. */
  #isBlockedAt(to: number): boolean {
    if (to === this.limit || to === this.#keepTo) return to < Math.min(this.durable, this.endAt);
    return to === this.durable && this.endKind === "none" && !this.log.hasRoomForLargest;
  }

  #endFlag(): number {
    return this.endKind === "final" ? DATA_END_FINAL : DATA_END_MOVED;
  }

  #raiseHighestSent(): void {
    this.highestSent = this.sentNow;
    if (this.log.mode === "messages") this.#writtenMessages = this.log.countTo(this.#written);
  }

  /**
   * `pendingBytes`: bytes that the connection in use was given and has not written. They count frame headers too, so
   * what was written is underestimated: the safe error.
   */
  recycle(pendingBytes: number): void {
    this.log.recycle(this.sentNow - pendingBytes);
  }

  /** `accepted` never goes back and was never above `highestSent`: the session has checked that. */
  onAccepted(accepted: number): void {
    if (accepted <= this.acked) return;
    this.acked = accepted;
    this.log.release(Math.min(accepted, this.endAt));
    // An ack can be ahead of this connection's cursor; accepted bytes are never sent again.
    this.sentNow = Math.max(this.sentNow, accepted);
  }

  /** The sender of a live session as data. Payloads are copies. */
  snapshot(): SenderSnapshot {
    const { log } = this;
    return { ...this.tombstone(), rest: log.rest(), messages: log.messages() };
  }

  /** The positions alone: the session is done, and sends nothing more. */
  tombstone(): SenderSnapshot {
    const { acked, highestSent, endKind, endAt, log } = this;
    const durable = this.#hasOutbox ? this.#persisted : this.finalPosition;
    return { acked, highestSent, durable, endKind, endAt, start: log.start, rest: Buffer.alloc(0), messages: [] };
  }

  /**
   * A new sender goes on from a snapshot of a live session. Messages that are not durable have never been taken.
   * Everything durable may have been written before.
   */
  restore({ acked, durable, endKind, endAt, start, rest, messages }: SenderSnapshot): void {
    const { log } = this;
    log.restart(start, rest);
    for (const { payload, start: from, end } of messages) {
      const kept = payload.subarray(0, Math.max(0, durable - from));
      if (end <= durable || log.mode === "bytes") this.take(kept, kept.length, false);
    }
    if (endKind !== "none" && durable > endAt) this.end(endKind);
    this.acked = acked;
    this.sentNow = acked;
    this.highestSent = Math.max(this.finalPosition, acked);
    this.#writtenMessages = this.#takenMessages;
    this.#persisted = this.finalPosition;
  }

  /** A new sender has the positions of a session that is done. */
  restoreTombstone({ acked, highestSent, endKind, endAt, start }: SenderSnapshot): void {
    this.log.restart(start, Buffer.alloc(0));
    this.acked = acked;
    this.sentNow = acked;
    this.highestSent = highestSent;
    this.endKind = endKind;
    this.endAt = endAt;
    this.ended = true;
  }

  /** Messages that were taken and are not acked, oldest first. */
  undelivered(): UndeliveredEntry[] {
    return this.log.messages().map(({ payload, start, end }) => {
      const written = this.wasWritten(start);
      return {
        message: payload,
        delivery: written ? "maybe" : "not-sent",
        position: start < this.#written ? end : undefined,
        end,
      };
    });
  }
}
