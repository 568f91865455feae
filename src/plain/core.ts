/**
 * The core of a plain link: a client's link to a server that knows nothing of resplice. It is pure, and driven as
 * `LinkCore` is: one method is called, then everything is drained.
 *
 * The driver and the engine see a `Protocol` and a `ChannelIo`, the dial loop a `DialledCore` (client/connector.ts). The
 * owner of the link uses these besides:
 *
 *     request(payload, bytes, given)         takes a request; as with take(), there has to be room
 *     withdraw(ticket)                       nobody waits for it any more; the answer will be dropped
 *     knowsAcceptance                        false: `until: "accepted"` is NOT_SUPPORTED
 *     dialsAtOnce                            the connection was closed by us: the next dial needs no delay
 *
 * and these while a connection logs in (`options.hasLogin`), which is not in use until loginDone():
 *
 *     loginSend(id, message, "framed")       or "raw": bytes that are written as they are
 *     loginExpect(id, bytes)                 the next so many bytes come as one message, whatever the framing
 *     startTls(id, unread, nowMs)            `unread`: messages that the login function has not received; then the
 *                                            owner exchanges the connection (driver.detach(), driver.attach()), and
 *     tlsStarted(id)                         from now on what arrives came under TLS
 *     loginDone(id, unread, nowMs)           in use from now on; `unread` goes the way of all messages
 *     loginFailed(id, isFatal, reason, nowMs, retryAfterMs)
 *
 * Its events are those of `ProtocolEvent`: "login-message" for the login function; "answered" with ticket and answer;
 * "connection-lost" with what is in doubt. A request that is lost is among the `lost` of "connection-lost" or "ended",
 * with its ticket and without an entry: the owner sees the event before the engine does, and rejects the call.
 */
import { RoundTrip } from "../core/log/window.ts";
import { CLOSED_BY_PEER, type Outcome } from "../core/session/link-events.ts";
import type { ChannelIo, Protocol } from "../link/protocol.ts";
import { type MessageTaker, PlainConnection, type Problem, problem, textOf } from "./connection.ts";
import { PlainHolder } from "./holder.ts";
import type { MessageId, PlainCoreOptions } from "./options.ts";
import type { Entry } from "./outbox.ts";
import { Watch, type WatchFacts } from "./watch.ts";

export type { PlainCoreOptions };

/** With a probe that proves, one is sent when this part of `inDoubtBytes` is in doubt. */
const PROOF_FROM = 1 / 2;
const NO_PROBE = -1;

export class PlainCore extends PlainHolder implements Protocol, ChannelIo, MessageTaker, WatchFacts {
  readonly #entropy: { random(): number };
  #connection: PlainConnection | undefined;
  #watch: Watch | undefined;
  #roundTrip: RoundTrip | undefined;
  /** A connection that logs in. */
  #login: PlainConnection | undefined;
  #wasConnected = false;
  /** We have closed the connection because it was not used: the next message dials. */
  #isIdle = false;
  #dialsAtOnce = false;
  /** The connection is to be replaced once nothing is under way on it. */
  #isRetiring = false;
  #probeOwed = false;
  /** The number of the first message that was written after the probe that awaits its answer. */
  #probeBefore = NO_PROBE;
  #probedMs = 0;
  readonly #probeId: MessageId | undefined;

  constructor(options: PlainCoreOptions, entropy: { random(): number }) {
    super(options);
    this.#entropy = entropy;
    const { probe, requests } = options;
    if (probe !== undefined && probe.isAnswer === undefined) this.#probeId = requests?.idOf?.(probe.message);
    const isExact = probe?.isAnswer !== undefined || this.answers?.isInOrder === true || this.#probeId !== undefined;
    if (probe?.proves === true && !isExact) throw new Error("a probe proves nothing if its answer is not known");
  }

  // ── connections ─────────────────────────────────────────────────────────────────────────────────────────────────

  get adopted(): { readonly id: number } | undefined {
    return this.#connection;
  }

