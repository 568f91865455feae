/**
 * The core of a plain link, at either end: the login of its connection, what passes over the one in use, and how the
 * link ends. `core.ts` is that of a client, which dials; `served-core.ts` that of a server, whose link has one
 * connection.
 *
 * The core is pure, and driven as `LinkCore` is: one method is called, then everything is drained. The driver and the
 * engine see a `Protocol` and a `ChannelIo`. The login of a new connection (plain-link/login.ts) uses these besides, if
 * `options.hasLogin`; it is not in use until loginDone(), and a login has failed when the connection is closed:
 *
 *     loginSend(id, message, "framed")       or "raw": bytes that are written as they are
 *     loginExpect(id, bytes)                 the next so many bytes come as one message, whatever the framing
 *     startTls(id, unread)                   `unread`: messages that the login function has not received; then the
 *                                            owner exchanges the connection (driver.detach(), driver.attach()), and
 *     tlsStarted(id)                         from now on what arrives came under TLS
 *     loginDone(id, unread, nowMs)           in use from now on; `unread` goes the way of all messages
 *     loginFailed(id)                        closed behind what was sent
 *
 * Its events are those of `ProtocolEvent`: "login-message" for the login function; "answered" with ticket and answer. A
 * request that is lost is among the `lost` of an event, with its ticket and without an entry.
 */
import { CLOSED_BY_PEER, type Outcome } from "../core/session/link-events.ts";
import type { ChannelIo, Protocol } from "../link/protocol.ts";
import type { PlainConnection, Problem } from "./connection.ts";
import type { PlainCoreOptions } from "./options.ts";
import { PlainTraffic } from "./traffic.ts";
import { Watch } from "./watch.ts";

export abstract class PlainLinkCore extends PlainTraffic implements Protocol, ChannelIo {
  readonly #entropy: { random(): number };
  /** A connection that logs in. */
  protected login: PlainConnection | undefined;

  constructor(options: PlainCoreOptions, entropy: { random(): number }) {
    super(options);
    this.#entropy = entropy;
  }

  // ── connections ─────────────────────────────────────────────────────────────────────────────────────────────────

  get adopted(): { readonly id: number } | undefined {
    return this.inUse;
  }

  /** A new connection is here. It logs in first, if it has to. */
  protected welcome(connection: PlainConnection, nowMs: number): void {
    if (this.options.hasLogin) this.login = connection;
    else this.adopt(connection, nowMs);
    if (connection.problem !== undefined) this.giveUp(connection, connection.problem);
  }

