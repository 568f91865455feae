/**
 * The client's end of a durable link: which connection it dials for what, which of them speaks for the session, and what
 * becomes of the session when the server no longer knows it.
 */
import { Channel } from "./channel.ts";
import { type Fault, fault } from "./faults.ts";
import {
  encodeConfirm,
  encodeHello,
  encodePositionsFrame,
  encodeReset,
  type Frame,
  frameMask,
  type FrameSink,
  type Hello,
  PROTOCOL_VERSION,
  type RefuseCode,
  type Welcome,
} from "./frames.ts";
import { confirmMac, encodeProvenHello, type Entropy, newKeys, secretBytes, type SessionKeys } from "./handshake.ts";
import { LINGER_MS, LinkCore, type LinkCoreOptions } from "./link-core.ts";
import { Sender } from "./sender.ts";
import { Session } from "./session.ts";

export interface ClientCoreOptions extends LinkCoreOptions {
  /** One for each process. */
  instance: string;
  /** Of the process; raised when an outbox is reopened, 1 without one. */
  epoch: number;
  openPayload: Buffer;
  whenSessionLost: "report" | "resend" | "end";
}

export type DialRole = "primary" | "standby";

const WELCOME_FRAMES = frameMask("welcome", "refuse", "reset", "ping", "pong");
const STANDBY_FRAMES = frameMask("ready", "refuse", "committed", "reset", "ping", "pong");
const ADOPTED_FRAMES = frameMask("data", "ack", "ping", "pong", "reset", "refuse");
const FIRST_PATIENCE_MS = 1_000;
const PATIENT_ROUND_TRIPS = 8;
const MOST_PATIENCE_MS = 60_000;
/**
 * Whom we reach does not know the session, so often and for so long: the old connection is given up, and a resume tells.
 * Until then another node may be answering for a server that lives.
 */
const REFUSALS_UNTIL_RESUME = 3;
const SUSPECT_UNTIL_RESUME_MS = 15_000;

interface Standby {
  channel: Channel;
  state: "opening" | "committing";
}

export class ClientCore extends LinkCore {
  protected declare readonly options: ClientCoreOptions;
  /** Rises with each HELLO and STANDBY, over all sessions of the link. */
  #counter = 0;
  /** A WELCOME made the session known: it is resumed from now on, not opened. */
  #known = false;
  /** The server has spoken after our CONFIRM, so it has it. */
  #confirmed = false;
  #fallback: SessionKeys | undefined;
  #attempt: Channel | undefined;
  #standby: Standby | undefined;
  #standbysTimedOut = 0;
  #suspectSinceMs = 0;
  #standbysUnknown = 0;
  /** A standby is wanted and may be dialled. */
  #standbyDue = false;
  #resumeForMs = Infinity;
  #resetsLeft = 1;
  #lastRoundTripMs = 0;

  constructor(options: ClientCoreOptions, entropy: Entropy) {
    super(options, new Session(newKeys(entropy), options), entropy);
  }

