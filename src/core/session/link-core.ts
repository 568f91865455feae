/**
 * The core of one link, as far as both ends are the same: its session and the connection that speaks for it. Which
 * connection may do so is decided in `core/client/link-core.ts` for a client, and in `core/server/takeover.ts` for a
 * server.
 *
 * The driver's contract: call one method, then drain: `events`, `transmit()` for each connection that has room, and the
 * next wake-up from `nextTimeoutMs`. `wantsDial` and `wantsStandby` are looked at after that too. At the end of the
 * turn, if it `awaitsEndOfTurn`: `endTurn()`, and what that lets `transmit()` answer.
 */
import type { Channel } from "./channel.ts";
import { ConnectionInUse } from "./connection-in-use.ts";
import { type Fault, Mistakes } from "../wire/faults.ts";
import { encodeReset, type Frame, type Positions, type ResetCode } from "../wire/frames.ts";
import type { Entropy } from "./proof.ts";
import { type LinkCoreOptions, type Outcome, RESET_OUTCOMES } from "./link-events.ts";
import type { Session } from "./session.ts";
import { ShortWay } from "./short-way.ts";
import { TimerTable } from "./timers.ts";

/** How long the peer may take to echo a reset. */
export const RESET_ANSWERED_WITHIN_MS = 5_000;

/** The timers that do not belong to a connection. Only clients use "standby". */
const TIMERS = ["unreadable", "expiry", "standby", "reset-answer"] as const;
type TimerName = (typeof TIMERS)[number];

/** How a connection is closed. */
export interface Closing {
  /** The mistake of the peer for which the connection is closed. */
  problem?: Fault | undefined;
  /** Frames that are still to be sent go out first. Default false: the connection is closed at once. */
  flush?: boolean;
  /** With `flush`: the peer may take so long to close after us. */
  lingerMs?: number;
}

export abstract class LinkCore extends ShortWay {
  protected readonly timers: TimerTable<TimerName> = new TimerTable(TIMERS);
  protected readonly entropy: Entropy;
  #resetFrame: Buffer | undefined;
  #lastRttMs: number | undefined;
  #mistakes: Mistakes | undefined;

  constructor(options: LinkCoreOptions, session: Session, entropy: Entropy) {
    super(options, session);
    this.entropy = entropy;
  }

  /** The smoothed round trip of the connection in use. */
  get rttMs(): number | undefined {
    return this.adopted?.roundTrip.smoothedMs;
  }

  /** The smoothed round trip of the connection in use, or of the last one. */
  get lastRttMs(): number | undefined {
    return this.rttMs ?? this.#lastRttMs;
  }

  // ── an outbox and a store ───────────────────────────────────────────────────────────────────────────────────────

  /**
   * The outbox has everything below `to` (`SessionLimits.hasOutbox`); the end of the direction takes the position after
   * the last byte. It may be written now. The caller drops answers about an earlier session of the link. Throws a
   * RangeError if nothing was taken there.
   */
  persisted(to: number): void {
    if (this.session.phase === "live") this.session.sender.onPersisted(to);
  }

  /**
   * The store has the acceptance up to `to` (`SessionLimits.hasStore`): an ACK is owed, and the link may be through.
   * Throws a RangeError if so much was not accepted.
   */
  committed(to: number): void {
    if (this.session.phase !== "live") return;
    this.session.committed(to);
    this.checkThrough();
  }

  // ── endings by the application ──────────────────────────────────────────────────────────────────────────────────

  /** Ends both directions at both ends. `reason` is the application's code for the peer. */
  reset(code: ResetCode, reason: string, outcome: Outcome, nowMs: number): void {
    if (this.session.phase === "live") this.#reset(code, reason, outcome, "", nowMs);
  }

  #reset(code: ResetCode, reason: string, outcome: Outcome, detail: string, nowMs: number): void {
    const { session } = this;
    session.to("reset");
    this.#resetFrame = encodeReset(code, session.receiver.committed, reason);
    this.tellOutcome(outcome, "", detail);
    this.timers.clearAll();
    this.inUse?.timers.clearAll();
    this.timers.set("reset-answer", nowMs + RESET_ANSWERED_WITHIN_MS);
    if (this.adopted === undefined) this.onResetWithoutConnection();
    else this.adopted.send(this.#resetFrame);
  }

  /** The session was reset, and there is no connection to tell the peer. */
  protected abstract onResetWithoutConnection(): void;

