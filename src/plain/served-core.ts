/**
 * The core of a plain link at a server. The link is one connection: its client keeps no session that it could come back
 * to, so the link ends with the connection. Messages that have arrived by then still go to the consumer.
 *
 * Its owner calls opened() with the connection, and drives it as any `PlainLinkCore`. Its events besides: "severed"
 * when the connection is over, and nothing is sent any more; "leaving" when the server takes no more messages from the
 * client; "end-writing" when our direction alone ends.
 */
import { Account, type Budget } from "../core/log/window.ts";
import { CLOSED, CLOSED_BY_PEER, type Outcome } from "../core/session/link-events.ts";
import { PlainConnection, type Problem } from "./connection.ts";
import { PlainLinkCore } from "./link-core.ts";
import type { PlainCoreOptions } from "./options.ts";

export interface ServedPlainOptions extends PlainCoreOptions {
  /** The consumer may be behind by so many bytes, whatever the others hold; up to `windowBytes` are borrowed. */
  windowFloorBytes: number;
  windowBudget: Budget;
}

export class ServedPlainCore extends PlainLinkCore {
  /** The bytes that have arrived and are not accepted. */
  readonly #window: Account;
  #isSevered = false;
  #hasLost = false;
  #isLeaving = false;
  #hasEndedWriting = false;
  /** Bytes of the client have come. */
  #hasHeard = false;

  constructor(options: ServedPlainOptions, entropy: { random(): number }) {
    super(options, entropy);
    this.#window = new Account(options.windowFloorBytes, options.windowBudget);
  }

  /** The client has connected. Called once. */
  opened(id: number, nowMs: number): void {
    this.welcome(new PlainConnection(id, this.options.framing, this.options, this), nowMs);
  }

  // ── the end of the connection ───────────────────────────────────────────────────────────────────────────────────

  /**
   * The client has ended its direction. It may wait for answers still, so what is sent goes on; unless messages to the
   * client are to be answered or proven, which is no longer possible.
   */
  peerEnded(id: number, nowMs: number): void {
    const connection = this.find(id);
    if (connection === undefined) return;
    connection.end(nowMs);
    // A function of the application may have ended the link.
    if (connection.isClosed) return;
    if (connection === this.login) return this.dropLogin(connection, CLOSED_BY_PEER, connection.problem);
    if (connection.problem !== undefined) return this.giveUp(connection, connection.problem);
    if (this.knowsAcceptance) return this.#endUnanswered(connection);
    this.endProbing();
    this.endInput();
    this.checkThrough();
  }

