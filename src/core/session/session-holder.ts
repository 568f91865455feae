/**
 * Holds a link's session, and implements `Outbound` and `Inbound` of `link/protocol.ts` on it, whichever connection
 * carries it. A link may have several sessions, one after the other, but its machinery does not see them.
 */
import type { Sender, UndeliveredEntry } from "../log/sender.ts";
import type { LinkCoreEvent, LinkCoreOptions, Outcome } from "./link-events.ts";
import { PREFIX_BYTES } from "../log/blocks.ts";
import type { Hand } from "../log/receiver.ts";
import type { Keep } from "../log/unread.ts";
import { Account } from "../log/window.ts";
import type { Mode } from "../wire/frames.ts";
import type { Session } from "./session.ts";
import { type Ticket, Tickets, type Undelivered } from "./tickets.ts";

const NONE: readonly Ticket[] = [];
const NOTHING_CARRIED: ReadonlyMap<number, number> = new Map();

export abstract class SessionHolder {
  readonly events: LinkCoreEvent[] = [];
  session: Session;
  protected readonly options: LinkCoreOptions;
  #outcomeTold = false;
  /** Messages and bytes that the peer has accepted in earlier sessions of the link. */
  #acceptedBefore: { messages: number; bytes: number } | undefined;
  /** Bytes that were taken in earlier sessions of the link and are not in this one. */
  #takenBefore = 0;
  /** Made for the first call that waits. */
  #tickets: Tickets | undefined;

  constructor(options: LinkCoreOptions, session: Session) {
    this.options = options;
    this.session = session;
  }

  /** The application was told that the link has ended, and how. */
  get ended(): boolean {
    return this.#outcomeTold;
  }

  get gone(): boolean {
    return this.session.phase === "gone";
  }

  get mode(): Mode {
    return this.options.mode;
  }

  get sessionId(): string {
    return this.session.keys.id;
  }

  // ── what is sent ────────────────────────────────────────────────────────────────────────────────────────────────

  /** Answers whether there is room for a message. The queue's limits count messages that were never written. */
  hasRoom(payloadBytes: number): boolean {
    const { log } = this.session.sender;
    const bytes = log.encodedBytes(payloadBytes);
    return this.roomMessages > 0 && bytes <= this.#queueBytes && log.hasRoom(bytes);
  }

  get roomMessages(): number {
    return this.options.queue.maxMessages - this.session.sender.queuedMessages;
  }

  /** The bytes for which there is certainly room: in the queue, and in memory that is held already. */
  get roomBytes(): number {
    return Math.min(this.#queueBytes, this.session.sender.log.leftBytes);
  }

  get #queueBytes(): number {
    return this.options.queue.maxBytes - this.session.sender.queuedBytes;
  }

  /** The memory of bytes that wait for acceptance: those received here, and the log of those sent to the peer. */
  get heldBytes(): number {
    const { receiver, sender } = this.session;
    return (receiver.stopped ? 0 : receiver.unacceptedBytes) + sender.log.account.heldBytes;
  }

  /** An account for sends that wait for room, with the same guaranteed minimum as the log's. */
  newAccount(): Account {
    return new Account(this.session.sender.log.account.minimum, this.options.logBudget);
  }

  /** Bytes that a message takes in the queue besides its payload. */
  get overheadBytes(): number {
    return PREFIX_BYTES;
  }

  /** No message is taken any more. */
  get sendingEnded(): boolean {
    return this.#outcomeTold || this.session.sender.ended || this.peerStopped;
  }

  get maxMessageBytes(): number {
    return this.options.maxMessageBytes;
  }

  /** The caller has checked `sendingEnded`, `maxMessageBytes` and `hasRoom`. */
  take(payload: Uint8Array | string, payloadBytes: number, given: boolean): void {
    this.session.sender.take(payload, payloadBytes, given);
  }

  /** Bytes taken since the start of the link, with what each message needs besides its payload. */
  get takenBytes(): number {
    return this.#takenBefore + this.session.sender.log.end;
  }

  /** Bytes taken that the peer has not accepted. */
  get unackedBytes(): number {
    return this.session.sender.unackedBytes;
  }

