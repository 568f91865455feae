/**
 * The core of one link at a client: which connection is dialled for what, which of them speaks for the session, and how
 * another takes over from it. `replacing-link-core.ts` replaces the session itself.
 */
import { Channel, type FrameTaker } from "../session/channel.ts";
import { type ClientLinkCoreOptions, ReplacingLinkCore } from "./replacing-link-core.ts";
import { frameMask } from "../wire/frame-rules.ts";
import { type Fault, fault } from "../wire/faults.ts";
import {
  encodePositionsFrame,
  encodeReset,
  type Frame,
  type Positions,
  type RefuseCode,
  type Welcome,
} from "../wire/frames.ts";
import { type Closing, RESET_ANSWERED_WITHIN_MS } from "../session/link-core.ts";
import { ASKED_AWAY } from "../session/link-events.ts";
import { Primary, WELCOME_FRAMES } from "./primary.ts";
import { COMMIT_FRAMES, Standby, STANDBY_FRAMES } from "./standby.ts";

export type { ClientLinkCoreOptions };
export type DialRole = "primary" | "standby";

const ADOPTED_FRAMES = frameMask("data", "ack", "ping", "pong", "reset", "refuse", "goaway", "later");

type AttemptFailure = { refused?: RefuseCode; retryAfterMs?: number; problem?: Fault };
type StandbyFailure = { timedOut?: boolean; retryAfterMs?: number };

export class ClientLinkCore extends ReplacingLinkCore implements FrameTaker {
  readonly #primary: Primary = new Primary();
  readonly #standby: Standby = new Standby(this.options.keepalive.suspectAfterMs);

  /** A connection is to be dialled to speak for the session. */
  get wantsDial(): boolean {
    const { phase } = this.session;
    if (phase === "gone" || this.adopted !== undefined || this.#primary.channel !== undefined) return false;
    return this.#standby.channel === undefined && (phase !== "reset" || this.#primary.mayTellReset);
  }

  /** A second connection is to be dialled, since the first has gone silent. */
  get wantsStandby(): boolean {
    const { due, channel } = this.#standby;
    return due && channel === undefined && this.adopted !== undefined && this.#isResumable;
  }

  /** How long a standby may take, from its dial to READY. */
  get standbyPatienceMs(): number {
    return this.#standby.patienceMs(this.adopted?.roundTrip.smoothedMs);
  }

  /** A live session, or a tombstone that is done: that one may have become suspect while it was live. */
  get #isResumable(): boolean {
    const { phase } = this.session;
    return phase === "live" || phase === "done";
  }

  // ── connections ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** A dial succeeded. The newest attempt replaces an older one. */
  connectionOpened(id: number, role: DialRole, credentials: Buffer, nowMs: number): void {
    const channel = new Channel(id, role === "standby" ? STANDBY_FRAMES : WELCOME_FRAMES, nowMs);
    if (this.gone) return this.closeChannel(channel, "gone");
    if (role === "standby") {
      if (!this.#isResumable || this.#standby.channel !== undefined || !this.#standby.due) {
        return this.closeChannel(channel, "not needed");
      }
      this.#standby.opened(channel);
      channel.send(this.hello("standby", credentials));
      return;
    }
    // A connection is in use; a resume HELLO would carry positions that its ACKs may outrun.
    if (this.adopted !== undefined || this.#standby.channel !== undefined) {
      return this.closeChannel(channel, "not needed");
    }
    const isReset = this.session.phase === "reset";
    this.#drop(this.#primary, "replaced");
    this.#primary.opened(channel, isReset);
    channel.send(this.hello("hello", credentials));
    if (isReset && this.introduction.known) channel.send(this.resetFrame);
  }

  /** A connection is gone, for whatever reason. */
  connectionClosed(id: number, reason: string, nowMs: number): void {
    if (this.adopted?.id === id) {
      this.adopted.close();
      this.dropAdopted(reason, nowMs);
    } else if (this.#primary.channel?.id === id) {
      this.#primary.channel.close();
      this.#attemptFailed(this.#primary.channel, reason);
    } else if (this.#standby.channel?.id === id) {
      this.#standby.channel.close();
      this.#standbyFailed(reason, nowMs);
    }
  }

  /** The standby's dial failed before there was a connection. */
  standbyDialFailed(nowMs: number, { timedOut }: { timedOut: boolean }): void {
    this.#standbyFailed("dial failed", nowMs, { timedOut });
  }