  get wantsDial(): boolean {
    if (this.ended || this.isInputEnded || this.#connection !== undefined || this.#login !== undefined) return false;
    return !this.#isIdle || this.outbox.sentTo < this.outbox.next;
  }

  get dialsAtOnce(): boolean {
    return this.#dialsAtOnce;
  }

  /** A plain link has no standby. */
  get wantsStandby(): boolean {
    return false;
  }

  get standbyPatienceMs(): number {
    return 0;
  }

  standbyDialFailed(): void {}

  standbyTimedOut(): void {}

  /** No server knows anything of the link. */
  get sessionKnown(): boolean {
    return false;
  }

  connectionOpened(id: number, _role: string, _credentials: Buffer, nowMs: number): void {
    const connection = new PlainConnection(id, this.options.framing, this.options, this);
    if (this.#login !== undefined) this.#dropLogin(this.#login, "replaced");
    if (!this.wantsDial) return this.#close(connection, "not needed");
    this.#dialsAtOnce = false;
    if (this.options.hasLogin) this.#login = connection;
    else this.#adopt(connection, nowMs);
    if (connection.problem !== undefined) this.#giveUp(connection, connection.problem);
  }

  #adopt(connection: PlainConnection, nowMs: number): void {
    const { options } = this;
    connection.isInUse = true;
    this.#connection = connection;
    const pingAfterMs = options.probe === undefined ? 0 : options.pingAfterMs;
    this.#watch = new Watch({ ...options, pingAfterMs }, this.#entropy.random(), nowMs);
    this.#roundTrip = undefined;
    this.#wasConnected = true;
    this.#isIdle = false;
    this.#isRetiring = false;
    this.#probeOwed = false;
    this.#probeBefore = NO_PROBE;
    this.events.push({ type: "connected", channel: connection.id, session: "new", reason: "opened" });
  }

  connectionClosed(id: number, reason: string, nowMs: number): void {
    const connection = this.#find(id);
    if (connection === undefined) return;
    if (reason === CLOSED_BY_PEER) connection.end(nowMs);
    // A function of the application may have ended the link.
    if (connection.isClosed) return;
    connection.close();
    if (connection === this.#login) return this.#loginOver(reason, connection.problem);
    this.#lost(connection, { ...connection.problem, reason, fault: connection.problem?.fault });
  }

  #find(id: number): PlainConnection | undefined {
    if (this.#connection?.id === id) return this.#connection;
    return this.#login?.id === id ? this.#login : undefined;
  }

  #close(connection: PlainConnection, reason: string, { fault }: Partial<Problem> = {}, inOrder = false): void {
    connection.close();
    const last = inOrder ? [] : undefined;
    this.events.push({ type: "close-connection", channel: connection.id, last, reason, fault });
  }

  #giveUp(connection: PlainConnection, trouble: Problem): void {
    if (connection === this.#login) return this.#dropLogin(connection, trouble.reason, trouble);
    this.#close(connection, trouble.reason, trouble);
    this.#lost(connection, trouble);
  }

  /** The connection in use is gone. What was written on it and is not known to have arrived is reported, or sent again. */
  #lost(connection: PlainConnection, { reason, fault, restsAddress = false }: Problem): void {
    this.#connection = undefined;
    this.#watch = undefined;
    const wasUseless = (fault !== undefined || restsAddress) && connection.messages === 0;
    this.events.push({ type: "disconnected", reason, fault, wasUseless, restsAddress });
    const { resendInFlight } = this.options;
    this.tickets.kernelHas(this.outbox.kernelTo);
    const inDoubt = this.outbox.lost(resendInFlight);
    this.answers?.lost();
    const report = this.report(resendInFlight ? [] : inDoubt, false);
    const isNews = report.undeliveredCount > 0 || report.untracked !== undefined || report.lost.length > 0;
    if (isNews) this.events.push({ type: "connection-lost", ...report });
    this.checkThrough();
  }