  /** A connection is to be dialled to speak for the session. */
  get wantsDial(): boolean {
    const { phase } = this.session;
    if (phase === "gone" || this.adopted !== undefined || this.#attempt !== undefined) return false;
    return this.#standby === undefined && (phase !== "reset" || this.#resetsLeft > 0);
  }

  /** A second connection is to be dialled, since the first has gone silent. */
  get wantsStandby(): boolean {
    return this.#standbyDue && this.#standby === undefined && this.adopted !== undefined && this.#isLive;
  }

  /** How long a standby may take, from its dial to READY. */
  get standbyPatienceMs(): number {
    const first = Math.max(FIRST_PATIENCE_MS, PATIENT_ROUND_TRIPS * this.#lastRoundTripMs);
    return Math.min(MOST_PATIENCE_MS, first * 1.5 ** this.#standbysTimedOut);
  }

  get sessionKnown(): boolean {
    return this.#known;
  }

  get #isLive(): boolean {
    return this.session.phase === "live";
  }

  // ── connections ─────────────────────────────────────────────────────────────────────────────────────────────────

  /** A dial succeeded. The newest attempt replaces an older one. */
  connectionOpened(id: number, role: DialRole, credentials: Buffer, nowMs: number): void {
    const channel = new Channel(id, role === "standby" ? STANDBY_FRAMES : WELCOME_FRAMES, nowMs);
    if (this.gone) return this.closeChannel(channel, "gone", undefined);
    if (role === "standby") {
      if (!this.#isLive || this.#standby !== undefined || !this.#standbyDue) {
        return this.closeChannel(channel, "not needed", undefined);
      }
      this.#standbyDue = false;
      this.#standby = { channel, state: "opening" };
      channel.send(this.#hello("standby", credentials));
      return;
    }
    if (this.#attempt !== undefined) this.closeChannel(this.#attempt, "replaced", undefined);
    this.#attempt = channel;
    channel.send(this.#hello("hello", credentials));
    if (this.session.phase === "reset") {
      this.#resetsLeft--;
      if (this.#known) channel.send(this.resetFrame);
    }
  }

  #hello(type: "hello" | "standby", credentials: Buffer): Buffer {
    const { session, options, entropy } = this;
    const resume = type === "standby" || this.#known;
    this.#counter++;
    const hello: Hello = {
      version: PROTOCOL_VERSION,
      mode: options.mode,
      resume,
      sessionId: session.keys.id,
      incarnation: session.incarnation,
      generation: { epoch: options.epoch, counter: this.#counter },
      instance: options.instance,
      positions: session.positions(),
      maxMessageBytes: options.maxMessageBytes,
      secretOrProof: resume ? Buffer.alloc(0) : secretBytes(session.keys.secret),
      fallback: undefined,
      credentials,
      openPayload: type === "standby" ? Buffer.alloc(0) : options.openPayload,
    };
    if (!resume) return encodeHello(type, hello);
    if (type === "hello" && this.#offersFallback) {
      this.#fallback ??= newKeys(entropy);
      hello.fallback = { id: this.#fallback.id, secret: secretBytes(this.#fallback.secret) };
    }
    return encodeProvenHello(entropy, type, hello, session.keys.secret);
  }

  /** A new session would open again a direction that has ended, and would tear a byte stream. */
  get #offersFallback(): boolean {
    const { session, options } = this;
    return (
      this.#isLive &&
      options.whenSessionLost !== "end" &&
      options.mode === "messages" &&
      session.sender.endKind === "none" &&
      session.receiver.endKind === "none" &&
      !session.receiver.stopped &&
      !session.peerStopped
    );
  }

  /** A connection is gone, for whatever reason, or a dial for a standby came to nothing (`id` undefined). */
  connectionClosed(id: number, reason: string, nowMs: number): void {
    if (this.adopted?.id === id) {
      this.adopted.close();
      this.dropAdopted(reason, undefined, nowMs);
    } else if (this.#attempt?.id === id) {
      const channel = this.#attempt;
      channel.close();
      this.#attemptFailed(channel, reason, 0, undefined);
    } else if (this.#standby?.channel.id === id) {
      this.#standby.channel.close();
      this.#standbyFailed(reason, false, 0, nowMs);
    }
  }

  /** The standby's dial failed before there was a connection. */
  standbyDialFailed(timedOut: boolean, nowMs: number): void {
    this.#standbyFailed("dial failed", timedOut, 0, nowMs);
  }

  /** It took longer than its patience, from dial to READY. */
  standbyTimedOut(nowMs: number): void {
    if (this.#standby?.state === "committing") return;
    this.#standbyFailed("timed out", true, 0, nowMs);
  }

  #standbyFailed(reason: string, timedOut: boolean, retryAfterMs: number, nowMs: number): void {
    const standby = this.#standby;
    this.#standby = undefined;
    if (standby !== undefined) this.closeChannel(standby.channel, reason, undefined);
    if (standby?.state === "committing") {
      // COMMIT cannot be taken back: the server may have fenced the old connection. Only a resume can tell.
      this.dropAdopted("takeover interrupted", undefined, nowMs);
      return;
    }
    if (timedOut) this.#standbysTimedOut++;
    if (this.evidence?.suspect !== true) return;
    this.#standbyDue = false;
    const pause = timedOut ? 0 : this.standbyPatienceMs * (0.5 + 0.5 * this.entropy.random());
    this.timers.set("standby", nowMs + Math.max(retryAfterMs, pause));
  }

  protected override onDisconnected(nowMs: number): void {
    this.timers.clear("standby");
    this.#standbyDue = false;
    if (this.#isLive && this.#resumeForMs !== Infinity) this.timers.set("expiry", nowMs + this.#resumeForMs);
  }

  #attemptFailed(channel: Channel, reason: string, retryAfterMs: number, problem: Fault | undefined): void {
    if (this.#attempt === channel) this.#attempt = undefined;
    this.closeChannel(channel, reason, problem);
    if (this.session.phase === "reset" && this.#resetsLeft <= 0) return this.becomeGone(reason, false);
    this.events.push({ type: "attempt-failed", channel: channel.id, reason, retryAfterMs, fault: problem });
  }

  // ── input ───────────────────────────────────────────────────────────────────────────────────────────────────────

  receive(id: number, chunk: Buffer, nowMs: number): void {
    const channel = this.#channel(id);
    if (channel === undefined || channel.closed) return;
    if (channel === this.adopted) this.evidence?.onHeard(nowMs);
    let problem: Fault | undefined;
    const sink: FrameSink = {
      onFrame: (frame) => {
        problem ??= this.#onFrame(channel, frame, nowMs);
        if (problem !== undefined) channel.decoder.stop();
      },
      onData: (offset, bytes, flags) => {
        problem ??= this.#onData(channel, offset, bytes, flags);
        if (problem !== undefined) channel.decoder.stop();
      },
    };
    problem = channel.decoder.push(chunk, sink) ?? problem;
    if (problem !== undefined && !channel.closed) this.#onProblem(channel, problem, nowMs);
  }

  #channel(id: number): Channel | undefined {
    if (this.adopted?.id === id) return this.adopted;
    if (this.#attempt?.id === id) return this.#attempt;
    return this.#standby?.channel.id === id ? this.#standby.channel : undefined;
  }

  #onProblem(channel: Channel, problem: Fault, nowMs: number): void {
    if (channel === this.adopted) {
      this.onFault(channel, problem, nowMs);
    } else if (channel === this.#attempt) {
      if (problem.code === "impossible-position") {
        this.#attempt = undefined;
        channel.send(encodeReset("protocol", this.session.receiver.committed, ""));
        this.fail(problem);
        this.closeChannel(channel, problem.code, problem, true);
      } else {
        this.#attemptFailed(channel, problem.code, 0, problem);
      }
    } else {
      this.#standbyFailed(problem.code, false, 0, nowMs);
    }
  }

  #onData(channel: Channel, offset: number, bytes: Buffer, flags: number): Fault | undefined {
    if (channel !== this.adopted) return fault("bad-frame", "DATA on a connection that does not speak for the session");
    this.#confirmed = true;
    return this.onAdoptedData(offset, bytes, flags);
  }

  #onFrame(channel: Channel, frame: Frame, nowMs: number): Fault | undefined {
    if (frame.type === "ping") {
      channel.owePong(frame.token);
      return undefined;
    }
    if (channel === this.adopted) return this.#onFrameInUse(channel, frame, nowMs);
    if (frame.type === "pong") return undefined;
    return channel === this.#attempt
      ? this.#onAnswer(channel, frame, nowMs)
      : this.#onStandbyAnswer(channel, frame, nowMs);
  }

  #onFrameInUse(channel: Channel, frame: Frame, nowMs: number): Fault | undefined {
    switch (frame.type) {
      case "refuse":
        if (frame.code !== "taken-over") return fault("bad-frame", `REFUSE ${frame.code} on a connection in use`);
        this.#end("taken-over", "another process has taken the session over");
        return undefined;
      case "ack":
        this.#confirmed = true;
        return this.onAdoptedFrame(channel, frame, nowMs);
      default:
        return this.onAdoptedFrame(channel, frame, nowMs);
    }
  }

  #onAnswer(channel: Channel, frame: Frame, nowMs: number): Fault | undefined {
    switch (frame.type) {
      case "welcome":
        return this.#onWelcome(channel, frame.welcome, nowMs);
      case "refuse":
        this.#onRefuse(channel, frame.code, frame.retryAfterMs, nowMs);
        return undefined;
      case "reset":
        this.#attempt = undefined;
        this.onReset(channel, frame.code, frame.accepted, frame.reason, nowMs);
        this.closeChannel(channel, "reset", undefined, true);
        return undefined;
      default:
        return fault("bad-frame", `unexpected ${frame.type} frame`);
    }
  }

  #onWelcome(channel: Channel, welcome: Welcome, nowMs: number): Fault | undefined {
    const { session } = this;
    const problem = this.#checkWelcome(welcome);
    if (problem !== undefined) return problem;
    channel.roundTrip.sample(nowMs - channel.openedMs);
    this.#lastRoundTripMs = nowMs - channel.openedMs;
    this.#resumeForMs = welcome.resumeForMs;
    if (session.phase !== "live" && welcome.result === "lost") {
      this.#attempt = undefined;
      this.closeChannel(channel, "session lost", undefined);
      this.becomeGone("session lost", false);
      return undefined;
    }
    if (session.phase === "reset") {
      // Aborted while HELLO was unanswered: the server has, or is about to have, a session that nobody wants.
      this.#attempt = undefined;
      channel.send(this.resetFrame);
      this.closeChannel(channel, "reset", undefined, true);
      this.becomeGone("reset", false);
      return undefined;
    }
    const lost = welcome.result === "lost";
    if (lost) {
      this.#replaceSession(this.#takeFallback(), "session-lost");
      if (this.ended) return undefined;
    }
    return this.#adoptWelcomed(channel, welcome, nowMs);
  }

  #checkWelcome(welcome: Welcome): Fault | undefined {
    if (welcome.result === "new" && this.#known) return fault("bad-frame", "WELCOME new to a resume");
    if (welcome.result !== "new" && !this.#known) return fault("bad-frame", `WELCOME ${welcome.result} to an open`);
    if (welcome.result === "lost" && this.#fallback === undefined) {
      return fault("bad-frame", "WELCOME lost without a fallback");
    }
    if (welcome.result === "resumed" && welcome.incarnation !== this.session.incarnation) {
      return fault("impossible-position", "another incarnation of the session");
    }
    return undefined;
  }

  #takeFallback(): SessionKeys {
    const keys = this.#fallback;
    if (keys === undefined) throw new Error("no fallback was offered");
    this.#fallback = undefined;
    return keys;
  }

  #adoptWelcomed(channel: Channel, welcome: Welcome, nowMs: number): Fault | undefined {
    const fresh = welcome.result !== "resumed";
    if (fresh) {
      this.#known = true;
      this.#confirmed = false;
      this.session.incarnation = welcome.incarnation;
      if (this.options.mode === "messages") this.#dropTooLarge(welcome.maxMessageBytes);
    }
    const { session } = this;
    const impossible = session.adopt(welcome.positions, false);
    if (impossible !== undefined) return impossible;
    this.#attempt = undefined;
    channel.decoder.expect = ADOPTED_FRAMES;
    if (!this.#confirmed) channel.send(this.#confirm(welcome.incarnation, welcome.nonce));
    this.adopt(channel, nowMs);
    this.#standbysTimedOut = 0;
    this.events.push({
      type: "connected",
      channel: channel.id,
      session: fresh ? "new" : "resumed",
      reason: welcome.result === "lost" ? "session-lost" : welcome.result === "new" ? "opened" : "resumed",
    });
    this.settle();
    return undefined;
  }

  #confirm(incarnation: string, nonce: Buffer): Buffer {
    return encodeConfirm(confirmMac(this.entropy, this.session.keys, incarnation, nonce));
  }

  #onRefuse(channel: Channel, code: RefuseCode, retryAfterMs: number, nowMs: number): void {
    switch (code) {
      case "taken-over":
        this.#end("taken-over", "another process has taken the session over");
        break;
      case "authentication":
        this.#end("authentication-refused", "the server refused the credentials, or the session belongs to another");
        break;
      case "mismatch":
        this.#end("mismatch", "the server speaks another version or mode");
        break;
      case "session-lost":
        this.#attempt = undefined;
        this.#sessionLost(nowMs);
        break;
      case "stale":
      case "overloaded":
      case "authentication-unavailable":
      case "no-standby":
      case "draining":
        break;
    }
    this.#attemptFailed(channel, code, retryAfterMs, undefined);
  }

