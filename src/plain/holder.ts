/**
 * Holds the messages of a plain link in both directions, and implements `Outbound` and `Inbound` of `link/protocol.ts`
 * on them, whichever connection carries them.
 */
import type { Keep } from "../core/log/unread.ts";
import { Account } from "../core/log/window.ts";
import type { Outcome } from "../core/session/link-events.ts";
import type { Undelivered } from "../core/session/tickets.ts";
import type { ProtocolEvent, Until } from "../link/protocol.ts";
import { Answers } from "./answers.ts";
import { Inbox } from "./inbox.ts";
import type { PlainCoreOptions } from "./options.ts";
import type { Entry, PlainTicket } from "./entry.ts";
import { Outbox } from "./outbox.ts";
import { Storage } from "./storage.ts";
import { PlainTickets, undeliveredEntry } from "./tickets.ts";

interface Ending {
  outcome: Outcome;
  detail: string;
}

const IN_ORDER: Ending = { outcome: "closed", detail: "" };

export abstract class PlainHolder {
  readonly mode = "messages";
  /** A plain link has no session. */
  readonly sessionId = "";
  readonly session: object = this;
  readonly events: ProtocolEvent[] = [];
  protected readonly options: PlainCoreOptions;
  protected readonly outbox: Outbox;
  protected readonly inbox: Inbox = new Inbox();
  protected readonly answers: Answers | undefined;
  protected readonly tickets: PlainTickets = new PlainTickets();
  /** How the link ends when both directions are complete. */
  protected ending: Ending = IN_ORDER;
  #outcomeTold = false;
  #isInputEnded = false;
  outputEnded = false;

  constructor(options: PlainCoreOptions) {
    this.options = options;
    const { blocks, framing, requests } = options;
    this.outbox = new Outbox(options, new Storage(framing, requests?.idOf, blocks));
    this.answers = requests === undefined ? undefined : new Answers(requests, this.outbox);
  }

  /** The application was told that the link has ended, and how. */
  get ended(): boolean {
    return this.#outcomeTold;
  }

  get gone(): boolean {
    return this.#outcomeTold;
  }

  // ── what is sent ────────────────────────────────────────────────────────────────────────────────────────────────

  get maxMessageBytes(): number {
    return this.options.maxMessageBytes;
  }

  /** The queue counts payload. */
  get overheadBytes(): number {
    return 0;
  }

  hasRoom(payloadBytes: number): boolean {
    return this.outbox.hasRoom(payloadBytes);
  }

  get roomMessages(): number {
    return this.outbox.roomMessages;
  }

  get roomBytes(): number {
    return this.outbox.roomBytes;
  }

  newAccount(): Account {
    return new Account(this.options.maxMessageBytes, this.options.logBudget);
  }