  /**
   * A ticket for the message that was taken last, or for all messages taken so far. The peer is asked to acknowledge at
   * once when it has accepted them. The pieces of a byte stream are not kept apart: there each ticket is for everything.
   */
  ticket(covers: Ticket["covers"]): Ticket {
    const { sender } = this.session;
    sender.askForAck();
    const { end } = sender.log;
    const tickets = (this.#tickets ??= new Tickets());
    if (this.mode === "messages") return tickets.issue(covers, end);
    return tickets.issue("everything", end, covers === "message" ? sender.pieceFrom : undefined);
  }

  /** Nobody waits for the ticket any more. Answers whether its messages were delivered. */
  withdraw(ticket: Ticket): boolean {
    return this.#tickets?.withdraw(ticket, this.session.sender.log.start) === true;
  }

  /** Takes out the tickets whose messages the peer has accepted. */
  takeDelivered(): readonly Ticket[] {
    return this.#tickets?.takeDelivered(this.session.sender.log.start) ?? NONE;
  }

  /**
   * `next` takes the place of the sender `old`, and positions begin anew. `carried`: for each message that was carried
   * over, where it ended and where it ends now. `entries`: the others.
   */
  protected senderReplaced(
    old: Sender,
    next: Sender,
    entries: readonly UndeliveredEntry[],
    carried: ReadonlyMap<number, number>,
  ): Undelivered {
    this.#takenBefore += old.log.end - next.log.end;
    const report = this.#undelivered(old, entries, carried);
    if (this.#tickets?.isAwaited === true) next.askForAck();
    return report;
  }

  #undelivered(
    { log }: Sender,
    entries: readonly UndeliveredEntry[],
    carried: ReadonlyMap<number, number>,
  ): Undelivered {
    const report = this.#tickets?.sessionOver(log.start, entries, carried);
    return report ?? { undeliveredCount: entries.length, lost: [], undelivered: entries };
  }

  get queuedMessages(): number {
    return this.session.sender.queuedMessages;
  }

  get queuedBytes(): number {
    return this.session.sender.queuedBytes;
  }

  /** Bytes taken that this session is to deliver, and that the peer has not accepted. */
  get owedBytes(): number {
    return this.session.sender.owedBytes;
  }

  /** The connection in use has written all but `pendingBytes` of the bytes that it was given. */
  recycle(pendingBytes: number): void {
    this.session.sender.recycle(pendingBytes);
  }

  end(): void {
    if (this.session.phase !== "live") return;
    this.session.sender.end(this.endKind);
    this.checkThrough();
  }

  /** The kind of end that end() states to the peer. */
  protected get endKind(): "final" | "moved" {
    return "final";
  }

  get outputEnded(): boolean {
    return this.session.sender.ended;
  }

  /** The peer has accepted our end, or reads no more. */
  get outputDone(): boolean {
    return this.session.outDone;
  }

  get peerStopped(): boolean {
    return this.session.peerStopped;
  }

  /** Messages, and bytes of payload, that the peer has accepted over all sessions. A byte stream has no messages. */
  accepted(): { messages: number; bytes: number } {
    const { messages = 0, bytes = 0 } = this.#acceptedBefore ?? {};
    const { log } = this.session.sender;
    const released = log.releasedMessages();
    return { messages: messages + released, bytes: bytes + log.start - released * log.encodedBytes(0) };
  }

  /** Keeps the counts of the session, which is about to be replaced. */
  protected keepAccepted(): void {
    this.#acceptedBefore = this.accepted();
  }

  // ── what is received ────────────────────────────────────────────────────────────────────────────────────────────

  /** Bytes wait to be handed out. */
  get hasUnread(): boolean {
    return this.session.receiver.unread.first !== undefined;
  }

  /**
   * The next message for the consumer, see Receiver.next(). A fault of the peer ends the link, and then there is none.
   */
  next(keep?: Keep): Buffer | undefined {
    if (this.#outcomeTold) return undefined;
    const { receiver } = this.session;
    const message = receiver.next(keep);
    if (message === undefined && receiver.problem !== undefined) this.onUnreadable();
    return message;
  }

  /** Hands out the messages that are here, see Receiver.handOut(). */
  handOut(hand: Hand, keep: Keep | undefined, most: number): boolean {
    if (this.#outcomeTold) return false;
    const { receiver } = this.session;
    const hasMore = receiver.handOut(hand, keep, most);
    if (receiver.problem !== undefined && !this.#outcomeTold) this.onUnreadable();
    return hasMore;
  }

  accept(position: number): void {
    if (this.session.phase !== "live") return;
    this.session.accept(position);
    this.checkThrough();
  }

  /**
   * The consumer has accepted everything handed out but the last `exceptBytes`. Answers whether this changed anything.
   */
  acceptHanded(exceptBytes: number): boolean {
    const { receiver } = this.session;
    const before = receiver.accepted;
    const position = receiver.handed - exceptBytes;
    if (before >= position) return false;
    this.accept(position);
    // Nothing is accepted any more once the link has ended.
    return receiver.accepted > before;
  }

  /** The position where the message that was handed out last ends. */
  get handedTo(): number {
    return this.session.receiver.handed;
  }

  get consumedTo(): number {
    return this.session.receiver.accepted;
  }

  get readableBytes(): number {
    return this.session.receiver.readableBytes;
  }

  get unacceptedBytes(): number {
    return this.session.receiver.unacceptedBytes;
  }

  get isFull(): boolean {
    return this.session.receiver.isFull;
  }

  get windowBytes(): number {
    return this.session.receiver.windowBytes;
  }

  /** Always: credit keeps a peer from sending too much, and its ACKs come on the same connection. */
  get readsOn(): boolean {
    return true;
  }

  /** The peer has ended, and the consumer has been handed everything. */
  get inputEnded(): boolean {
    return this.session.receiver.endReached;
  }

  /** The peer has ended, and the consumer has accepted everything. */
  get inputAccepted(): boolean {
    return this.session.receiver.endAccepted;
  }

  /** The peer has ended this session to go on in another. */
  get inputMoves(): boolean {
    return this.session.receiver.endKind === "moved";
  }

  /** No consumer will read any more: bytes that arrive are not accepted, and the peer reports them as undelivered. */
  stopReading(): void {
    if (this.session.phase !== "live") return;
    this.session.stopReading();
    this.checkThrough();
  }

  get readingStopped(): boolean {
    return this.session.receiver.stopped;
  }

  // ── endings ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Checks whether both directions are complete, and whether the tombstone is still needed. */
  abstract checkThrough(): void;

  /** No message can be handed out any more: `receiver.problem` is a mistake that a resume would meet again. */
  protected abstract onUnreadable(): void;

  /** Tells the application the outcome, once: later events do not change it. */
  protected tellOutcome(outcome: Outcome, peerCode: string, detail: string): void {
    if (this.#outcomeTold) return;
    this.#outcomeTold = true;
    const { sender } = this.session;
    const report = this.#undelivered(sender, sender.undelivered(), NOTHING_CARRIED);
    this.session.release();
    this.events.push({ type: "ended", outcome, peerCode, detail, ...report });
  }
}