  #endUnanswered(connection: PlainConnection): void {
    const isOwed = !this.isQuiet || this.outbox.sentTo < this.outbox.next;
    this.close(connection, CLOSED_BY_PEER, {}, !isOwed);
    if (isOwed) return this.lost(connection, { reason: CLOSED_BY_PEER, fault: undefined });
    this.#severInOrder();
  }

  /**
   * A stream that both ends have ended closes by itself, though the consumer has not read everything yet. A client that
   * has gone before either end had said anything is no failure: balancers probe so, and reset the connection.
   */
  override connectionClosed(id: number, reason: string, nowMs: number): void {
    const hasEnded = this.#hasEndedWriting && this.isInputEnded && reason === CLOSED;
    const isProbe = !this.#hasHeard && this.outbox.next === 0;
    if (this.inUse?.id !== id || !(hasEnded || isProbe)) return super.connectionClosed(id, reason, nowMs);
    this.inUse.close();
    this.#severInOrder();
  }

  #severInOrder(): void {
    this.outbox.closedInOrder();
    this.#sever("closed", CLOSED_BY_PEER, "");
  }

  protected override lost(_connection: PlainConnection, { reason, fault }: Problem): void {
    this.#sever("connection-lost", reason, fault === undefined ? reason : `${reason}: ${fault.detail}`);
  }

  /**
   * Tells now what is lost: a consumer that waits for an answer must not wait for the link's end, nor the end for it.
   */
  #sever(outcome: Outcome, reason: string, detail: string): void {
    this.inUse = undefined;
    this.watch = undefined;
    this.tickets.kernelHas(this.outbox.kernelTo);
    const left = this.outbox.end();
    this.answers?.lost();
    this.outputEnded = true;
    this.endInput();
    this.ending = { outcome, detail };
    this.#isSevered = true;
    this.#hasLost = left.length > 0;
    this.events.push({ type: "severed", reason, outcome, detail, ...this.report(left, true) });
    this.checkThrough();
  }

  override reset(code: string, reason: string, outcome: Outcome): void {
    if (!this.#endAsSevered()) super.reset(code, reason, outcome);
  }

  override abandon(outcome: Outcome): void {
    if (!this.#endAsSevered()) super.abandon(outcome);
  }

  /** Of a link whose connection is over the end is decided: nothing changes it. Answers whether it is over. */
  #endAsSevered(): boolean {
    if (this.#isSevered) this.tellOutcome(this.ending.outcome, this.ending.detail);
    return this.#isSevered;
  }

  /** The connection is over, and messages were lost with it, or not sent. */
  get hasLost(): boolean {
    return this.#hasLost;
  }

  /** Since when the kernel has taken nothing of what is written; Infinity if nothing is. */
  get writingSinceMs(): number {
    return this.watch?.writingSinceMs ?? Infinity;
  }

  /** Nothing waits to be sent any more. */
  override get heldBytes(): number {
    return this.#isSevered ? this.inbox.unacceptedBytes : super.heldBytes;
  }

  // ── the end in order ────────────────────────────────────────────────────────────────────────────────────────────

  /** Takes no more messages from the client. Those that are here may be answered; then the link ends. */
  leave(reason?: "idle" | "aged" | "shed"): void {
    if (this.ended || this.isInputEnded) return;
    this.#isLeaving = true;
    this.endInput();
    this.events.push(reason === undefined ? { type: "leaving" } : { type: "leaving", reason });
    this.checkThrough();
  }

  protected override retire(_connection: PlainConnection, reason: "idle" | "aged"): void {
    this.leave(reason);
  }

  /** A handler that is running may answer what it was handed. */
  override get inputMoves(): boolean {
    return this.#isLeaving;
  }

  /** No message will arrive any more: the client has ended or is gone, or the link leaves. */
  get takesNoMore(): boolean {
    return this.isInputEnded;
  }

  /** No message will arrive any more, and some of those that are here are not read. */
  get awaitsReader(): boolean {
    return !this.ended && this.isInputEnded && this.inbox.hasUnread;
  }

  protected override checkThrough(): void {
    super.checkThrough();
    if (this.ended || this.inUse === undefined || !this.outputDone || this.#hasEndedWriting) return;
    this.#hasEndedWriting = true;
    this.endProbing();
    this.events.push({ type: "end-writing", channel: this.inUse.id });
  }

  // ── what is received ────────────────────────────────────────────────────────────────────────────────────────────

  override receive(id: number, chunk: Buffer, nowMs: number): void {
    this.#hasHeard = true;
    super.receive(id, chunk, nowMs);
    this.#hold();
  }

  protected override arrived(message: Buffer): void {
    if (!this.isInputEnded) super.arrived(message);
  }

  override accept(position: number): void {
    super.accept(position);
    this.#hold();
  }

  override stopReading(): void {
    super.stopReading();
    this.#hold();
  }

  #hold(): void {
    const more = this.inbox.unacceptedBytes - this.#window.heldBytes;
    if (more !== 0) this.#window.hold(more);
  }

  override get readsOn(): boolean {
    return super.readsOn && (this.ended || this.inbox.unacceptedBytes < this.#window.mostBytes);
  }

  /** A message that the consumer has in hand is a use of the connection. One that is ending anyway is not unused. */
  override get isBusy(): boolean {
    return super.isBusy || this.isInputEnded || this.inbox.unacceptedBytes > 0;
  }

  protected override leaveConnections(outcome: Outcome): void {
    super.leaveConnections(outcome);
    this.#hold();
  }
}
