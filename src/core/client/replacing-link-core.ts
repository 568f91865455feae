/**
 * A link's core that goes on in another session when the server no longer knows the one it has, or goes away: only a
 * client does so. Which connections are dialled for it is `link-core.ts`.
 */
import { type Carried, carryOver } from "./carry.ts";
import type { Channel } from "../session/channel.ts";
import { ClientIntroduction, type IntroductionOptions, TERMINAL_REFUSALS } from "./introduction.ts";
import type { Fault } from "../wire/faults.ts";
import type { RefuseCode, ResetCode, Welcome } from "../wire/frames.ts";
import { type Entropy, newKeys, type SessionKeys } from "../session/proof.ts";
import { type Closing, LinkCore } from "../session/link-core.ts";
import type { LinkCoreOptions, Outcome } from "../session/link-events.ts";
import { Session } from "../session/session.ts";

export interface ClientLinkCoreOptions extends LinkCoreOptions, IntroductionOptions {
  /** What was written and is not acked is reported, or sent again in a new session; or the link ends. */
  whenSessionLost: "report" | "resend" | "end";
}

type Replacement = "session-lost" | "too-large" | "moved";

export abstract class ReplacingLinkCore extends LinkCore {
  declare protected readonly options: ClientLinkCoreOptions;
  protected readonly introduction: ClientIntroduction;
  /** Why the session that is opened next, or was opened last, is a new one. */
  protected newSessionReason: "opened" | "session-lost" | "moved" = "opened";
  #resumeForMs = Infinity;
  /** What the server takes, once it has said so. */
  #agreedMaxMessageBytes = Infinity;

  constructor(options: ClientLinkCoreOptions, entropy: Entropy) {
    super(options, new Session(newKeys(entropy), options), entropy);
    this.introduction = new ClientIntroduction(options, entropy);
  }

  /** The server has made it: it is resumed from now on. */
  get sessionKnown(): boolean {
    return this.introduction.known;
  }

  protected get isLive(): boolean {
    return this.session.phase === "live";
  }

  protected hello(type: "hello" | "standby", credentials: Buffer): Buffer {
    return this.introduction.hello(type, this.session, credentials, this.#offersFallback);
  }

  /** A new session would tear a byte stream. */
  get #takesNewSessions(): boolean {
    return this.options.whenSessionLost !== "end" && this.options.mode === "messages";
  }

  get #offersFallback(): boolean {
    return (this.isLive || this.isMoving) && this.#takesNewSessions && this.session.isReplaceable;
  }

  // ── the move to another server ──────────────────────────────────────────────────────────────────────────────────

  /** The session is through and the link is not: it goes on in a new one as soon as the server has heard so. */
  protected get isMoving(): boolean {
    return this.session.phase === "done" && !this.ended;
  }

  /** GOAWAY: we end first, so that the server's application can answer what it has accepted. */
  protected leave(): void {
    const { session } = this;
    if (!this.isLive || session.sender.endKind !== "none") return;
    if (this.#takesNewSessions && session.isReplaceable) session.sender.moveOn();
    else session.sender.end("final");
    this.events.push({ type: "leaving" });
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

  /** The end of a move is not shown: more comes in the next session. */
  override get inputEnded(): boolean {
    return super.inputEnded && !this.session.moved;
  }

  override end(): void {
    if (this.isMoving) this.session.sender.end("final");
    else super.end();
  }

  override stopReading(): void {
    const { session } = this;
    // Nothing is refused then, but it says whether there is anything to go on for.
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

  /** The session that is welcomed goes on, on the connection that brought the answer. */
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

  /** Without a connection the session, or its tombstone, is worth a resume for so long: no server keeps it longer. */
  protected awaitExpiry(nowMs: number): void {
    if (this.session.phase === "reset" || this.#resumeForMs === Infinity) return;
    this.timers.set("expiry", nowMs + this.#resumeForMs);
  }

  /** Without a fallback in place: the link ends, or opens a new session with its next attempt. */
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

  /** Those that speak, or were to speak, for the session; an attempt has failed already. */
  protected abstract dropConnections(reason: string, nowMs: number): void;

  protected override onPeerHandlerFailed(channel: Channel, nowMs: number): boolean {
    if (!this.#offersFallback) return false;
    this.closeChannel(channel, "the peer's handler failed", { flush: true });
    this.sessionLost(nowMs);
    return true;
  }

  /** Ends the link if the code is a terminal one. `reason`: in the peer's words. */
  protected endRefused(code: RefuseCode, reason: string): void {
    const ending = TERMINAL_REFUSALS[code];
    if (ending === undefined) return;
    this.tellOutcome(ending.outcome, reason, ending.detail);
    this.becomeGone(ending.outcome);
  }

  /** Ends a link of which the server knows nothing: there is nobody to tell. Answers whether it did. */
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
    // What it had of the budgets may be all that the new one gets.
    old.release();
    this.session = new Session(keys, this.options);
    this.#replaced(reason, old.keys.id, carried);
    if (stopped) this.session.stopReading();
  }

  /** What both ends take; our own limit until the server has stated its own. */
  override get maxMessageBytes(): number {
    return Math.min(this.options.maxMessageBytes, this.#agreedMaxMessageBytes);
  }

  #dropTooLarge(maxMessageBytes: number): void {
    this.#agreedMaxMessageBytes = maxMessageBytes;
    if (maxMessageBytes >= this.options.maxMessageBytes) return;
    const { sender, keys } = this.session;
    this.#replaced(
      "too-large",
      keys.id,
      carryOver(sender, ({ message }) => message.length <= maxMessageBytes),
    );
  }

  #replaced(reason: Replacement, sessionId: string, { sender, undelivered, carried }: Carried): void {
    this.session.sender.log.clear();
    this.session.sender = sender;
    this.events.push({ type: "replaced", reason, sessionId, undelivered, carried });
  }
}
