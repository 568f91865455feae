/**
 * The core of a client's plain link, to a server that knows nothing of resplice: one connection after the other. The
 * dial loop sees a `DialledCore` (client/connector.ts). Besides the events of `PlainLinkCore` it has "connection-lost"
 * with what is in doubt.
 */
import { PlainConnection, type Problem } from "./connection.ts";
import type { Entry } from "./entry.ts";
import { PlainLinkCore } from "./link-core.ts";

export class PlainCore extends PlainLinkCore {
  #wasConnected = false;
  /** We have closed the connection because it was not used: the next message dials. */
  #isIdle = false;
  #dialsAtOnce = false;

  get wantsDial(): boolean {
    if (this.ended || this.isInputEnded || this.inUse !== undefined || this.login !== undefined) return false;
    return !this.#isIdle || this.outbox.sentTo < this.outbox.next;
  }

  get isAtRest(): boolean {
    return this.#isIdle && !this.wantsDial && this.login === undefined;
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
    if (this.login !== undefined) this.dropLogin(this.login, "replaced");
    if (!this.wantsDial) return this.close(connection, "not needed");
    this.#dialsAtOnce = false;
    this.welcome(connection, nowMs);
  }

  protected override adopt(connection: PlainConnection, nowMs: number): void {
    this.#wasConnected = true;
    this.#isIdle = false;
    super.adopt(connection, nowMs);
  }

  /** Messages that were written on the connection and are not known to have arrived are reported, or sent again. */
  protected override lost(connection: PlainConnection, { reason, fault, restsAddress = false }: Problem): void {
    this.inUse = undefined;
    this.watch = undefined;
    const wasUseless = (fault !== undefined || restsAddress) && connection.messages === 0;
    this.events.push({ type: "disconnected", reason, fault, wasUseless, restsAddress });
    const { resendInFlight } = this.options;
    this.tickets.kernelHas(this.outbox.kernelTo);
    const inDoubt = this.outbox.lost(resendInFlight);
    this.#tellLost(resendInFlight ? [] : inDoubt);
    this.checkThrough();
  }

  /** Reports these messages, and those that were for this connection alone. */
  #tellLost(inDoubt: readonly Entry[]): void {
    const bound = this.outbox.takeBound();
    this.answers?.lost();
    const report = this.report([...inDoubt, ...bound], false);
    const isNews = report.undeliveredCount > 0 || report.untracked !== undefined || report.lost.length > 0;
    if (isNews) this.events.push({ type: "connection-lost", ...report });
  }

  /** An old connection is replaced once nothing is under way on it. */
  protected override retire(connection: PlainConnection, reason: "idle" | "aged"): void {
    if (reason === "idle") return this.#closeInOrder(connection, reason);
    this.isRetiring = true;
    this.settle(connection);
  }

  protected override settle(connection: PlainConnection): void {
    this.lookAtDoubt();
    if (this.isRetiring && this.isQuiet) return this.#closeInOrder(connection, "aged");
    this.checkThrough();
  }

  /** We close the connection in use, on which nothing is under way. */
  #closeInOrder(connection: PlainConnection, reason: "idle" | "aged"): void {
    this.close(connection, reason, {}, true);
    this.inUse = undefined;
    this.watch = undefined;
    this.#isIdle = reason === "idle";
    this.#dialsAtOnce = true;
    this.outbox.closedInOrder();
    this.events.push({ type: "disconnected", reason, fault: undefined });
    if (this.outbox.hasBound) this.#tellLost([]);
    this.checkThrough();
  }

  // ── output ──────────────────────────────────────────────────────────────────────────────────────────────────────

  override transmit(id: number, roomBytes: number, nowMs: number): Buffer[] {
    if (this.inUse?.id !== id || !this.isLeftUnused(nowMs)) return super.transmit(id, roomBytes, nowMs);
    this.#closeInOrder(this.inUse, "idle");
    return [];
  }

  // ── endings ─────────────────────────────────────────────────────────────────────────────────────────────────────

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
}
