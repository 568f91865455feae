/**
 * The messages of a link that wait under the policies of its queue, before the log of its protocol. They go on into the
 * log while the link is connected, and only as far as the connection is about to write them: so no policy touches a
 * message of which a byte was written on the connection in use.
 *
 * While nothing waits and the connection keeps up, messages go to the log directly.
 */
import type { Entry } from "../core/queue/entry.ts";
import { type Dropped, type DropReason, PolicyQueue } from "../core/queue/policy-queue.ts";
import { type Acceptance, type Awaiting, coveredBy, untilOf } from "./acceptance.ts";
import { AgeClock } from "./age.ts";
import { BoundCount, takeInto } from "./bound.ts";
import { type Checkpoint, Checkpoints } from "./checkpoints.ts";
import { DropReports, type DropHost, notSent } from "./drop-reports.ts";
import { connectionLostError, RespliceError } from "./errors.ts";
import type { Clock, Timer } from "./ports.ts";
import type { Kept } from "./payload.ts";
import type { Outbound, Until } from "./protocol.ts";
import { type PolicyTerms, policyTerms, type QueuePolicy } from "./queue-options.ts";
import { AHEAD_BYTES, type RoomSource } from "./room.ts";
import type { ClearOptions, TrySendOptions, UndeliveredMessage } from "./types.ts";

/**
 * The log is given more while it holds less that was never written: as far as a paced sender may be ahead of the
 * connection. With less than that a sender at full speed would go through the queue, which costs more than the log.
 */
const LOW_WATER_BYTES = AHEAD_BYTES;

/** A message in the queue. */
interface Held extends Kept {
  readonly call: Awaiting | undefined;
  checkpoint: Checkpoint<Awaiting>;
}

/** A message that the queue, or the backlog itself, has dropped. */
type Left = Omit<Dropped<Held>, "reason"> & { readonly reason: DropReason | "connection-lost" };

/** The parts of the link that its backlog uses. */
export interface BacklogParts {
  readonly outbound: Outbound;
  readonly acceptance: Acceptance;
  readonly driver: { readonly clock: Clock; changed(): void; run(): void };
  readonly host: DropHost;
}

export class Backlog implements RoomSource {
  readonly policy: QueuePolicy;
  readonly #outbound: Outbound;
  readonly #acceptance: Acceptance;
  readonly #driver: BacklogParts["driver"];
  readonly #age: AgeClock;
  readonly #queue: PolicyQueue<Held>;
  readonly #checkpoints: Checkpoints<Awaiting> = new Checkpoints();
  readonly #reports: DropReports;
  readonly #timer: Timer;
  /** Since when there is no connection. */
  #lostMs: number | undefined;
  readonly #bound: BoundCount = new BoundCount();
  #isOver = false;

  constructor(policy: QueuePolicy, { outbound, acceptance, driver, host }: BacklogParts) {
    this.policy = policy;
    this.#outbound = outbound;
    this.#acceptance = acceptance;
    this.#driver = driver;
    this.#age = new AgeClock(driver.clock);
    this.#queue = new PolicyQueue(policy, outbound.newAccount());
    this.#reports = new DropReports(driver.clock, host);
    this.#timer = driver.clock.timer(() => driver.run());
    this.#lookAtConnection();
    this.#setTimer();
  }

  // ── as the room sees it ─────────────────────────────────────────────────────────────────────────────────────────

  get adopted(): { readonly id: number } | undefined {
    return this.#outbound.adopted;
  }

  get overheadBytes(): number {
    return this.#outbound.overheadBytes;
  }

  get roomMessages(): number {
    return this.isDirect ? this.#outbound.roomMessages : 0;
  }