  #end(outcome: "taken-over" | "authentication-refused" | "mismatch", detail: string): void {
    this.tellOutcome(outcome, "", detail);
    this.becomeGone(outcome, false);
  }

  // ── a standby ───────────────────────────────────────────────────────────────────────────────────────────────────

  protected override onSuspect(reason: string, nowMs: number): void {
    if (!this.#isLive || !this.#confirmed) {
      // Nothing to take over: a tombstone, or a session that may still be waiting for our CONFIRM. A resume tells.
      this.dropAdopted(reason, undefined, nowMs);
      return;
    }
    this.events.push({ type: "suspect", reason });
    this.#suspectSinceMs = nowMs;
    this.#standbysUnknown = 0;
    this.#standbyDue = true;
  }

  protected override onStandbyTimer(nowMs: number): void {
    if (this.#standby?.state === "committing") this.#standbyFailed("takeover timed out", true, 0, nowMs);
    else if (this.evidence?.suspect === true) this.#standbyDue = true;
  }

  protected override onRecovered(): void {
    // COMMIT cannot be taken back.
    if (this.#standby?.state === "committing") return;
    this.timers.clear("standby");
    this.#standbyDue = false;
    this.#standbysTimedOut = 0;
    this.#dropStandby("not needed");
    super.onRecovered();
  }

  #dropStandby(reason: string): void {
    if (this.#standby !== undefined) this.closeChannel(this.#standby.channel, reason, undefined);
    this.#standby = undefined;
  }

  #onStandbyAnswer(channel: Channel, frame: Frame, nowMs: number): Fault | undefined {
    const standby = this.#standby;
    if (standby === undefined) throw new Error("an answer on a standby that there is not");
    switch (frame.type) {
      case "ready":
        if (standby.state !== "opening") return fault("bad-frame", "READY twice");
        channel.roundTrip.sample(nowMs - channel.openedMs);
        // A suspicion that was unfounded has dropped the standby already.
        standby.state = "committing";
        channel.send(encodePositionsFrame("commit", this.session.positions()));
        this.timers.set("standby", nowMs + this.standbyPatienceMs);
        return undefined;
      case "committed":
        if (standby.state !== "committing") return fault("bad-frame", "COMMITTED without COMMIT");
        return this.#onCommitted(standby, frame.positions, nowMs);
      case "refuse":
        if (frame.code === "no-standby") this.#standbysUnknown++;
        this.#standbyFailed(frame.code, false, frame.retryAfterMs, nowMs);
        if (
          this.#standbysUnknown >= REFUSALS_UNTIL_RESUME &&
          nowMs - this.#suspectSinceMs >= SUSPECT_UNTIL_RESUME_MS
        ) {
          this.dropAdopted("silent, and unknown to whom answers", undefined, nowMs);
        }
        return undefined;
      case "reset":
        this.#standby = undefined;
        this.onReset(channel, frame.code, frame.accepted, frame.reason, nowMs);
        this.closeChannel(channel, "reset", undefined, true);
        return undefined;
      default:
        return fault("bad-frame", `unexpected ${frame.type} frame`);
    }
  }

  #onCommitted(standby: Standby, positions: Parameters<Session["adopt"]>[0], nowMs: number): Fault | undefined {
    const old = this.adopted;
    this.#standby = undefined;
    this.adopted = undefined;
    if (old !== undefined) this.closeChannel(old, "taken over by a standby", undefined);
    const impossible = this.session.adopt(positions, false);
    if (impossible !== undefined) {
      this.fail(impossible);
      this.closeChannel(standby.channel, impossible.code, impossible, true);
      return undefined;
    }
    this.#lastRoundTripMs = standby.channel.roundTrip.leastMs;
    this.#standbysTimedOut = 0;
    standby.channel.decoder.expect = ADOPTED_FRAMES;
    this.adopt(standby.channel, nowMs);
    this.events.push({ type: "connected", channel: standby.channel.id, session: "resumed", reason: "standby" });
    this.settle();
    return undefined;
  }

  // ── a session that is lost ──────────────────────────────────────────────────────────────────────────────────────

  protected override onExpiry(nowMs: number): void {
    if (!this.#isLive) return;
    if (this.#attempt !== undefined) {
      const channel = this.#attempt;
      this.#attemptFailed(channel, "session expired", 0, undefined);
    }
    this.#sessionLost(nowMs);
  }

  /** Without a fallback in place: the link ends, or opens a new session with its next attempt. */
  #sessionLost(nowMs: number): void {
    if (!this.#isLive) return this.becomeGone("session lost", false);
    if (!this.#offersFallback) {
      const { session } = this;
      const nothingLost = session.inDone && session.sender.unackedBytes === 0;
      this.tellOutcome(nothingLost ? "closed" : "session-lost", "", "the server no longer knows the session");
      this.becomeGone("session lost", false);
      return;
    }
    this.#fallback = undefined;
    this.#known = false;
    this.#confirmed = false;
    this.#dropStandby("session lost");
    this.dropAdopted("session lost", undefined, nowMs);
    this.timers.clear("expiry");
    this.#replaceSession(newKeys(this.entropy), "session-lost");
  }

  protected override onPeerHandlerFailed(channel: Channel, nowMs: number): boolean {
    if (!this.#offersFallback) return false;
    this.closeChannel(channel, "the peer's handler failed", undefined, true);
    this.#sessionLost(nowMs);
    return true;
  }

  /** What is carried over comes first in the new session, in its old order. */
  #replaceSession(keys: SessionKeys, reason: "session-lost"): void {
    const old = this.session;
    const next = new Session(keys, this.options);
    const keepsWritten = this.options.whenSessionLost === "resend";
    next.sender = this.#carry(old, reason, (entry) => entry.delivery === "not-sent" || keepsWritten);
    old.release();
    this.session = next;
  }

  #dropTooLarge(maxMessageBytes: number): void {
    const { session } = this;
    if (maxMessageBytes >= this.options.maxMessageBytes) return;
    session.sender = this.#carry(session, "too-large", (entry) => entry.message.length <= maxMessageBytes);
  }

  #carry(
    old: Session,
    reason: "session-lost" | "too-large",
    keeps: (entry: ReturnType<Sender["undelivered"]>[number]) => boolean,
  ): Sender {
    const sender = new Sender(this.options.mode);
    const undelivered = [];
    const carried = new Map<number, number>();
    for (const entry of old.sender.undelivered()) {
      if (keeps(entry)) {
        sender.take(entry.message, entry.message.length, true);
        carried.set(entry.end, sender.log.end);
        if (entry.delivery === "maybe") sender.carriedWritten = sender.log.end;
      } else {
        undelivered.push({ message: entry.message, delivery: entry.delivery, position: entry.position });
      }
    }
    if (old.sender.endKind !== "none") sender.end("final");
    this.events.push({ type: "replaced", reason, sessionId: old.keys.id, undelivered, carried });
    this.progressed = true;
    return sender;
  }

  // ── endings, time and output ────────────────────────────────────────────────────────────────────────────────────

  protected override onResetWithoutConnection(): void {
    this.#dropStandby("reset");
    // Never known and nothing under way: the server has no session, or one that it forgets by itself.
    if (!this.#known && this.#attempt === undefined) this.becomeGone("reset", false);
    else if (this.#attempt !== undefined) this.#resetsLeft = 0;
  }

  /** The reset was swallowed: one more dial tells the server, if it can be reached within another while. */
  protected override onLinger(nowMs: number): void {
    if (this.adopted === undefined || this.#resetsLeft <= 0) return this.becomeGone("lingered", false);
    this.dropAdopted("reset was not answered", undefined, nowMs);
    this.timers.set("linger", nowMs + LINGER_MS);
  }

  /** Ends a link of which the server knows nothing: there is nobody to tell. Answers whether it did. */
  endUnopened(): boolean {
    if (this.#known || this.session.sender.unackedBytes > 0 || !this.#isLive) return false;
    this.tellOutcome("closed", "", "");
    this.becomeGone("closed", false);
    return true;
  }

  /** The dial loop has given up, or met a failure that ends the link. */
  endUnreachable(): void {
    if (this.#isLive) this.tellOutcome("gave-up", "", "");
    this.becomeGone("gave up", false);
  }

  protected override onGone(reason: string): void {
    for (const channel of [this.#attempt, this.#standby?.channel]) {
      if (channel !== undefined) this.closeChannel(channel, reason, undefined, true);
    }
    this.#attempt = undefined;
    this.#standby = undefined;
  }

  /** What the connection should write now: at most about `roomBytes` of data, and what control there is. */
  transmit(id: number, roomBytes: number, nowMs: number): Buffer[] {
    const channel = this.#channel(id);
    if (channel === undefined) return [];
    if (channel === this.adopted) {
      return this.transmitAdopted(channel, roomBytes, this.#standby?.state !== "committing", nowMs);
    }
    const out: Buffer[] = [];
    channel.drainInto(out);
    return out;
  }
}
