/**
 * The core of a plain link: a client's link to a server that knows nothing of resplice. It is pure, and driven as
 * `LinkCore` is: one method is called, then everything is drained.
 *
 * The driver and the engine see a `Protocol` and a `ChannelIo`, the dial loop a `DialledCore` (client/connector.ts). The
 * login of a new connection (client/login.ts) uses these besides, if `options.hasLogin`; it is not in use until
 * loginDone(), and a login has failed when the connection is closed:
 *
 *     loginSend(id, message, "framed")       or "raw": bytes that are written as they are
 *     loginExpect(id, bytes)                 the next so many bytes come as one message, whatever the framing
 *     startTls(id, unread)                   `unread`: messages that the login function has not received; then the
 *                                            owner exchanges the connection (driver.detach(), driver.attach()), and
 *     tlsStarted(id)                         from now on what arrives came under TLS
 *     loginDone(id, unread, nowMs)           in use from now on; `unread` goes the way of all messages
 *
 * Its events are those of `ProtocolEvent`: "login-message" for the login function; "answered" with ticket and answer;
 * "connection-lost" with what is in doubt. A request that is lost is among the `lost` of "connection-lost" or "ended",
 * with its ticket and without an entry.
 */
import { CLOSED_BY_PEER, type Outcome } from "../core/session/link-events.ts";
import type { ChannelIo, Protocol } from "../link/protocol.ts";
import { PlainConnection, type Problem } from "./connection.ts";
import type { PlainCoreOptions } from "./options.ts";
import { PlainTraffic } from "./traffic.ts";
import { Watch } from "./watch.ts";

export type { PlainCoreOptions };

export class PlainCore extends PlainTraffic implements Protocol, ChannelIo {
  readonly #entropy: { random(): number };
  /** A connection that logs in. */
  #login: PlainConnection | undefined;
  #wasConnected = false;
  /** We have closed the connection because it was not used: the next message dials. */
  #isIdle = false;
  #dialsAtOnce = false;

  constructor(options: PlainCoreOptions, entropy: { random(): number }) {
    super(options);
    this.#entropy = entropy;
  }

  // ── connections ─────────────────────────────────────────────────────────────────────────────────────────────────

  get adopted(): { readonly id: number } | undefined {
    return this.inUse;
  }

  get wantsDial(): boolean {
    if (this.ended || this.isInputEnded || this.inUse !== undefined || this.#login !== undefined) return false;
    return !this.#isIdle || this.outbox.sentTo < this.outbox.next;
  }

  get isAtRest(): boolean {
    return this.#isIdle && !this.wantsDial;
  }

  /** A message waits before the outbox: a connection is needed. */
  wake(): void {
    this.#isIdle = false;
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
    if (connection.problem !== undefined) this.giveUp(connection, connection.problem);
  }

  #adopt(connection: PlainConnection, nowMs: number): void {
    const { options } = this;
    connection.isInUse = true;
    this.inUse = connection;
    const pingAfterMs = options.probe === undefined ? 0 : options.pingAfterMs;
    this.watch = new Watch({ ...options, pingAfterMs }, this.#entropy.random(), nowMs);
    this.#wasConnected = true;
    this.#isIdle = false;
    this.begin();
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
    if (this.inUse?.id === id) return this.inUse;
    return this.#login?.id === id ? this.#login : undefined;
  }

  #close(connection: PlainConnection, reason: string, { fault }: Partial<Problem> = {}, inOrder = false): void {
    connection.close();
    const last = inOrder ? [] : undefined;
    this.events.push({ type: "close-connection", channel: connection.id, last, reason, fault });
  }

