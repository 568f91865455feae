/**
 * The traffic of the connection in use: messages, answers and probes. Which connection that is, and how the link
 * ends, is decided in `core.ts`.
 */
import { RoundTrip } from "../core/log/window.ts";
import { type MessageTaker, type PlainConnection, type Problem, problem, textOf } from "./connection.ts";
import { PlainHolder } from "./holder.ts";
import type { MessageId, PlainCoreOptions } from "./options.ts";
import type { Entry } from "./entry.ts";
import { yesOrNo } from "./functions.ts";
import type { Watch, WatchFacts } from "./watch.ts";

/** With a probe that proves, one is sent when this part of `inDoubtBytes` is in doubt. */
const PROOF_FROM = 1 / 2;
const NO_PROBE = -1;

export abstract class PlainTraffic extends PlainHolder implements MessageTaker, WatchFacts {
  protected inUse: PlainConnection | undefined;
  protected watch: Watch | undefined;
  /** The connection is to be replaced once nothing is under way on it. */
  protected isRetiring = false;
  #roundTrip: RoundTrip | undefined;
  #probeOwed = false;
  /** The number of the first message that was written after the probe that awaits its answer. */
  #probeBefore = NO_PROBE;
  #probedMs = 0;
  /** Messages below are to be proven soon, and those below `#provenTo` are, as far as a probe can prove them. */
  #proofTo = 0;
  #provenTo = 0;
  readonly #probeId: MessageId | undefined;

  constructor(options: PlainCoreOptions) {
    super(options);
    const { probe, requests } = options;
    if (probe !== undefined && probe.isAnswer === undefined) this.#probeId = requests?.idOf?.(probe.message);
    const isExact = probe?.isAnswer !== undefined || this.answers?.isInOrder === true || this.#probeId !== undefined;
    if (probe?.proves === true && !isExact) throw new Error("a probe proves nothing if its answer is not known");
  }

  /** Another connection is in use. */
  protected begin(): void {
    this.isRetiring = false;
    this.#roundTrip = undefined;
    this.#probeOwed = false;
    this.#probeBefore = NO_PROBE;
    this.#provenTo = 0;
  }

  protected abstract giveUp(connection: PlainConnection, trouble: Problem): void;

  // ── what arrives ────────────────────────────────────────────────────────────────────────────────────────────────