  get roomBytes(): number {
    return Math.min(this.#outbound.roomBytes, LOW_WATER_BYTES - this.#outbound.queuedBytes);
  }

  get takenBytes(): number {
    return this.#outbound.takenBytes;
  }

  get queuedBytes(): number {
    return this.#outbound.queuedBytes + this.#queue.bytes;
  }

  // ── what waits ──────────────────────────────────────────────────────────────────────────────────────────────────

  get messages(): number {
    return this.#queue.messages;
  }

  /** Of payload. */
  get bytes(): number {
    return this.#queue.bytes;
  }

  /** How long the first message in line has waited; 0 if none waits. */
  get oldestAgeMs(): number {
    return this.#queue.messages === 0 ? 0 : this.#age.now() - this.#queue.oldestMs;
  }

  /** A message may go to the log at once: nothing waits, and the connection keeps up. */
  get isDirect(): boolean {
    return (
      this.#queue.messages === 0 && this.#outbound.adopted !== undefined && this.#outbound.queuedBytes < LOW_WATER_BYTES
    );
  }

  /** A message for which there is no room has to wait outside; else another, or it, is dropped. */
  get waitsForRoom(): boolean {
    return this.policy.overflow === "wait";
  }

  /** The log takes more. */
  get isMoving(): boolean {
    const { adopted, queuedBytes, sendingEnded } = this.#outbound;
    return adopted !== undefined && !sendingEnded && queuedBytes < LOW_WATER_BYTES;
  }

  /** Throws INVALID_ARGUMENT if the options do not fit the policy. */
  terms(options: TrySendOptions | undefined): PolicyTerms {
    return policyTerms(this.policy, options);
  }

  /** Throws if messages fail at once while there is no connection, as the policy may say. */
  checkConnected(): void {
    if (!this.isFailing) return;
    throw notConnected();
  }

  get isFailing(): boolean {
    const { failAfterMs } = this.policy;
    if (failAfterMs === Infinity || this.#outbound.adopted !== undefined) return false;
    return this.#lostMs !== undefined && this.#driver.clock.now() - this.#lostMs >= failAfterMs;
  }

  #lookAtConnection(): void {
    const { adopted, isAtRest } = this.#outbound;
    if (adopted === undefined && isAtRest !== true) this.#lostMs ??= this.#driver.clock.now();
    else this.#lostMs = undefined;
  }

  /** Answers whether the message can wait here, and nothing has to be dropped for it. */
  hasRoom(bytes: number, { priority, key }: PolicyTerms): boolean {
    this.#queue.expire(this.#age.now());
    this.#settle();
    return this.#queue.hasRoom({ bytes, priority, key });
  }

  /** Answers the rest of the call's wait, if it wants more than that the message waits here. */
  push(
    kept: Kept,
    bytes: number,
    terms: PolicyTerms,
    until: Until,
    signal: AbortSignal | undefined,
  ): Promise<unknown> | undefined {
    if (until === "taken") {
      this.#push(kept, bytes, terms, undefined);
      return undefined;
    }
    const call = this.#acceptance.call(coveredBy(until), signal, () => {
      if (this.#queue.remove(entry)) this.#left(entry.message);
      this.#driver.changed();
      return "not-sent";
    });
    const entry = this.#push(kept, bytes, terms, call);
    return call.wait.promise;
  }

  #push(kept: Kept, bytes: number, terms: PolicyTerms, call: Awaiting | undefined): Entry<Held> {
    const { payload, given, boundTo } = kept;
    const held: Held = { payload, given, call, boundTo, checkpoint: this.#checkpoints.join() };
    this.#bound.add(boundTo);
    const entry = this.#queue.push(held, { bytes, ...terms }, this.#age.now());
    this.#settle();
    this.#outbound.wake?.();
    this.#setTimer();
    return entry;
  }

