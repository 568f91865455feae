/**
 * The part of a client's link core that replaces the session when the server no longer knows it, or goes away. Only
 * clients do so. `link-core.ts` decides which connections are dialled for it.
 */
import { type Carried, carryOver } from "./carry.ts";
import type { Channel } from "../session/channel.ts";
import { ClientIntroduction, type IntroductionOptions, TERMINAL_REFUSALS } from "./introduction.ts";
import type { Fault } from "../wire/faults.ts";
import { PROTOCOL_VERSION, type RefuseCode, type ResetCode, type Welcome } from "../wire/frames.ts";
import { type Entropy, newKeys, type SessionKeys } from "../session/proof.ts";
import { type Closing, LinkCore } from "../session/link-core.ts";
import type { LinkCoreOptions, Outcome } from "../session/link-events.ts";
import { Session } from "../session/session.ts";

export interface ClientLinkCoreOptions extends LinkCoreOptions, IntroductionOptions {
  /** Messages that were written and not acked are reported, or sent again in a new session; or the link ends. */
  whenSessionLost: "report" | "resend" | "end";
}

type Replacement = "session-lost" | "too-large" | "moved";

export abstract class ReplacingLinkCore extends LinkCore {
  declare protected readonly options: ClientLinkCoreOptions;
  protected readonly introduction: ClientIntroduction;
  /** Why the session that is opened next, or was opened last, is a new one. */
  protected newSessionReason: "opened" | "session-lost" | "moved" = "opened";
  #resumeForMs = Infinity;
  /** The largest message that the server takes, once it has said so. */
  #agreedMaxMessageBytes = Infinity;

  constructor(options: ClientLinkCoreOptions, entropy: Entropy) {
    super(options, new Session(newKeys(entropy), options), entropy);
    this.introduction = new ClientIntroduction(options, entropy);
  }

  /** The server has made the session: it is resumed from now on. */
  get sessionKnown(): boolean {
    return this.introduction.known;
  }

  protected get isLive(): boolean {
    return this.session.phase === "live";
  }

  protected hello(type: "hello" | "standby", credentials: Buffer): Buffer {
    return this.introduction.hello(type, this.session, credentials, this.#offersFallback);
  }

  /** The link may go on in a new session. A link in mode "bytes" never does: its stream would have a hole. */
  get #takesNewSessions(): boolean {
    return this.options.whenSessionLost !== "end" && this.options.mode === "messages";
  }