  onMessage(connection: PlainConnection, message: Buffer, nowMs: number): void {
    if (!connection.isInUse) {
      this.events.push({ type: "login-message", channel: connection.id, message: Buffer.from(message) });
      return;
    }
    try {
      const leaves = this.#asksToLeave(message);
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
    if (!isInOrder && this.#answersProbe(message)) return this.#onProbeAnswered(nowMs);
    this.watch?.used(nowMs);
    if (answers === undefined) return this.arrived(message) as undefined;
    const id = answers.idOf(message);
    if (id !== undefined && id === this.#probeId && this.#probeBefore !== NO_PROBE) return this.#onProbeAnswered(nowMs);
    const kind = answers.kindOf(message, id);
    if (kind === "push") return this.arrived(message) as undefined;
    const entry = answers.find(id);
    if (isInOrder && this.#isProbesTurn(entry)) return kind === "more" ? undefined : this.#onProbeAnswered(nowMs);
    if (entry === undefined) return problem("answer-unexpected", "an answer that no request waits for");
    if (kind === "answer") return this.#answered(entry, message);
    if (!answers.addPart(entry, message, nowMs)) return undefined;
    return problem("answer-too-large", `an answer of ${entry.partsBytes} bytes, and more`);
  }

  /** A message for the consumer. */
  protected arrived(message: Buffer): void {
    this.inbox.push(message);
  }

  #asksToLeave(message: Buffer): boolean {
    const { reconnectWhen } = this.options;
    return reconnectWhen !== undefined && yesOrNo("reconnectWhen", reconnectWhen(message));
  }

  #answersProbe(message: Buffer): boolean {
    const { probe } = this.options;
    return probe?.isAnswer !== undefined && yesOrNo("isAnswer", probe.isAnswer(message));
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

  /** Bytes have arrived on the connection in use. */
  protected heard(nowMs: number): void {
    if (this.#probeBefore !== NO_PROBE && this.#isAnsweredByAnything) this.#onProbeAnswered(nowMs);
  }

  // ── the probe ───────────────────────────────────────────────────────────────────────────────────────────────────

  get #isAnsweredByAnything(): boolean {
    return (
      this.options.probe?.isAnswer === undefined && this.#probeId === undefined && this.answers?.isInOrder !== true
    );
  }

  protected override wantsProof(to: number): void {
    this.#proofTo = Math.max(this.#proofTo, to);
  }

  /** A message was written that is to be proven, and no probe was answered that was written behind it. */
  get #owesProof(): boolean {
    if (this.options.probe?.proves !== true) return false;
    const { head, sentTo } = this.outbox;
    return Math.max(this.#provenTo, head) < Math.min(this.#proofTo, sentTo);
  }

  #onProbeAnswered(nowMs: number): undefined {
    const before = this.#probeBefore;
    if (before === NO_PROBE) return;
    this.#probeBefore = NO_PROBE;
    this.watch?.probeAnswered();
    (this.#roundTrip ??= new RoundTrip()).sample(nowMs - this.#probedMs);
    this.#provenTo = before;
    if (this.options.probe?.proves === true) this.outbox.proven(before, this.tickets.onDelivered);
  }

  get rttMs(): number | undefined {
    return this.#roundTrip?.smoothedMs;
  }

  /** The peer answers nothing any more: no probe is sent, and none is awaited. */
  protected endProbing(): void {
    this.#probeOwed = false;
    this.#probeBefore = NO_PROBE;
    this.watch?.endProbing();
  }

  protected oweProbe(): void {
    this.#probeOwed = true;
  }

  // ── what is written ─────────────────────────────────────────────────────────────────────────────────────────────

  protected writeTo(connection: PlainConnection, out: Buffer[], roomBytes: number, nowMs: number): void {
    const { outbox } = this;
    if (!outbox.isWriting && outbox.sentTo < outbox.next && this.#mayWrite) {
      if (this.answers !== undefined) this.answers.nowMs = nowMs;
      outbox.write(out, roomBytes, this.answers);
      if (outbox.isWriting) {
        this.watch?.writing(nowMs);
        this.watch?.used(nowMs);
      }
    }
    if (this.#probeBefore !== NO_PROBE || !(this.#probeOwed || this.#owesProof)) return;
    // Not in the middle of a message.
    if (outbox.partWritten === 0) this.#probe(connection, out, nowMs);
  }

  /** A message that was begun is always brought to its end. */
  get #mayWrite(): boolean {
    const { outbox } = this;
    if (outbox.partWritten > 0) return true;
    if (this.isRetiring) return false;
    return (
      this.options.probe?.proves !== true || outbox.doubtBytes === 0 || outbox.doubtBytes < this.options.inDoubtBytes
    );
  }

  #probe(connection: PlainConnection, out: Buffer[], nowMs: number): void {
    const { probe } = this.options;
    if (probe === undefined) return;
    this.#probeOwed = false;
    try {
      connection.send(probe.message);
    } catch (thrown) {
      return this.giveUp(connection, problem("framing-failed", textOf(thrown)));
    }
    connection.drainInto(out);
    this.#probeBefore = this.outbox.sentTo;
    this.#probedMs = nowMs;
    this.watch?.probed(nowMs);
  }

  /** Lets go of what is too much to be kept, or asks for proof. */
  protected lookAtDoubt(): void {
    const { outbox } = this;
    const { inDoubtBytes, probe } = this.options;
    if (probe?.proves !== true) outbox.letGo(inDoubtBytes);
    else if (this.isRetiring || outbox.doubtBytes > PROOF_FROM * inDoubtBytes) this.wantsProof(outbox.sentTo);
  }

  // ── what the deadlines depend on ────────────────────────────────────────────────────────────────────────────────

  get isBusy(): boolean {
    return !this.isQuiet || this.outbox.sentTo < this.outbox.next || this.#probeBefore !== NO_PROBE;
  }

  /**
   * A message is to be written on a connection that is unused for `idleCloseMs`, as a process that was stalled or
   * asleep has not closed it in time. The server may be closing it now.
   */
  protected isLeftUnused(nowMs: number): boolean {
    if (this.watch?.isUnused(nowMs) !== true) return false;
    const { sentTo, next } = this.outbox;
    return sentTo < next && this.isQuiet && this.#probeBefore === NO_PROBE && this.readsOn;
  }

  get waitsSinceMs(): number {
    return this.answers?.waitsSinceMs ?? Infinity;
  }

  get isPartWritten(): boolean {
    return this.outbox.partWritten > 0;
  }

  get isRead(): boolean {
    return this.readsOn;
  }
}