  /** Resolves when the peer has accepted all that waits now, and all that is in the log. */
  flush(signal: AbortSignal | undefined): Promise<unknown> {
    const call = this.#acceptance.call("everything", signal, () => {
      this.#checkpoints.withdraw(checkpoint, call);
      return undefined;
    });
    const checkpoint = this.#checkpoints.add(call);
    return call.wait.promise;
  }

  /** Answers the messages that it took out, but those whose calls wait: these are told by themselves. */
  clear(options: ClearOptions): UndeliveredMessage[] {
    const { olderThanMs, priority: name } = options;
    const priority = name === undefined ? undefined : policyTerms(this.policy, { priority: name }).priority;
    const cleared = this.#queue.clear({ priority, olderThanMs }, this.#age.now());
    this.#settle();
    for (const { message } of cleared) this.#left(message);
    return told(cleared, () => dropped("clear() took it out of the queue"));
  }

  // ── out ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Drops what is over, and moves what the connection is about to write. */
  progress(): void {
    if (this.#isOver) return;
    this.#lookAtConnection();
    this.#dropBound();
    if (this.#queue.messages > 0) {
      if (this.isFailing) this.#failAll();
      this.#move();
      this.#settle();
    }
    this.#setTimer();
  }

  #move(): void {
    const nowMs = this.#age.now();
    this.#queue.expire(nowMs);
    while (this.isMoving) {
      const entry = this.#queue.next(nowMs);
      if (entry === undefined) return;
      const isTooLarge = entry.bytes > this.#outbound.maxMessageBytes;
      if (!isTooLarge && !this.#outbound.hasRoom(entry.bytes)) return;
      this.#queue.take(entry, nowMs);
      if (isTooLarge) this.#dropTooLarge(entry);
      else this.#toLog(entry);
      this.#left(entry.message);
    }
  }

  #toLog({ message: { payload, given, call, boundTo }, bytes }: Entry<Held>): void {
    try {
      takeInto(this.#outbound, payload, bytes, given, untilOf(call), boundTo !== undefined);
    } catch (error) {
      // An application's framing has accepted the message when it was sent, and refuses it now.
      if (call === undefined) return this.#reports.add("too-large", payload);
      return call.wait.reject(error as RespliceError);
    }
    if (call !== undefined) this.#acceptance.await(call);
  }

  /** The ends have agreed on a message size that is too small for it. */
  #dropTooLarge({ message: { payload, call }, bytes }: Entry<Held>): void {
    const error = new RespliceError("MESSAGE_TOO_LARGE", `a message of ${bytes} bytes is larger than the peer takes`, {
      delivery: "not-sent",
    });
    if (call === undefined) this.#reports.add("too-large", payload);
    else call.wait.reject(error);
  }

  /** The link was without a connection for as long as messages may wait for one. */
  #failAll(): void {
    const nowMs = this.#age.now();
    for (const entry of this.#queue.clear({}, nowMs)) this.#drop({ entry, reason: "expired", by: undefined });
  }

  /** Messages that are for a connection which is gone go no further. */
  #dropBound(): void {
    const id = this.#outbound.adopted?.id;
    if (!this.#bound.hasOthers(id)) return;
    const where = ({ boundTo }: Held): boolean => boundTo !== undefined && boundTo !== id;
    for (const entry of this.#queue.clear({ where }, this.#age.now())) {
      this.#drop({ entry, reason: "connection-lost", by: undefined });
    }
    this.#settle();
  }

  #settle(): void {
    for (const each of this.#queue.takeDropped()) this.#drop(each);
  }

  #drop({ entry: { message }, reason, by }: Left): void {
    const { payload, call } = message;
    const error = (): RespliceError =>
      reason === "connection-lost" ? connectionLostError("not-sent") : dropped(reason);
    if (by === undefined) {
      for (const flush of this.#checkpoints.takeCovering(message.checkpoint)) flush.wait.reject(error());
    } else {
      // The new message has the place of the old one: a flush() that covers the old one waits for the new one.
      [message.checkpoint, by.message.checkpoint] = [by.message.checkpoint, message.checkpoint];
    }
    if (call === undefined) {
      this.#reports.add(reason, payload);
    } else {
      if (reason === "connection-lost") this.#reports.callLost();
      call.wait.reject(error());
    }
    this.#left(message);
  }

  #left({ checkpoint, boundTo }: Held): void {
    this.#bound.remove(boundTo);
    for (const flush of this.#checkpoints.left(checkpoint)) {
      if (this.#outbound.unackedBytes === 0) flush.wait.resolve(undefined);
      else this.#acceptance.await(flush);
    }
  }

  #setTimer(): void {
    if (this.#isOver) return;
    const expiryMs = this.#queue.nextExpiryMs - this.#age.sleptMs;
    const failMs = this.#lostMs === undefined || this.isFailing ? Infinity : this.#lostMs + this.policy.failAfterMs;
    this.#timer.set(Math.min(expiryMs, failMs));
  }

  /** The link has ended: nothing waits any more. Answers the messages that no call waits for. */
  ended(error: RespliceError): UndeliveredMessage[] {
    this.#isOver = true;
    this.#timer.clear();
    const rest = this.#queue.clear({}, this.#age.now());
    this.#settle();
    for (const flush of this.#checkpoints.takeCovering(undefined)) flush.wait.reject(error);
    this.#reports.tell();
    return told(rest, () => error);
  }
}

/** Tells the calls that wait. Answers the messages of the others. */
function told(entries: ReadonlyArray<Entry<Held>>, error: () => RespliceError): UndeliveredMessage[] {
  const others: UndeliveredMessage[] = [];
  for (const { message } of entries) {
    if (message.call === undefined) others.push(notSent(message.payload));
    else message.call.wait.reject(error());
  }
  return others;
}

const BECAUSE = {
  overflow: "there was no room for it in the queue",
  expired: "it has waited in the queue for too long",
  conflated: "a newer message with the same key has its place in the queue",
} as const;

function dropped(why: string): RespliceError {
  const text = why in BECAUSE ? BECAUSE[why as keyof typeof BECAUSE] : why;
  return new RespliceError("DROPPED", `the message was dropped: ${text}`, { delivery: "not-sent" });
}

export function notConnected(): RespliceError {
  return new RespliceError("NOT_CONNECTED", "the link is not connected", { delivery: "not-sent" });
}