  protected get resetFrame(): Buffer {
    if (this.#resetFrame === undefined) throw new Error("no reset was made");
    return this.#resetFrame;
  }

  /** Ends the link without telling the peer: to the peer it looks as if our process had died. */
  abandon(outcome: Outcome): void {
    this.tellOutcome(outcome, "", "");
    this.becomeGone("abandoned");
  }

  // ── the connection in use ───────────────────────────────────────────────────────────────────────────────────────

  /** The channel of the connection in use. */
  get adopted(): Channel | undefined {
    return this.inUse?.channel;
  }

  /** The channel speaks for the session from now on. `session.adopt()` was called before. */
  protected adopt(channel: Channel, nowMs: number): void {
    this.inUse = new ConnectionInUse(channel, this.options.keepalive, this.entropy, nowMs);
    this.timers.clear("expiry");
    // The session was reset during a takeover, which has fenced the old connection: the new one tells the peer.
    if (this.session.phase === "reset") channel.send(this.resetFrame);
  }

  /**
   * The application doubts the path: the peer is asked for a sign of life. Answers true if that is to be written; does
   * nothing where there is no connection.
   */
  ping(nowMs: number): boolean {
    return this.session.phase === "live" && this.inUse?.onDoubted(nowMs) === true;
  }

  /** Takes a frame of the connection in use. Answers a fault if the frame is not legal now. */
  protected onAdoptedFrame(channel: Channel, frame: Frame, nowMs: number): Fault | undefined {
    switch (frame.type) {
      case "ack":
        return this.onAck(channel, frame.positions, nowMs);
      case "ping":
        channel.owePong(frame.token);
        return undefined;
      case "pong":
        if (this.inUse?.onPong(frame.token, nowMs) === true) this.onRecovered();
        return undefined;
      case "reset":
        this.onReset(channel, frame.code, frame.accepted, frame.reason, nowMs);
        return undefined;
      default:
        return { code: "bad-frame", detail: `unexpected ${frame.type} frame` };
    }
  }

  protected override onAck(channel: Channel, positions: Positions, nowMs: number): Fault | undefined {
    const { session } = this;
    if (session.phase === "reset" || session.phase === "gone") return undefined;
    const progress = session.onAck(positions);
    if (typeof progress !== "boolean") return progress;
    if (progress) {
      channel.flight.onReceived(session.sender.peerReceived, nowMs);
      const inFlight = session.sender.sentNow > session.sender.peerReceived;
      if (this.inUse?.onProgress(inFlight, nowMs) === true) this.onRecovered();
    }
    this.checkThrough();
    return undefined;
  }

  protected onAdoptedData(offset: number, bytes: Buffer, flags: number): Fault | undefined {
    const { session } = this;
    if (session.phase === "reset" || session.phase === "gone") return undefined;
    const problem = session.onData(offset, bytes, flags);
    if (problem !== undefined) return problem;
    this.inUse?.dataArrived();
    this.checkThrough();
    return undefined;
  }

  protected onReset(channel: Channel, code: ResetCode, accepted: number, reason: string, nowMs: number): void {
    const { session } = this;
    // Echo the reset even if our session is complete: the peer keeps its session until then.
    if (session.phase !== "reset") channel.send(encodeReset(code, session.receiver.committed, ""));
    if (session.phase === "live") {
      if (accepted <= session.sender.highestSent) session.sender.onAccepted(accepted);
      if (code === "handler-failed" && this.onPeerHandlerFailed(channel, nowMs)) return;
      this.tellOutcome(RESET_OUTCOMES[code], reason, "");
    }
    this.becomeGone(`reset by the peer: ${code}`, { flush: true });
  }

  /** A client opens a new session instead of ending; answers whether it did. */
  protected abstract onPeerHandlerFailed(channel: Channel, nowMs: number): boolean;

  /** The evidence has come back before a replacement took over. */
  protected onRecovered(): void {
    this.events.push({ type: "recovered" });
  }

  protected abstract onSuspect(reason: string, nowMs: number): void;

  /** The connection in use is gone, or is to be closed. */
  protected dropAdopted(reason: string, nowMs: number, problem?: Fault): void {
    const channel = this.adopted;
    if (channel === undefined) return;
    if (!channel.closed) this.closeChannel(channel, reason, { problem });
    this.#lastRttMs = this.lastRttMs;
    this.inUse = undefined;
    if (this.gone) return;
    this.onDisconnected(nowMs);
    if (!this.ended) this.events.push({ type: "disconnected", reason, fault: problem });
  }

  /** The session has lost its connection, and with it the credit that was given on it. */
  protected abstract onDisconnected(nowMs: number): void;

  protected closeChannel(channel: Channel, reason: string, { problem, flush = false, lingerMs }: Closing = {}): void {
    if (channel.closed) return;
    const last: Buffer[] | undefined = flush ? [] : undefined;
    if (last !== undefined) channel.drainInto(last);
    channel.close();
    this.events.push({ type: "close-connection", channel: channel.id, last, reason, fault: problem, lingerMs });
  }

  /**
   * A fault that a resume would meet again ends the link; any other closes the connection, and a resume puts it right.
   */
  onFault(channel: Channel, problem: Fault, nowMs: number): void {
    if (problem.code === "impossible-position" || this.#recurs(problem)) {
      this.fail(problem, nowMs);
      this.closeChannel(channel, problem.code, { problem, flush: true });
    }
    this.dropAdopted(problem.code, nowMs, problem);
  }

  #recurs(problem: Fault): boolean {
    return (this.#mistakes ??= new Mistakes()).recurs(problem, this.session);
  }

  /** Ends the link. A live session is reset, so that a peer that has not read why hears so when it comes back. */
  protected fail(problem: Fault, nowMs: number): void {
    if (this.session.phase !== "live") return this.becomeGone(problem.code, { flush: true });
    this.#reset("protocol", "", "protocol-error", problem.detail, nowMs);
  }

  /** Whoever hands messages out does not know the time, so it is the next tick that ends the link. */
  protected override onUnreadable(): void {
    this.timers.set("unreadable", 0);
  }

  #failUnreadable(nowMs: number): void {
    const { phase, receiver } = this.session;
    if (phase === "live" && receiver.problem !== undefined) this.fail(receiver.problem, nowMs);
  }