  /** We close the connection in use, on which nothing is under way. */
  #closeInOrder(connection: PlainConnection, reason: "idle" | "aged"): void {
    this.#close(connection, reason, {}, true);
    this.#connection = undefined;
    this.#watch = undefined;
    this.#isIdle = reason === "idle";
    this.#dialsAtOnce = true;
    this.outbox.closedInOrder();
    this.events.push({ type: "disconnected", reason, fault: undefined });
  }

  // ── login ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Throws `encodeFailed()`'s error where the framing cannot frame the message. */
  loginSend(id: number, message: Buffer, how: "framed" | "raw"): void {
    if (this.#login?.id !== id) return;
    try {
      if (how === "raw") this.#login.sendRaw(message);
      else this.#login.send(message);
    } catch (thrown) {
      throw this.options.encodeFailed(thrown);
    }
  }

  loginExpect(id: number, bytes: number): void {
    if (this.#login?.id === id) this.#login.expectRaw(bytes);
  }

  /** Answers whether TLS may be started: else the attempt has failed, as bytes were here that did not come under TLS. */
  startTls(id: number, unread: number): boolean {
    const connection = this.#login;
    if (connection?.id !== id) return false;
    connection.startTls(unread);
    if (connection.problem === undefined) return true;
    this.#giveUp(connection, connection.problem);
    return false;
  }

  tlsStarted(id: number): void {
    if (this.#login?.id === id) this.#login.tlsStarted();
  }

  loginDone(id: number, unread: readonly Buffer[], nowMs: number): void {
    const connection = this.#login;
    if (connection?.id !== id) return;
    this.#login = undefined;
    connection.messages = 0;
    this.#adopt(connection, nowMs);
    for (const message of unread) connection.handOn(message, nowMs);
    this.#afterInput(connection);
  }

  /** Retryable, it does not count as connected: the delays of the dial loop go on growing. */
  loginFailed(id: number, isFatal: boolean, reason: string, retryAfterMs = 0): void {
    const connection = this.#login;
    if (connection?.id !== id) return;
    if (isFatal) return this.tellOutcome("login-refused", reason);
    this.#dropLogin(connection, reason, {}, retryAfterMs);
  }

  #dropLogin(connection: PlainConnection, reason: string, trouble: Partial<Problem> = {}, retryAfterMs = 0): void {
    this.#close(connection, reason, trouble);
    this.#loginOver(reason, trouble, retryAfterMs);
  }

  #loginOver(reason: string, { fault }: Partial<Problem> = {}, retryAfterMs = 0): void {
    const channel = (this.#login as PlainConnection).id;
    this.#login = undefined;
    this.events.push({ type: "attempt-failed", channel, reason, refused: undefined, retryAfterMs, fault });
  }

  // ── input ───────────────────────────────────────────────────────────────────────────────────────────────────────

  receive(id: number, chunk: Buffer, nowMs: number): void {
    const connection = this.#find(id);
    if (connection === undefined) return;
    const watch = connection.isInUse ? this.#watch : undefined;
    watch?.reads(this.readsOn, nowMs);
    watch?.heard(nowMs);
    connection.receive(chunk, nowMs);
    if (watch !== undefined && this.#probeBefore !== NO_PROBE && this.#isAnsweredByAnything)
      this.#onProbeAnswered(nowMs);
    this.#afterInput(connection);
    watch?.reads(this.readsOn, nowMs);
  }

  #afterInput(connection: PlainConnection): void {
    // A function of the application may have ended the link.
    if (connection.isClosed) return;
    if (connection.problem !== undefined) return this.#giveUp(connection, connection.problem);
    if (connection.isInUse) this.#settle(connection);
  }

  onMessage(connection: PlainConnection, message: Buffer, nowMs: number): void {
    if (!connection.isInUse) {
      this.events.push({ type: "login-message", channel: connection.id, message: Buffer.from(message) });
      return;
    }
    try {
      const leaves = this.options.reconnectWhen?.(message) === true;
      const trouble = this.#sort(message, nowMs);
      if (trouble !== undefined) connection.problem = trouble;
      else if (leaves) connection.problem = { reason: "reconnect-when", fault: undefined, restsAddress: true };
      else connection.messages++;
    } catch (thrown) {
      connection.problem = problem("function-failed", textOf(thrown));
    }
  }

  /** To the probe, to a request, or to the consumer. */
  #sort(message: Buffer, nowMs: number): Problem | undefined {
    const { answers } = this;
    const isInOrder = answers?.isInOrder === true;
    if (!isInOrder && this.options.probe?.isAnswer?.(message) === true) return this.#onProbeAnswered(nowMs);
    this.#watch?.used(nowMs);
    if (answers === undefined) return this.inbox.push(message) as undefined;
    const id = answers.idOf(message);
    if (id !== undefined && id === this.#probeId && this.#probeBefore !== NO_PROBE) return this.#onProbeAnswered(nowMs);
    const kind = answers.kindOf(message, id);
    if (kind === "push") return this.inbox.push(message) as undefined;
    const entry = answers.find(id);
    if (isInOrder && this.#isProbesTurn(entry)) return kind === "more" ? undefined : this.#onProbeAnswered(nowMs);
    if (entry === undefined) return problem("answer-unexpected", "an answer that no request waits for");
    if (kind === "answer") return this.#answered(entry, message);
    if (!answers.addPart(entry, message, nowMs)) return undefined;
    return problem("answer-too-large", `an answer of ${entry.partsBytes} bytes, and more`);
  }

  #isProbesTurn(entry: Entry | undefined): boolean {
    return this.#probeBefore !== NO_PROBE && (entry === undefined || entry.number >= this.#probeBefore);
  }

  #answered(entry: Entry, message: Buffer): undefined {
    const { ticket, parts } = entry;
    this.answers?.answered(entry);
    if (ticket?.kind === "request") {
      this.events.push({ type: "answered", ticket, parts: parts === undefined ? [message] : [...parts, message] });
    } else if (ticket !== undefined) {
      this.tickets.onDelivered(ticket);
    }
    this.outbox.delivered(entry);
  }

  // ── the probe ───────────────────────────────────────────────────────────────────────────────────────────────────

  get #isAnsweredByAnything(): boolean {
    return (
      this.options.probe?.isAnswer === undefined && this.#probeId === undefined && this.answers?.isInOrder !== true
    );
  }

  protected override wantsProof(): void {
    if (this.options.probe?.proves === true) this.#probeOwed = true;
  }

  #onProbeAnswered(nowMs: number): undefined {
    const before = this.#probeBefore;
    if (before === NO_PROBE) return;
    this.#probeBefore = NO_PROBE;
    this.#watch?.probeAnswered();
    (this.#roundTrip ??= new RoundTrip()).sample(nowMs - this.#probedMs);
    if (this.options.probe?.proves === true) this.outbox.proven(before, this.tickets.onDelivered);
  }

  get rttMs(): number | undefined {
    return this.#roundTrip?.smoothedMs;
  }

  // ── output ──────────────────────────────────────────────────────────────────────────────────────────────────────

  transmit(id: number, roomBytes: number, nowMs: number): Buffer[] {
    const out: Buffer[] = [];
    const connection = this.#find(id);
    if (connection === undefined) return out;
    connection.drainInto(out);
    if (!connection.isInUse) return out;
    const { outbox } = this;
    if (!outbox.isWriting && outbox.sentTo < outbox.next && this.#mayWrite) {
      if (this.answers !== undefined) this.answers.nowMs = nowMs;
      outbox.write(out, roomBytes, this.gate);
      if (outbox.isWriting) {
        this.#watch?.writing(nowMs);
        this.#watch?.used(nowMs);
      }
    }
    // Not in the middle of a message.
    if (this.#probeOwed && this.#probeBefore === NO_PROBE && outbox.partWritten === 0)
      this.#probe(connection, out, nowMs);
    return out;
  }

  /** A message that was begun is always brought to its end. */
  get #mayWrite(): boolean {
    const { outbox } = this;
    if (outbox.partWritten > 0) return true;
    if (this.#isRetiring) return false;
    return this.options.probe?.proves !== true || outbox.doubtBytes < this.options.inDoubtBytes;
  }

  #probe(connection: PlainConnection, out: Buffer[], nowMs: number): void {
    const { probe } = this.options;
    if (probe === undefined) return;
    this.#probeOwed = false;
    try {
      connection.send(probe.message);
    } catch (thrown) {
      return this.#giveUp(connection, problem("framing-failed", textOf(thrown)));
    }
    connection.drainInto(out);
    this.#probeBefore = this.outbox.sentTo;
    this.#probedMs = nowMs;
    this.#watch?.probed(nowMs);
  }

  written(id: number): void {
    const connection = this.#connection;
    if (connection?.id !== id) return;
    this.#watch?.written();
    this.outbox.written();
    this.#settle(connection);
  }

  /** Something has become of what is under way. */
  #settle(connection: PlainConnection): void {
    const { outbox } = this;
    const { inDoubtBytes, probe } = this.options;
    if (probe?.proves !== true) outbox.letGo(inDoubtBytes);
    else if (!outbox.isClear && (this.#endsSoon || outbox.doubtBytes > PROOF_FROM * inDoubtBytes))
      this.#probeOwed = true;
    if (this.#isRetiring && this.isQuiet) this.#closeInOrder(connection, "aged");
    this.checkThrough();
  }

  /** What is in doubt is to be proven, as nothing will be written behind it. */
  get #endsSoon(): boolean {
    return this.#isRetiring || this.outputEnded;
  }

  // ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────

  get isBusy(): boolean {
    return !this.isQuiet || this.outbox.sentTo < this.outbox.next || this.#probeBefore !== NO_PROBE;
  }

  get waitsSinceMs(): number {
    return this.answers?.waitsSinceMs ?? Infinity;
  }

  get isRead(): boolean {
    return this.readsOn;
  }

  get nextTimeoutMs(): number {
    return this.#watch?.nextMs(this) ?? Infinity;
  }

  tick(nowMs: number): void {
    const connection = this.#connection;
    const watch = this.#watch;
    if (connection === undefined || watch === undefined) return;
    watch.reads(this.readsOn, nowMs);
    const verdict = watch.check(this, nowMs);
    switch (verdict) {
      case "nothing":
        return;
      case "probe":
        this.#probeOwed = true;
        return;
      case "aged":
        this.#isRetiring = true;
        return this.#settle(connection);
      case "idle":
        return this.#closeInOrder(connection, "idle");
      default:
        this.#giveUp(connection, { reason: verdict, fault: undefined });
    }
  }

  // ── endings ─────────────────────────────────────────────────────────────────────────────────────────────────────

  reset(_code: string, _reason: string, outcome: Outcome): void {
    this.tellOutcome(outcome, "");
  }

  abandon(outcome: Outcome): void {
    this.tellOutcome(outcome, "");
  }

  /** The dial loop has given up, or met a failure that ends the link. */
  endUnreachable(): void {
    this.tellOutcome("gave-up", "");
  }

  /** Ends a link that was never connected, and has nothing to send. Answers whether it did. */
  endUnopened(): boolean {
    if (this.ended || this.#wasConnected || this.outbox.sentTo < this.outbox.next) return false;
    this.tellOutcome("closed", "");
    return true;
  }

  protected override checkThrough(): void {
    // Without a connection nothing more arrives, and none is dialled only to read.
    if (this.#connection === undefined && this.outputDone) this.endInput();
    super.checkThrough();
  }

  protected override leaveConnections(outcome: Outcome): void {
    const inOrder = outcome === "closed";
    if (this.#connection !== undefined) this.#close(this.#connection, outcome, {}, inOrder);
    if (this.#login !== undefined) this.#close(this.#login, outcome);
    this.#connection = this.#login = undefined;
    this.#watch = undefined;
  }
}
