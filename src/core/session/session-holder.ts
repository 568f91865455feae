/** Holds a link's session, and has what the application does with it, whichever connection carries it. */
import type { Fault } from "../wire/faults.ts";
import type { LinkCoreEvent, LinkCoreOptions, Outcome } from "./link-events.ts";
import type { Keep } from "../log/unread.ts";
import type { Session } from "./session.ts";
import type { Budget } from "../log/window.ts";

export abstract class SessionHolder {
  readonly events: LinkCoreEvent[] = [];
  session: Session;
  protected readonly options: LinkCoreOptions;
  #outcomeTold = false;
  /** Accepted by the peer in the sessions before. */
  #acceptedBefore: { messages: number; bytes: number } | undefined;

  constructor(options: LinkCoreOptions, session: Session) {
    this.options = options;
    this.session = session;
  }

  /** The application has been told how it ended. */
  get ended(): boolean {
    return this.#outcomeTold;
  }

  get gone(): boolean {
    return this.session.phase === "gone";
  }

  /** Room for a message of so many bytes, counting what was never written. */
  hasRoom(payloadBytes: number): boolean {
    const { log } = this.session.sender;
    const bytes = log.encodedBytes(payloadBytes);
    return this.roomMessages > 0 && bytes <= this.#queueBytes && log.hasRoom(bytes);
  }

  get roomMessages(): number {
    return this.options.queue.maxMessages - this.session.sender.queuedMessages;
  }

  /** So many bytes are surely there: in the queue, and in memory that is held already. */
  get roomBytes(): number {
    return Math.min(this.#queueBytes, this.session.sender.log.leftBytes);
  }

  get #queueBytes(): number {
    return this.options.queue.maxBytes - this.session.sender.queuedBytes;
  }

  /** What waits to be accepted, here and by the peer: as it arrived, and the memory of what is sent. */
  get heldBytes(): number {
    const { receiver, sender } = this.session;
    return (receiver.stopped ? 0 : receiver.unacceptedBytes) + sender.log.account.heldBytes;
  }

  /** For what is to be sent. */
  get outgoingBudget(): Budget {
    return this.options.logBudget;
  }

  /** Nothing is taken any more. */
  get sendingEnded(): boolean {
    return this.#outcomeTold || this.session.sender.ended || this.session.peerStopped;
  }

  /** The peer has ended, and the consumer has been handed everything. */
  get inputEnded(): boolean {
    return this.session.receiver.endReached;
  }

  get maxMessageBytes(): number {
    return this.options.maxMessageBytes;
  }

  /** The caller has checked `sendingEnded`, `maxMessageBytes` and `hasRoom`. */
  take(payload: Uint8Array | string, payloadBytes: number, given: boolean): void {
    this.session.sender.take(payload, payloadBytes, given);
  }

  /** The next message for the consumer, as of Receiver.next(). A fault of the peer's ends the link, and there is none. */
  next(keep?: Keep): Buffer | undefined {
    if (this.#outcomeTold) return undefined;
    const { receiver } = this.session;
    const message = receiver.next(keep);
    if (message === undefined && receiver.problem !== undefined) this.fail(receiver.problem);
    return message;
  }

  /** Hands out what is here, as Receiver.handOut() does. */
  handOut(hand: (message: Buffer) => boolean, keep: Keep, most: number): boolean {
    if (this.#outcomeTold) return false;
    const { receiver } = this.session;
    const hasMore = receiver.handOut(hand, keep, most);
    if (receiver.problem !== undefined && !this.#outcomeTold) this.fail(receiver.problem);
    return hasMore;
  }

  accept(position: number): void {
    if (this.session.phase !== "live") return;
    this.session.accept(position);
    this.checkThrough();
  }

  end(): void {
    if (this.session.phase !== "live") return;
    this.session.sender.end(this.endKind);
    this.checkThrough();
  }

  /** What end() tells the peer. */
  protected get endKind(): "final" | "moved" {
    return "final";
  }

  /** No consumer will read any more: what arrives is not accepted, and the peer reports it. */
  stopReading(): void {
    if (this.session.phase !== "live") return;
    this.session.stopReading();
    this.checkThrough();
  }

  /** What the peer has accepted, over all sessions: payloads. A byte stream has no messages. */
  accepted(): { messages: number; bytes: number } {
    const { messages = 0, bytes = 0 } = this.#acceptedBefore ?? {};
    const { log } = this.session.sender;
    const released = log.releasedMessages();
    return { messages: messages + released, bytes: bytes + log.start - released * log.encodedBytes(0) };
  }

  /** The session is about to be replaced. */
  protected keepAccepted(): void {
    this.#acceptedBefore = this.accepted();
  }

  /** Looks whether both directions are through, and whether the tombstone has served. */
  abstract checkThrough(): void;

  /** The peer has made a mistake that no new connection will mend. */
  protected abstract fail(problem: Fault): void;

  /** Once: later events do not change what the application was told. */
  protected tellOutcome(outcome: Outcome, peerCode: string, detail: string): void {
    if (this.#outcomeTold) return;
    this.#outcomeTold = true;
    const undelivered = this.session.sender.undelivered();
    this.session.release();
    this.events.push({ type: "ended", outcome, peerCode, undelivered, detail });
  }
}