  /** The standby took longer than its patience from its dial to READY. */
  standbyTimedOut(id: number, nowMs: number): void {
    if (this.#standby.channel?.id !== id || this.#standby.committing) return;
    this.#standbyFailed("timed out", nowMs, { timedOut: true });
  }

  #standbyFailed(reason: string, nowMs: number, { timedOut = false, retryAfterMs = 0 }: StandbyFailure = {}): void {
    const { committing } = this.#standby;
    this.#drop(this.#standby, reason);
    if (committing) {
      // COMMIT cannot be taken back: the server may have fenced the old connection, and only a resume can tell.
      if (this.adopted === undefined) this.session.loseConnection();
      else this.dropAdopted("takeover interrupted", nowMs);
      return;
    }
    if (timedOut) this.#standby.timedOut();
    if (this.inUse?.suspect !== true) return;
    this.#standby.due = false;
    if (timedOut) return this.timers.set("standby", nowMs);
    const pauseMs = this.#standby.pauseMs(retryAfterMs, this.standbyPatienceMs, this.entropy.random());
    this.timers.set("standby", nowMs + pauseMs);
  }

  #drop(dialled: Primary | Standby, reason: string, closing?: Closing): void {
    const { channel } = dialled;
    dialled.clear();
    if (channel !== undefined) this.closeChannel(channel, reason, closing);
  }

  protected override onDisconnected(nowMs: number): void {
    this.#standby.due = false;
    // After COMMIT its credit is in force, and the standby waits for COMMITTED.
    if (!this.#standby.committing) {
      this.session.loseConnection();
      this.timers.clear("standby");
    }
    this.awaitExpiry(nowMs);
  }

  #attemptFailed(channel: Channel, reason: string, { refused, retryAfterMs = 0, problem }: AttemptFailure = {}): void {
    if (this.#primary.channel === channel) this.#primary.clear();
    this.closeChannel(channel, reason, { problem });
    if (this.session.phase === "reset" && !this.#primary.mayTellReset) return this.becomeGone(reason);
    this.events.push({ type: "attempt-failed", channel: channel.id, reason, refused, retryAfterMs, fault: problem });
  }

  // ── input ───────────────────────────────────────────────────────────────────────────────────────────────────────

  receive(id: number, chunk: Buffer, nowMs: number): void {
    const channel = this.#channel(id);
    if (channel === undefined || channel.closed) return;
    if (channel === this.adopted) this.inUse?.onHeard(nowMs);
    const problem = channel.receive(chunk, this, nowMs);
    if (problem !== undefined && !channel.closed) this.#onProblem(channel, problem, nowMs);
  }

  #channel(id: number): Channel | undefined {
    if (this.adopted?.id === id) return this.adopted;
    if (this.#primary.channel?.id === id) return this.#primary.channel;
    return this.#standby.channel?.id === id ? this.#standby.channel : undefined;
  }

  #onProblem(channel: Channel, problem: Fault, nowMs: number): void {
    if (channel === this.adopted) {
      this.onFault(channel, problem, nowMs);
    } else if (channel === this.#primary.channel) {
      if (problem.code === "impossible-position") {
        this.#primary.clear();
        this.#failOn(channel, problem, nowMs);
      }
      this.#attemptFailed(channel, problem.code, { problem });
    } else {
      this.#standbyFailed(problem.code, nowMs);
    }
  }

  /** The server has stated a position that the session cannot have. */
  #failOn(channel: Channel, problem: Fault, nowMs: number): void {
    channel.send(encodeReset("protocol", this.session.receiver.committed, ""));
    this.fail(problem, nowMs);
    this.closeChannel(channel, problem.code, { problem, flush: true });
  }

  onData(channel: Channel, offset: number, bytes: Buffer, flags: number): Fault | undefined {
    if (channel !== this.adopted) return fault("bad-frame", "DATA on a connection that does not speak for the session");
    const problem = this.onAdoptedData(offset, bytes, flags);
    // A frame that is a fault does not prove that the server has received our CONFIRM.
    if (problem === undefined && channel === this.adopted) this.introduction.confirmed = true;
    return problem;
  }

  protected get isSettled(): boolean {
    return this.introduction.confirmed && !this.#standby.committing;
  }

  onFrame(channel: Channel, frame: Frame, nowMs: number): Fault | undefined {
    if (frame.type === "ping") {
      channel.owePong(frame.token);
      return undefined;
    }
    if (frame.type === "later") return this.#onLater(frame.retryAfterMs, nowMs);
    if (channel === this.adopted) return this.#onFrameInUse(channel, frame, nowMs);
    if (frame.type === "pong") return undefined;
    return channel === this.#primary.channel
      ? this.#onAnswer(channel, frame, nowMs)
      : this.#onStandbyAnswer(channel, frame, nowMs);
  }

  #onFrameInUse(channel: Channel, frame: Frame, nowMs: number): Fault | undefined {
    if (frame.type === "ack") this.introduction.confirmed = true;
    if (frame.type === "goaway") this.leave();
    else if (frame.type !== "refuse") return this.onAdoptedFrame(channel, frame, nowMs);
    else if (frame.code !== "taken-over") return fault("bad-frame", `REFUSE ${frame.code} on a connection in use`);
    else this.endRefused(frame.code, "");
    return undefined;
  }

  /** The server has let go of the session's connections, and reads them no more. The session waits there. */
  #onLater(retryAfterMs: number, nowMs: number): undefined {
    if (this.#standby.committing) this.#standbyFailed(ASKED_AWAY, nowMs);
    else this.dropConnections(ASKED_AWAY, nowMs);
    this.events.push({ type: "shed", retryAfterMs });
  }

  #onAnswer(channel: Channel, frame: Frame, nowMs: number): Fault | undefined {
    switch (frame.type) {
      case "welcome":
        return this.#onWelcome(channel, frame.welcome, nowMs);
      case "reason":
        this.#primary.reason = frame.text;
        return undefined;
      case "refuse":
        if (frame.code === "session-lost" && !this.introduction.known) return fault("bad-frame", "an open was lost");
        this.#onRefuse(channel, frame.code, frame.retryAfterMs, nowMs);
        return undefined;
      case "reset":
        this.onReset(channel, frame.code, frame.accepted, frame.reason, nowMs);
        // The link may go on in another session: the dial loop that waits for this connection dials again.
        this.#attemptFailed(channel, "reset");
        return undefined;
      default:
        return fault("bad-frame", `unexpected ${frame.type} frame`);
    }
  }

  #onWelcome(channel: Channel, welcome: Welcome, nowMs: number): Fault | undefined {
    const { introduction, session } = this;
    const problem = introduction.checkWelcome(welcome, session);
    if (problem !== undefined) return problem;
    channel.roundTrip.sample(nowMs - channel.openedMs);
    this.#standby.lastRoundTripMs = nowMs - channel.openedMs;
    if (!this.isLive && !this.isMoving && welcome.result === "lost") {
      this.becomeGone("session lost");
      return undefined;
    }
    if (session.phase === "reset") {
      // Aborted while HELLO was unanswered: the server has a session that nobody wants, or will soon have one.
      channel.send(this.resetFrame);
      this.becomeGone("reset", { flush: true });
      return undefined;
    }
    const impossible = this.welcomed(welcome);
    if (impossible !== undefined) return impossible;
    this.#primary.clear();
    // The session may have been replaced.
    if (!introduction.confirmed) channel.send(introduction.confirm(this.session, welcome.nonce));
    if (welcome.result === "resumed") this.#use(channel, "resumed", "resumed", welcome.goaway, nowMs);
    else this.#use(channel, "new", this.newSessionReason, welcome.goaway, nowMs);
    return undefined;
  }

  /** The session has adopted the channel. */
  #use(channel: Channel, session: "new" | "resumed", reason: string, goaway: boolean, nowMs: number): void {
    channel.decoder.expect = ADOPTED_FRAMES;
    this.adopt(channel, nowMs);
    this.#standby.calm();
    this.events.push({ type: "connected", channel: channel.id, session, reason });
    if (goaway) this.leave();
    this.checkThrough();
  }

  #onRefuse(channel: Channel, code: RefuseCode, retryAfterMs: number, nowMs: number): void {
    // The attempt fails by this refusal, not by the loss of the session.
    if (code === "session-lost") this.#primary.clear();
    this.refused(code, code === "authentication" || code === "mismatch" ? this.#primary.reason : "", nowMs);
    this.#attemptFailed(channel, code, { refused: code, retryAfterMs });
  }

  // ── a standby ───────────────────────────────────────────────────────────────────────────────────────────────────

  protected override onSuspect(reason: string, nowMs: number): void {
    // What the old connection shows after COMMIT decides nothing any more.
    if (this.#standby.committing) return;
    // A standby has nothing to take over from a tombstone, or from a session that may still wait for CONFIRM: resume.
    if (!this.isLive || !this.introduction.confirmed) return this.dropAdopted(reason, nowMs);
    this.events.push({ type: "suspect", reason });
    this.#standby.suspect(nowMs);
  }

  protected override onStandbyTimer(nowMs: number): void {
    if (this.#standby.committing) this.#standbyFailed("takeover timed out", nowMs, { timedOut: true });
    else if (this.inUse?.suspect === true) this.#standby.due = true;
  }

  protected override onRecovered(): void {
    if (this.#standby.committing) return;
    this.timers.clear("standby");
    this.#standby.due = false;
    this.#standby.calm();
    this.#drop(this.#standby, "not needed");
    super.onRecovered();
  }

  #onStandbyAnswer(channel: Channel, frame: Frame, nowMs: number): Fault | undefined {
    switch (frame.type) {
      case "ready":
        // If the suspicion was unfounded, the standby was dropped already.
        channel.roundTrip.sample(nowMs - channel.openedMs);
        this.#standby.commit();
        channel.decoder.expect = COMMIT_FRAMES;
        channel.send(encodePositionsFrame("commit", this.session.positions()));
        this.timers.set("standby", nowMs + this.standbyPatienceMs);
        return undefined;
      case "committed":
        this.#onCommitted(channel, frame.positions, frame.goaway, nowMs);
        return undefined;
      case "refuse":
        this.#standbyFailed(frame.code, nowMs, { retryAfterMs: frame.retryAfterMs });
        if (this.#standby.refused(frame.code, nowMs)) {
          this.dropAdopted("silent, and unknown to whom answers", nowMs);
        }
        return undefined;
      case "reset":
        this.#standby.clear();
        this.onReset(channel, frame.code, frame.accepted, frame.reason, nowMs);
        this.closeChannel(channel, "reset", { flush: true });
        return undefined;
      default:
        return fault("bad-frame", `unexpected ${frame.type} frame`);
    }
  }

  #onCommitted(channel: Channel, positions: Positions, goaway: boolean, nowMs: number): void {
    const old = this.adopted;
    this.#standby.clear();
    this.inUse = undefined;
    if (old !== undefined) this.closeChannel(old, "taken over by a standby");
    const impossible = this.session.adopt(positions, false);
    if (impossible !== undefined) return this.#failOn(channel, impossible, nowMs);
    this.#standby.lastRoundTripMs = channel.roundTrip.leastMs;
    this.#use(channel, "resumed", "standby", goaway, nowMs);
  }

  // ── endings, time and output ────────────────────────────────────────────────────────────────────────────────────

  protected override onExpiry(nowMs: number): void {
    const { channel } = this.#primary;
    if (channel !== undefined) this.#attemptFailed(channel, "session expired");
    this.sessionLost(nowMs);
  }

  protected override dropConnections(reason: string, nowMs: number): void {
    this.#drop(this.#standby, reason);
    this.dropAdopted(reason, nowMs);
  }

  protected override onResetWithoutConnection(): void {
    this.#drop(this.#standby, "reset");
    // One more dial tells the server, unless the answer to a HELLO comes first.
    if (this.introduction.known) return;
    // The server has no session, or will forget an unconfirmed one by itself.
    if (this.#primary.channel === undefined) this.becomeGone("reset");
    else this.#primary.tellsReset();
  }

  /** The reset got lost: one more dial tells the server, if it can be reached in another `RESET_ANSWERED_WITHIN_MS`. */
  protected override onResetUnanswered(nowMs: number): void {
    if (this.adopted === undefined || !this.#primary.mayTellReset) return this.becomeGone("lingered");
    this.dropAdopted("reset was not answered", nowMs);
    this.timers.set("reset-answer", nowMs + RESET_ANSWERED_WITHIN_MS);
  }

  protected override leaveConnections(reason: string, closing?: Closing): void {
    super.leaveConnections(reason, closing);
    this.#drop(this.#primary, reason, closing);
    this.#drop(this.#standby, reason, closing);
  }

  /** The bytes that the connection should write now: control frames, and at most about `roomBytes` of data. */
  transmit(id: number, roomBytes: number, nowMs: number): Buffer[] {
    const channel = this.#channel(id);
    if (channel === undefined) return [];
    const { inUse } = this;
    if (channel === inUse?.channel) return this.transmitInUse(inUse, roomBytes, !this.#standby.committing, nowMs);
    const out: Buffer[] = [];
    channel.drainInto(out);
    return out;
  }
}