  protected adopt(connection: PlainConnection, nowMs: number): void {
    const { options } = this;
    connection.isInUse = true;
    this.inUse = connection;
    const pingAfterMs = options.probe === undefined ? Infinity : options.pingAfterMs;
    this.watch = new Watch({ ...options, pingAfterMs }, this.#entropy.random(), nowMs);
    this.begin();
    this.events.push({ type: "connected", channel: connection.id, session: "new", reason: "opened" });
  }

  connectionClosed(id: number, reason: string, nowMs: number): void {
    const connection = this.find(id);
    if (connection === undefined) return;
    if (reason === CLOSED_BY_PEER) connection.end(nowMs);
    // A function of the application may have ended the link.
    if (connection.isClosed) return;
    connection.close();
    if (connection === this.login) return this.#loginOver(reason, connection.problem);
    this.lost(connection, { ...connection.problem, reason, fault: connection.problem?.fault });
  }

  protected find(id: number): PlainConnection | undefined {
    if (this.inUse?.id === id) return this.inUse;
    return this.login?.id === id ? this.login : undefined;
  }

  protected close(
    connection: PlainConnection,
    reason: string,
    { fault }: Partial<Problem> = {},
    inOrder = false,
  ): void {
    const last: Buffer[] | undefined = inOrder ? [] : undefined;
    if (last !== undefined) connection.drainInto(last);
    connection.close();
    this.events.push({ type: "close-connection", channel: connection.id, last, reason, fault });
  }

  protected override giveUp(connection: PlainConnection, trouble: Problem): void {
    if (connection === this.login) return this.dropLogin(connection, trouble.reason, trouble);
    this.close(connection, trouble.reason, trouble);
    this.lost(connection, trouble);
  }

  /** The connection that was in use is gone. */
  protected abstract lost(connection: PlainConnection, trouble: Problem): void;

  /** The connection in use was not used for `idleCloseMs`, or is as old as `maxConnectionAgeMs` allows. */
  protected abstract retire(connection: PlainConnection, reason: "idle" | "aged"): void;

  // ── login ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Throws `encodeFailed()`'s error where the framing cannot frame the message. */
  loginSend(id: number, message: Buffer, how: "framed" | "raw"): void {
    if (this.login?.id !== id) return;
    try {
      if (how === "raw") this.login.sendRaw(message);
      else this.login.send(message);
    } catch (thrown) {
      throw this.options.encodeFailed(thrown);
    }
  }

  /** Bytes of the login that wait for room in the connection, with `ENTRY_BYTES` for each message. */
  get loginUnsentBytes(): number {
    return this.login?.unsentBytes ?? 0;
  }

  loginExpect(id: number, bytes: number): void {
    if (this.login?.id === id) this.login.expectRaw(bytes);
  }

  /**
   * Answers whether TLS may be started: else the attempt has failed, as bytes were here that did not come under TLS.
   */
  startTls(id: number, unread: number): boolean {
    const connection = this.login;
    if (connection?.id !== id) return false;
    connection.startTls(unread);
    if (connection.problem === undefined) return true;
    this.giveUp(connection, connection.problem);
    return false;
  }

  tlsStarted(id: number): void {
    if (this.login?.id === id) this.login.tlsStarted();
  }

  loginDone(id: number, unread: readonly Buffer[], nowMs: number): void {
    const connection = this.login;
    if (connection?.id !== id) return;
    this.login = undefined;
    connection.messages = 0;
    this.adopt(connection, nowMs);
    for (const message of unread) connection.handOn(message, nowMs);
    this.#afterInput(connection);
  }

  /**
   * The login function has thrown. What it has sent goes out, then the connection is closed. The caller has the error,
   * and no event tells of it.
   */
  loginFailed(id: number): void {
    const connection = this.login;
    if (connection?.id !== id) return;
    this.login = undefined;
    this.close(connection, "login-failed", {}, true);
  }

  protected dropLogin(connection: PlainConnection, reason: string, trouble: Partial<Problem> = {}): void {
    this.close(connection, reason, trouble);
    this.#loginOver(reason, trouble);
  }

  /** A login that fails does not count as connected: the delays of a dial loop go on growing. */
  #loginOver(reason: string, { fault }: Partial<Problem> = {}): void {
    const channel = (this.login as PlainConnection).id;
    this.login = undefined;
    this.events.push({ type: "attempt-failed", channel, reason, refused: undefined, retryAfterMs: 0, fault });
  }

  // ── input ───────────────────────────────────────────────────────────────────────────────────────────────────────

  receive(id: number, chunk: Buffer, nowMs: number): void {
    const connection = this.find(id);
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
    if (connection.isInUse) this.settle(connection);
  }

  // ── output ──────────────────────────────────────────────────────────────────────────────────────────────────────

  transmit(id: number, roomBytes: number, nowMs: number): Buffer[] {
    const out: Buffer[] = [];
    const connection = this.find(id);
    if (connection === undefined) return out;
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
    this.settle(connection);
  }

  /** Something has become of what is under way. */
  protected settle(_connection: PlainConnection): void {
    this.lookAtDoubt();
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
      case "idle":
        return this.retire(connection, verdict);
      default:
        this.giveUp(connection, { reason: verdict, fault: undefined });
    }
  }

  /** The application doubts the path: the probe is sent, if there is one. Answers true if so. */
  ping(nowMs: number): boolean {
    const probes = this.watch?.doubted(nowMs) === true;
    if (probes) this.oweProbe();
    return probes;
  }

  // ── endings ─────────────────────────────────────────────────────────────────────────────────────────────────────

  reset(_code: string, _reason: string, outcome: Outcome): void {
    this.tellOutcome(outcome, "");
  }

  abandon(outcome: Outcome): void {
    this.tellOutcome(outcome, "");
  }

  protected override leaveConnections(outcome: Outcome): void {
    const inOrder = outcome === "closed";
    if (this.inUse !== undefined) this.close(this.inUse, outcome, {}, inOrder);
    if (this.login !== undefined) this.close(this.login, outcome);
    this.inUse = this.login = undefined;
    this.watch = undefined;
  }
}