  /**
   * Throws `encodeFailed()`'s error where the framing cannot frame the message, or where `idOf()` gives no id and a
   * call waits for the answer; then nothing was taken.
   */
  take(payload: Uint8Array | string, payloadBytes: number, given: boolean, until: Until): void {
    const { requests } = this.options;
    try {
      if (requests === undefined && until === "taken") return this.outbox.takeLight(payload, payloadBytes, given);
      const entry = this.outbox.take(payload, payloadBytes, given, this.#needsId(until));
      entry.isAnswered = requests !== undefined && (requests.idOf === undefined || entry.id !== undefined);
    } catch (thrown) {
      throw this.options.encodeFailed(thrown);
    }
  }

  bind(): void {
    this.outbox.bind();
  }

  checkMessage(payload: Uint8Array | string, until: Until): void {
    try {
      this.outbox.storage.check(payload, this.#needsId(until));
    } catch (thrown) {
      throw this.options.encodeFailed(thrown);
    }
  }

  /** Where answers have ids, a message without one gets none. A probe that proves can still say that it has arrived. */
  #needsId(until: Until): boolean {
    return until === "answered" || (until === "accepted" && this.options.probe?.proves !== true);
  }

  /** Messages are answered: `ticket("answer")` has a meaning. */
  get answersRequests(): boolean {
    return this.answers !== undefined;
  }

  get heldBytes(): number {
    return this.outbox.unwrittenBytes + this.inbox.unacceptedBytes;
  }

  get takenBytes(): number {
    return this.outbox.takenBytes;
  }

  /** Bytes of payload that no kernel has: `flush()` waits for these. At least 1 while a message waits that has none. */
  get unackedBytes(): number {
    const { unwrittenBytes, kernelTo, next } = this.outbox;
    return unwrittenBytes === 0 && kernelTo < next ? 1 : unwrittenBytes;
  }

  get owedBytes(): number {
    return this.unackedBytes;
  }

  /** Whether it can be known at all that a message has arrived: `until: "accepted"` makes sense. */
  get knowsAcceptance(): boolean {
    return this.answers !== undefined || this.options.probe?.proves === true;
  }

  /**
   * "message": its answer or proof. "answer": an "answered" event will bring it, or the ticket will be among the lost
   * ones. "everything": the kernel has it.
   */
  ticket(covers: "message" | "answer" | "everything"): PlainTicket {
    const { next } = this.outbox;
    if (covers === "everything") return this.tickets.forEverything(next);
    const entry = this.outbox.entry(next - 1);
    if (covers === "answer") return this.tickets.forMessage(entry, "request");
    this.wantsProof(next);
    return this.tickets.forMessage(entry, "message");
  }

  /** A probe is to prove soon that the messages below this number have arrived. */
  protected abstract wantsProof(to: number): void;

  /** A message whose ticket is withdrawn keeps its place, and its answer is dropped. */
  withdraw(ticket: PlainTicket): boolean {
    return this.tickets.withdraw(ticket);
  }

  takeDelivered(): readonly PlainTicket[] {
    this.tickets.kernelHas(this.outbox.kernelTo);
    return this.tickets.takeDelivered();
  }

  get queuedMessages(): number {
    return this.outbox.queuedMessages;
  }

  get queuedBytes(): number {
    return this.outbox.queuedBytes;
  }

  /** Memory is used again when `written()` has said so. */
  recycle(): void {}

  /** Messages, and bytes of payload, that were answered or proven. */
  accepted(): { messages: number; bytes: number } {
    const { deliveredMessages, deliveredBytes } = this.outbox;
    return { messages: deliveredMessages, bytes: deliveredBytes };
  }

  end(): void {
    if (this.ended) return;
    this.outputEnded = true;
    this.wantsProof(this.outbox.next);
    this.checkThrough();
  }

  get sendingEnded(): boolean {
    return this.outputEnded || this.ended;
  }

  /** A server cannot say that it reads no more. */
  get peerStopped(): boolean {
    return false;
  }

  /** Everything was written, and is answered or proven where that can be. */
  get outputDone(): boolean {
    return this.outputEnded && this.isQuiet && this.outbox.sentTo === this.outbox.next;
  }

  /** Nothing is under way, and nothing is awaited of what was written. */
  protected get isQuiet(): boolean {
    const { isClear, isWriting, partWritten } = this.outbox;
    if (isWriting || partWritten > 0 || (this.answers?.inFlight ?? 0) > 0) return false;
    return this.options.probe?.proves !== true || isClear;
  }

  // ── what is received ────────────────────────────────────────────────────────────────────────────────────────────

  get hasUnread(): boolean {
    return this.inbox.hasUnread;
  }

  get readableBytes(): number {
    return this.inbox.receivedTo - this.inbox.handedTo;
  }

  next(keep: Keep): Buffer | undefined {
    return this.ended ? undefined : this.inbox.next(keep);
  }

  handOut(hand: (message: Buffer, end: number) => boolean, keep: Keep, most: number): boolean {
    return !this.ended && this.inbox.handOut(hand, keep, most);
  }

  get handedTo(): number {
    return this.inbox.handedTo;
  }

  accept(position: number): void {
    if (this.ended) return;
    this.inbox.accept(position);
    this.checkThrough();
  }

  acceptHanded(exceptBytes: number): boolean {
    const before = this.inbox.acceptedTo;
    this.accept(this.inbox.handedTo - exceptBytes);
    return this.inbox.acceptedTo > before;
  }

  get consumedTo(): number {
    return this.inbox.acceptedTo;
  }

  get unacceptedBytes(): number {
    return this.inbox.unacceptedBytes;
  }

  get windowBytes(): number {
    return this.options.windowBytes;
  }

  get isFull(): boolean {
    return !this.readsOn;
  }

  /** A server without credit sends as fast as it is read. */
  get readsOn(): boolean {
    return this.ended || this.inbox.unacceptedBytes < this.options.windowBytes;
  }

  /** The link ends: nothing is sent any more, and the last connection is gone. */
  get inputEnded(): boolean {
    return this.#isInputEnded && !this.inbox.hasUnread;
  }

  get inputAccepted(): boolean {
    return this.inputEnded && this.inbox.unacceptedBytes === 0;
  }

  get inputMoves(): boolean {
    return false;
  }

  stopReading(): void {
    if (this.ended) return;
    this.inbox.stop();
    this.checkThrough();
  }

  get readingStopped(): boolean {
    return this.inbox.isStopped;
  }

  get awaitsEndOfTurn(): boolean {
    return this.inbox.hasUnread;
  }

  endTurn(): boolean {
    this.inbox.rest();
    return false;
  }

  // ── endings ─────────────────────────────────────────────────────────────────────────────────────────────────────

  /** No connection will bring anything more. */
  protected get isInputEnded(): boolean {
    return this.#isInputEnded;
  }

  protected endInput(): void {
    this.#isInputEnded = true;
  }

  /** Ends the link if both directions are complete. */
  protected checkThrough(): void {
    if (this.ended || !this.outputDone || !(this.inputAccepted || this.readingStopped)) return;
    this.outbox.closedInOrder();
    this.tellOutcome(this.ending.outcome, this.ending.detail);
  }

  /** Tells the application how the link has ended, once. */
  protected tellOutcome(outcome: Outcome, detail: string): void {
    if (this.#outcomeTold) return;
    this.tickets.kernelHas(this.outbox.kernelTo);
    this.#outcomeTold = true;
    const report = this.report(this.outbox.end(), true);
    this.inbox.stop();
    this.leaveConnections(outcome);
    this.events.push({ type: "ended", outcome, peerCode: "", detail, ...report }, { type: "gone" });
  }

  protected abstract leaveConnections(outcome: Outcome): void;

  /** The report of messages that will not be delivered, and of those that were let go. */
  protected report(entries: readonly Entry[], isAll: boolean): Undelivered {
    const lost = this.tickets.lost(entries, isAll);
    const undelivered = entries.filter(({ ticket }) => ticket === undefined).map(undeliveredEntry);
    const { untrackedMessages, untrackedBytes } = this.outbox;
    const report: Undelivered = { undeliveredCount: entries.length, lost, undelivered };
    if (untrackedMessages > 0) report.untracked = { messages: untrackedMessages, bytes: untrackedBytes };
    this.outbox.untrackedMessages = this.outbox.untrackedBytes = 0;
    return report;
  }
}
