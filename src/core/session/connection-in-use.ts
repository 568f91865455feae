/**
 * The connection that speaks for a session, with everything that ends when the connection does: the evidence that it
 * is alive, whether an ACK that the session owes may be written, and the timers for both. The next connection gets a
 * new one of these.
 */
import type { Channel } from "./channel.ts";
import { DATA_HEADER_BYTES, encodePositionsFrame } from "../wire/frames.ts";
import { viewOf } from "../wire/bytes.ts";
import { Evidence, type EvidenceOptions } from "./evidence.ts";
import type { Session } from "./session.ts";
import { TimerTable } from "./timers.ts";

/** Only servers use "silence". */
const TIMERS = ["evidence", "ack", "silence"] as const;
type TimerName = (typeof TIMERS)[number];

/**
 * An ACK that may wait goes out with DATA so often at most: to write one and to read it costs as much as a small message
 * does, and small messages can follow each other far faster than a round trip over a network takes.
 */
const ACK_WITH_DATA_EVERY_MS = 1;

export class ConnectionInUse {
  readonly channel: Channel;
  readonly timers: TimerTable<TimerName> = new TimerTable(TIMERS);
  readonly #evidence: Evidence;
  #turnEnded = false;
  /** An ACK was owed before `receiveNow()` was called last. */
  #wasAckOwed = false;
  /** When an ACK was last written. */
  #ackedMs = -Infinity;

  constructor(channel: Channel, keepalive: EvidenceOptions, entropy: { random(): number }, nowMs: number) {
    this.channel = channel;
    this.#evidence = new Evidence(keepalive, channel.roundTrip, entropy, nowMs);
    this.#watch();
  }

  // ── evidence that it is alive ───────────────────────────────────────────────────────────────────────────────────

  /** Evidence was missing, and has not come back. */
  get suspect(): boolean {
    return this.#evidence.suspect;
  }

  /** When the last byte arrived. */
  get heardMs(): number {
    return this.#evidence.heardMs;
  }

  /** Since when data has been in flight without progress; Infinity if there is none. */
  get waitingSinceMs(): number {
    return this.#evidence.waitingSinceMs;
  }

  onHeard(nowMs: number): void {
    this.#evidence.onHeard(nowMs);
  }

  /** Answers true if that ends a suspicion. */
  onPong(token: number, nowMs: number): boolean {
    const recovered = this.#evidence.onPong(token, nowMs);
    // The timer was set for a missing answer; now that it has come, the timer must watch for the next silence.
    this.#watch();
    return recovered;
  }

  /** The peer's `received` went up. Answers true if that ends a suspicion. */
  onProgress(stillInFlight: boolean, nowMs: number): boolean {
    // Progress answers a PING too: then the timer, as it was set for the answer, may be too late for the next PING.
    const wasAsking = this.#evidence.isAsking;
    const recovered = this.#evidence.onProgress(stillInFlight, nowMs);
    if (wasAsking) this.#watch();
    return recovered;
  }

  /** DATA has arrived, in the bytes that were heard last. */
  dataArrived(): void {
    if (this.#evidence.onSpoken(this.#evidence.heardMs)) this.timers.atLatest("evidence", this.#evidence.nextMs());
  }

  dataWritten(nowMs: number): void {
    const isAsked = this.#evidence.onSpoken(nowMs);
    const isAwaited = this.#evidence.onWaiting(nowMs);
    if (isAsked || isAwaited) this.timers.atLatest("evidence", this.#evidence.nextMs());
  }

  /** Something was written that the peer is to answer. */
  awaitProgress(nowMs: number): void {
    if (this.#evidence.onWaiting(nowMs)) this.timers.atLatest("evidence", this.#evidence.nextMs());
  }

  /** The application doubts the path: see `Evidence.onDoubted()`. Answers true if a PING is to be written. */
  onDoubted(nowMs: number): boolean {
    const pings = this.#evidence.onDoubted(nowMs);
    if (pings) this.channel.owePing(this.#evidence.pingToken);
    this.#watch();
    return pings;
  }

  /** The timer "evidence" is due. Sends a PING if one is due; answers true if the connection has become suspect. */
  check(nowMs: number, dueMs: number): boolean {
    const finding = this.#evidence.check(nowMs, dueMs);
    if (finding !== "nothing") this.channel.owePing(this.#evidence.pingToken);
    this.#watch();
    return finding === "suspect";
  }

  #watch(): void {
    this.timers.set("evidence", this.#evidence.nextMs());
  }

  // ── the ACK that the session owes ───────────────────────────────────────────────────────────────────────────────

  /** An ACK is owed for this turn of the event loop, and the turn has not ended. */
  isAckHeld({ ackOwed }: Session): boolean {
    return ackOwed === "turn" && !this.#turnEnded;
  }

  /** Everything that has arrived in this turn was handed in. Answers whether an ACK is due for it. */
  endTurn(session: Session): boolean {
    this.#turnEnded = this.isAckHeld(session);
    return this.#turnEnded;
  }

  /** An ACK is owed, and is to be written now. */
  isAckDue({ ackOwed }: Session): boolean {
    return ackOwed === "turn" && this.#turnEnded;
  }

  /** An ACK is owed, and is to go out with DATA that is written now. */
  isAckDueWithData({ ackOwed }: Session, nowMs: number): boolean {
    return ackOwed === "turn" || (ackOwed === "later" && nowMs - this.#ackedMs >= ACK_WITH_DATA_EVERY_MS);
  }

  /** The ACK that is owed, to be written now. */
  takeAck(session: Session, nowMs: number): Buffer {
    session.ackOwed = "nothing";
    this.#ackedMs = nowMs;
    this.#turnEnded = false;
    this.timers.clear("ack");
    return encodePositionsFrame("ack", session.positions());
  }

  // ── the short way ───────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes the DATA of which the chunk consists from `at` on. Undefined: nothing was done. */
  receiveNow(session: Session, chunk: Buffer, at: number): Buffer | undefined {
    const offset = this.channel.decoder.loneData(chunk, at);
    const from = at + DATA_HEADER_BYTES;
    this.#wasAckOwed = session.ackOwed !== "nothing";
    return offset >= 0 && session.pass(offset, chunk.length - from) ? viewOf(chunk, from) : undefined;
  }

  /** What was taken last has been handed on. An ACK is owed for it within `ackDelayMs`. */
  receivedNow(ackDelayMs: number, nowMs: number): void {
    this.onHeard(nowMs);
    this.dataArrived();
    if (!this.#wasAckOwed) this.timers.atLatest("ack", nowMs + ackDelayMs);
  }

  /** Takes a piece, and answers what is to be written at once. Undefined: nothing was taken. */
  transmitNow(
    session: Session,
    head: number,
    memory: Buffer,
    from: number,
    to: number,
    nowMs: number,
  ): Buffer[] | undefined {
    const { channel } = this;
    if (session.phase !== "live" || session.peerStopped || channel.hasFrames) return undefined;
    const frame = session.sender.takeNow(head, memory, from, to, channel.flight, nowMs);
    if (frame === undefined) return undefined;
    this.dataWritten(nowMs);
    return this.isAckDueWithData(session, nowMs) ? [this.takeAck(session, nowMs), frame] : [frame];
  }
}