  protected override giveUp(connection: PlainConnection, trouble: Problem): void {
    if (connection === this.#login) return this.#dropLogin(connection, trouble.reason, trouble);
    this.#close(connection, trouble.reason, trouble);
    this.#lost(connection, trouble);
  }

  /** The connection in use is gone. What was written on it and is not known to have arrived is reported, or sent again. */
  #lost(connection: PlainConnection, { reason, fault, restsAddress = false }: Problem): void {
    this.inUse = undefined;
    this.watch = undefined;
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
    this.inUse = undefined;
    this.watch = undefined;
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
    this.giveUp(connection, connection.problem);
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

  #dropLogin(connection: PlainConnection, reason: string, trouble: Partial<Problem> = {}): void {
    this.#close(connection, reason, trouble);
    this.#loginOver(reason, trouble);
  }

  /** It does not count as connected: the delays of the dial loop go on growing. */
  #loginOver(reason: string, { fault }: Partial<Problem> = {}): void {
    const channel = (this.#login as PlainConnection).id;
    this.#login = undefined;
    this.events.push({ type: "attempt-failed", channel, reason, refused: undefined, retryAfterMs: 0, fault });
  }

  // ── input ───────────────────────────────────────────────────────────────────────────────────────────────────────

  receive(id: number, chunk: Buffer, nowMs: number): void {
    const connection = this.#find(id);
    if (connection === undefined) return;
    const watch = connection.isInUse ? this.watch : undefined;
    watch?.reads(this.readsOn, nowMs);
    watch?.heard(nowMs);
    this.inbox.beginChunk();
    connection.receive(chunk, nowMs);
    if (watch !== undefined) this.heard(nowMs);
    this.#afterInput(connection);
    watch?.reads(this.readsOn, nowMs);
  }

  #afterInput(connection: PlainConnection): void {
    // A function of the application may have ended the link.
    if (connection.isClosed) return;
    if (connection.problem !== undefined) return this.giveUp(connection, connection.problem);
    if (connection.isInUse) this.#settle(connection);
  }

  // ── output ──────────────────────────────────────────────────────────────────────────────────────────────────────

  transmit(id: number, roomBytes: number, nowMs: number): Buffer[] {
    const out: Buffer[] = [];
    const connection = this.#find(id);
    if (connection === undefined) return out;
    if (connection.isInUse && this.isLeftUnused(nowMs)) {
      this.#closeInOrder(connection, "idle");
      return out;
    }
    connection.drainInto(out);
    if (!connection.isInUse) return out;
    this.writeTo(connection, out, roomBytes, nowMs);
    return out;
  }

  written(id: number): void {
    const connection = this.inUse;
    if (connection?.id !== id) return;
    this.watch?.written();
    this.outbox.written();
    this.#settle(connection);
  }

  /** Something has become of what is under way. */
  #settle(connection: PlainConnection): void {
    this.lookAtDoubt();
    if (this.isRetiring && this.isQuiet) this.#closeInOrder(connection, "aged");
    this.checkThrough();
  }

  // ── time ────────────────────────────────────────────────────────────────────────────────────────────────────────

  get nextTimeoutMs(): number {
    return this.watch?.nextMs(this) ?? Infinity;
  }

  tick(nowMs: number): void {
    const connection = this.inUse;
    const watch = this.watch;
    if (connection === undefined || watch === undefined) return;
    watch.reads(this.readsOn, nowMs);
    const verdict = watch.check(this, nowMs);
    switch (verdict) {
      case "nothing":
        return;
      case "probe":
        return this.oweProbe();
      case "aged":
        this.isRetiring = true;
        return this.#settle(connection);
      case "idle":
        return this.#closeInOrder(connection, "idle");
      default:
        this.giveUp(connection, { reason: verdict, fault: undefined });
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
    if (this.inUse === undefined && this.outputDone) this.endInput();
    super.checkThrough();
  }

  protected override leaveConnections(outcome: Outcome): void {
    const inOrder = outcome === "closed";
    if (this.inUse !== undefined) this.#close(this.inUse, outcome, {}, inOrder);
    if (this.#login !== undefined) this.#close(this.#login, outcome);
    this.inUse = this.#login = undefined;
    this.watch = undefined;
  }
}