  get #offersFallback(): boolean {
    return (this.isLive || this.isMoving) && this.#takesNewSessions && this.session.isReplaceable;
  }

  // ── the move to another server ──────────────────────────────────────────────────────────────────────────────────

  /** The session is complete and the link has not ended: it goes on in a new session as soon as the server knows. */
  protected get isMoving(): boolean {
    return this.session.phase === "done" && !this.ended;
  }

  /**
   * GOAWAY: the client ends first, so that the server's application can answer the messages that it has accepted. Where
   * no session follows, what waits before the log goes with this one: end() is called when it is in there.
   */
  protected leave(): void {
    const { session } = this;
    if (!this.isLive || session.sender.endKind !== "none") return;
    const goesOn = this.#takesNewSessions && session.isReplaceable;
    if (goesOn) session.sender.moveOn();
    this.events.push({ type: "leaving", isLast: !goesOn });
    this.checkThrough();
  }

  protected override onThrough(): void {
    if (!this.session.moved) super.onThrough();
  }

  protected override becomeGone(reason: string, closing?: Closing): void {
    if (!this.isMoving) return super.becomeGone(reason, closing);
    this.leaveConnections(reason, closing);
    this.introduction.startAnew();
    this.#replaceSession(newKeys(this.entropy));
  }

  /** The end of a session that moves is not shown to the consumer: more messages come in the next session. */
  override get inputEnded(): boolean {
    return super.inputEnded && !this.session.moved;
  }

  /** The end of a session that moves is not the application's: it sends the rest in the next session. */
  override get outputDone(): boolean {
    return super.outputDone && !this.session.moved;
  }

  /** A server that has let the client go reads no more, and the next server does. */
  override get peerStopped(): boolean {
    return super.peerStopped && !this.session.moved;
  }

  override end(): void {
    if (this.isMoving) this.session.sender.end("final");
    else super.end();
  }

  override stopReading(): void {
    const { session } = this;
    // No more bytes can arrive after an accepted end, but `session.moved` uses this to decide whether a new session is
    // needed.
    if (session.receiver.endAccepted) session.receiver.stop();
    if (!this.isMoving) return super.stopReading();
    if (session.moved) return;
    this.tellOutcome("closed", "", "");
    this.checkThrough();
  }

  override reset(code: ResetCode, reason: string, outcome: Outcome, nowMs: number): void {
    if (!this.isMoving) return super.reset(code, reason, outcome, nowMs);
    this.tellOutcome(outcome, "", "");
    this.checkThrough();
  }

  // ── sessions that are lost ──────────────────────────────────────────────────────────────────────────────────────

  /** WELCOME says which session goes on: the one we have, a new one, or the fallback of a lost one. */
  protected welcomed(welcome: Welcome): Fault | undefined {
    if (welcome.result === "lost") this.#replaceSession(this.introduction.takeFallback());
    if (welcome.result !== "resumed") {
      this.introduction.opened();
      this.session.incarnation = welcome.incarnation;
      if (this.options.mode === "messages") this.#dropTooLarge(welcome.maxMessageBytes);
    }
    this.#resumeForMs = welcome.resumeForMs;
    return this.session.adopt(welcome.positions, false);
  }

  /**
   * Sets how long the session, or its tombstone, can still be resumed without a connection: no server keeps it longer.
   */
  protected awaitExpiry(nowMs: number): void {
    if (this.session.phase === "reset" || this.#resumeForMs === Infinity) return;
    this.timers.set("expiry", nowMs + this.#resumeForMs);
  }

  /**
   * The session is lost, and no fallback has taken its place: the link ends, or its next attempt opens a new session.
   */
  protected sessionLost(nowMs: number): void {
    if (!this.isLive) return this.becomeGone("session lost");
    if (!this.#offersFallback) {
      const outcome = this.session.nothingToLose ? "closed" : "session-lost";
      this.tellOutcome(outcome, "", "the server no longer knows the session");
      this.becomeGone("session lost");
      return;
    }
    this.introduction.startAnew();
    this.dropConnections("session lost", nowMs);
    this.timers.clear("expiry");
    this.#replaceSession(newKeys(this.entropy));
  }

  /** Drops the connections that speak, or were to speak, for the session. An attempt has failed already. */
  protected abstract dropConnections(reason: string, nowMs: number): void;

  protected override onPeerHandlerFailed(channel: Channel, nowMs: number): boolean {
    if (!this.#offersFallback) return false;
    this.closeChannel(channel, "the peer's handler failed", { flush: true });
    this.sessionLost(nowMs);
    return true;
  }

  /** The server has refused to open or to resume the session. `reason`: in the server's words. */
  protected refused(code: RefuseCode, reason: string, nowMs: number): void {
    this.endRefused(code, reason);
    if (code === "session-lost") this.sessionLost(nowMs);
    // The server keeps the session longer after such a refusal, so the client does too.
    if (code === "overloaded" || code === "authentication-unavailable") this.awaitExpiry(nowMs);
  }

  /** Ends the link if the code is a terminal one. `reason`: in the peer's words. */
  protected endRefused(code: RefuseCode, reason: string): void {
    const ending = TERMINAL_REFUSALS[code];
    if (ending === undefined) return;
    const { outcome, detail } = ending;
    if (code === "mismatch") this.tellOutcome(outcome, "", `${detail}${this.#whatDiffers(reason)}`);
    else this.tellOutcome(outcome, reason, detail);
    this.becomeGone(ending.outcome);
  }

  /** `reason`: in the server's words; empty if it has said none. */
  #whatDiffers(reason: string): string {
    const own = `; this client has version ${PROTOCOL_VERSION} and mode "${this.options.mode}"`;
    return reason === "" ? own : `${own}; the server says: ${reason}`;
  }

  /** Ends a link of which the server knows nothing, so that no peer has to be told. Answers whether it did. */
  endUnopened(): boolean {
    if (this.introduction.known || this.session.sender.unackedBytes > 0 || !this.isLive) return false;
    this.tellOutcome("closed", "", "");
    this.becomeGone("closed");
    return true;
  }

  /** The dial loop has given up, or met a failure that ends the link. */
  endUnreachable(): void {
    if (!this.ended) this.tellOutcome("gave-up", "", "");
    this.becomeGone("gave up");
  }

  #replaceSession(keys: SessionKeys): void {
    const old = this.session;
    const keepsWritten = this.options.whenSessionLost === "resend";
    const reason = old.sender.endKind === "moved" && old.nothingToLose ? "moved" : "session-lost";
    this.newSessionReason = reason;
    this.keepAccepted();
    const { stopped } = old.receiver;
    const carried = carryOver(old.sender, (entry) => entry.delivery === "not-sent" || keepsWritten);
    // Release the old session's memory first: the budgets may have no more for the new one.
    old.release();
    this.session = new Session(keys, this.options);
    this.#useSender(reason, old, carried);
    if (stopped) this.session.stopReading();
  }

  /** The largest message that both ends take; our own limit until the server has stated its own. */
  override get maxMessageBytes(): number {
    return Math.min(this.options.maxMessageBytes, this.#agreedMaxMessageBytes);
  }

  #dropTooLarge(maxMessageBytes: number): void {
    this.#agreedMaxMessageBytes = maxMessageBytes;
    if (maxMessageBytes >= this.options.maxMessageBytes) return;
    const { session } = this;
    this.#useSender(
      "too-large",
      session,
      carryOver(session.sender, ({ message }) => message.length <= maxMessageBytes),
    );
  }

  #useSender(reason: Replacement, old: Session, { sender, undelivered, carried }: Carried): void {
    const report = this.senderReplaced(old.sender, sender, undelivered, carried);
    this.session.sender.log.clear();
    this.session.sender = sender;
    this.events.push({ type: "replaced", reason, sessionId: old.keys.id, ...report });
  }
}