  // ── endings ─────────────────────────────────────────────────────────────────────────────────────────────────────

  override checkThrough(): void {
    const { session } = this;
    if (session.checkThrough()) this.onThrough();
    if (session.phase === "done" && session.peerDone && session.doneStated) this.becomeGone("closed", { flush: true });
  }

  protected onThrough(): void {
    this.tellOutcome("closed", "", "");
  }

  protected becomeGone(reason: string, closing?: Closing): void {
    const { session } = this;
    if (session.phase === "gone") return;
    session.to("forgotten");
    session.release();
    this.leaveConnections(reason, closing);
    this.onGone();
    this.events.push({ type: "gone" });
  }

  protected onGone(): void {}

  /** Lets go of the connections: the session does not need them any more. */
  protected leaveConnections(reason: string, closing?: Closing): void {
    this.timers.clearAll();
    const channel = this.adopted;
    this.inUse = undefined;
    if (channel !== undefined) this.closeChannel(channel, reason, closing);
  }

  // ── time and output ─────────────────────────────────────────────────────────────────────────────────────────────

  /** On the monotonic clock; Infinity if nothing is due. */
  get nextTimeoutMs(): number {
    const { inUse, timers } = this;
    return inUse === undefined ? timers.nextMs : Math.min(timers.nextMs, inUse.timers.nextMs);
  }

  tick(nowMs: number): void {
    if (this.inUse !== undefined) this.#tickInUse(this.inUse, nowMs);
    for (const { name } of this.timers.takeDue(nowMs)) {
      if (this.gone) return;
      switch (name) {
        case "unreadable":
          this.#failUnreadable(nowMs);
          break;
        case "reset-answer":
          this.onResetUnanswered(nowMs);
          break;
        case "expiry":
          this.onExpiry(nowMs);
          break;
        case "standby":
          this.onStandbyTimer(nowMs);
          break;
      }
    }
  }

  #tickInUse(inUse: ConnectionInUse, nowMs: number): void {
    for (const { name, dueMs } of inUse.timers.takeDue(nowMs)) {
      // An earlier timer has ended the link, or given the connection up.
      if (this.inUse !== inUse) return;
      switch (name) {
        case "evidence":
          if (inUse.check(nowMs, dueMs)) this.onSuspect("no evidence", nowMs);
          break;
        case "ack":
          if (this.session.ackOwed === "later") this.session.ackOwed = "turn";
          break;
        case "silence":
          this.onSilenceTimer(nowMs);
          break;
      }
    }
  }

  /** The peer has not echoed our reset. */
  protected abstract onResetUnanswered(nowMs: number): void;
  protected abstract onExpiry(nowMs: number): void;
  /** Only clients have standbys. */
  protected onStandbyTimer(_nowMs: number): void {}
  /** Only servers close connections that stay silent. */
  protected onSilenceTimer(_nowMs: number): void {}

  /**
   * Everything that has arrived in this turn of the event loop was handed in: an ACK that is owed for it is due.
   * Answers whether there is anything to write.
   */
  endTurn(): boolean {
    const isAckDue = this.inUse?.endTurn(this.session) === true;
    this.session.receiver.rest();
    return isAckDue;
  }

  /** `endTurn()` is to be called: an ACK is owed, or unread bytes may hold too much memory. */
  get awaitsEndOfTurn(): boolean {
    return this.inUse?.isAckHeld(this.session) === true || this.session.receiver.needsRest;
  }

  /** The bytes that the connection in use should write now, at most about `roomBytes`. */
  protected transmitInUse(inUse: ConnectionInUse, roomBytes: number, mayWriteData: boolean, nowMs: number): Buffer[] {
    const { session } = this;
    const { channel } = inUse;
    const out: Buffer[] = [];
    channel.drainInto(out);
    if (session.phase === "reset" || session.phase === "gone" || channel.closed) return out;
    const writesData = mayWriteData && session.mayWrite(channel.flight);
    if (inUse.isAckDue(session) || (writesData && inUse.isAckDueWithData(session, nowMs))) {
      out.push(inUse.takeAck(session, nowMs));
      if (session.phase === "done") {
        session.doneStated = true;
        this.checkThrough();
        // The peer answers with its own `done`. If that does not come, the path is suspect, as with data in flight.
        if (!this.gone) inUse.awaitProgress(nowMs);
        return out;
      }
    } else if (session.ackOwed === "later") {
      inUse.timers.atLatest("ack", nowMs + this.options.ackDelayMs);
    }
    if (writesData && session.write(out, roomBytes, channel.flight, nowMs) > 0) inUse.dataWritten(nowMs);
    return out;
  }
}
