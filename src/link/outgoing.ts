/** The sending side of a link: takes messages, into the log or into the queue before it. */
import type { UndeliveredEntry } from "../core/log/sender.ts";
import { Acceptance, checkKnown } from "./acceptance.ts";
import { Backlog, notConnected } from "./backlog.ts";
import { takeInto } from "./bound.ts";
import { checkWait } from "./check.ts";
import { aborted, type Delivery, RespliceError } from "./errors.ts";
import { checkSize, isGiven, kept, payloadBytes } from "./payload.ts";
import type { OutgoingDriver, OutgoingHost } from "./outgoing-host.ts";
import type { LostTicket, Outbound, Ticket, Until } from "./protocol.ts";
import { checkClearOptions, checkWithoutPolicy, type PolicyTerms, type ResolvedQueue } from "./queue-options.ts";
import { Room } from "./room.ts";
import { boundTo, checkSendOptions, type MessageOptions, type SendCall, untilGiven } from "./send-options.ts";
import type { ClearOptions, Payload, TrySendOptions, UndeliveredMessage, WaitOptions } from "./types.ts";
import { NO_MESSAGE, type RoomCall, type Waiter, type WaiterServer, Waiters } from "./waiters.ts";

export class Outgoing implements WaiterServer {
  readonly #outbound: Outbound;
  readonly #driver: OutgoingDriver;
  readonly #queue: ResolvedQueue;
  readonly #host: OutgoingHost;
  readonly #acceptance: Acceptance;
  /** The messages that wait under a policy; undefined if the queue has none. */
  readonly backlog: Backlog | undefined;
  /** The calls that wait for room. Made for the first of them. */
  #waiters: Waiters | undefined;
  /** The size of the message that trySend() last refused, and its class: ready() waits for as much room. */
  #refusedBytes = 0;
  #refusedTerms: PolicyTerms | undefined;
  /** Made when the first message is sent: most links of a large server send little. */
  #madeRoom: Room | undefined;
  /** This direction ends when everything that waits under the policy is in the log. */
  #endsWhenEmpty = false;
  takenMessages = 0;
  takenBytes = 0;

  constructor(outbound: Outbound, queue: ResolvedQueue, driver: OutgoingDriver, host: OutgoingHost) {
    const { policy } = queue;
    this.#outbound = outbound;
    this.#driver = driver;
    this.#queue = queue;
    this.#host = host;
    this.#acceptance = new Acceptance(outbound);
    this.backlog =
      policy === undefined
        ? undefined
        : new Backlog(policy, { outbound, driver, host: host.reports, acceptance: this.#acceptance });
  }

  /** Not a getter: V8 calls a private one through its runtime, which takes a tenth of the time of a small message. */
  #getRoom(): Room {
    return (this.#madeRoom ??= new Room(this.backlog ?? this.#outbound, this.#driver.clock, this.#driver));
  }

  trySend(message: Payload, options?: TrySendOptions): boolean {
    const bytes = payloadBytes(message);
    const bound = options === undefined ? undefined : this.#checkOptions(options, "trySend");
    if (!this.#getRoom().isLeft(bytes)) {
      if (this.backlog !== undefined) return this.#trySendBehind(this.backlog, message, bytes, options, bound);
      if (!(this.#hasRoom(bytes) && this.#getRoom().mayGoOn(this.#mostBytes))) {
        this.#refusedBytes = bytes;
        return false;
      }
    }
    const given = options !== undefined && options.transfer === true && isGiven(message, bytes);
    void this.#takeFor("taken", undefined, message, bytes, given, bound !== undefined);
    return true;
  }

  /** Answers the connection that the message is for; undefined: any. */
  #checkOptions(options: MessageOptions, call: SendCall): number | undefined {
    checkSendOptions(options, call);
    if (this.backlog === undefined) checkWithoutPolicy(options);
    else this.backlog.terms(options);
    if ("onConnection" in options && this.#isOver) throw this.#host.endedError();
    return boundTo(options, this.#outbound);
  }

  /** Throws when no message of so many bytes will ever be taken. */
  #hasRoom(bytes: number): boolean {
    this.#checkSending(bytes);
    return this.#isFirst && this.#outbound.hasRoom(bytes);
  }

  #checkSending(bytes: number): void {
    if (this.#isOver) throw this.#host.endedError();
    checkSize(bytes, this.#mostBytes);
  }

  /** No call waits for room. */
  get #isFirst(): boolean {
    return this.#waiters === undefined || this.#waiters.size === 0;
  }

  /** No call of the same class waits for room. */
  #isFirstOf(terms: PolicyTerms | undefined): boolean {
    return this.#waiters === undefined || this.#waiters.isFirst(terms);
  }

  /** No message is taken any more. */
  get #isOver(): boolean {
    return this.#outbound.sendingEnded || this.#endsWhenEmpty;
  }

  get #mostBytes(): number {
    const { mode, maxMessageBytes } = this.#outbound;
    // In mode "bytes" the ends agree on no message size: of a chunk the queue's bound is the largest.
    return mode === "messages" ? maxMessageBytes : this.#queue.maxBytes;
  }

  /** Takes a message into the log. Answers the rest of the call's wait, if it wants more than that. */
  #takeFor(
    until: Until,
    signal: AbortSignal | undefined,
    message: Payload,
    bytes: number,
    given: boolean,
    isBound: boolean,
  ): Promise<unknown> | undefined {
    takeInto(this.#outbound, message, bytes, given, until, isBound);
    this.taken(bytes);
    // The ticket is issued before anything is written: an application's transport may end the link in its write().
    const then = until === "taken" ? undefined : this.#acceptance.wait(until, signal);
    this.#driver.changed("writes");
    return then;
  }

  /** There is room for a piece of so many bytes, and nothing waits before it. */
  mayTake(bytes: number): boolean {
    if (this.#getRoom().isLeft(bytes)) return true;
    const isFirst = this.#isFirst && this.backlog === undefined;
    return isFirst && this.#outbound.hasRoom(bytes) && this.#getRoom().renew(this.#mostBytes);
  }

  taken(bytes: number): void {
    this.#getRoom().use(bytes);
    this.#count(bytes);
  }

  #count(bytes: number): void {
    this.takenMessages++;
    this.takenBytes += bytes;
    this.#refusedBytes = 0;
    this.#refusedTerms = undefined;
  }

  send(message: Payload, options?: MessageOptions): Promise<void> {
    return this.#send(message, options, undefined) as Promise<void>;
  }

  /** Resolves with the parts of the answer. */
  request(message: Payload, options?: MessageOptions): Promise<readonly Buffer[]> {
    return this.#send(message, options, "answered") as Promise<readonly Buffer[]>;
  }

  /** Not async, as every promise costs: the caller gets that of the message's own wait. */
  #send(message: Payload, options: MessageOptions | undefined, until: Until | undefined): Promise<unknown> {
    try {
      return this.#takeOrWait(message, options, until ?? untilGiven(options)) ?? Promise.resolve();
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** Takes the message, or lets it wait. Answers the call's wait, if it has one. */
  #takeOrWait(message: Payload, options: MessageOptions | undefined, until: Until): Promise<unknown> | undefined {
    const bytes = payloadBytes(message);
    const call = until === "answered" ? "request" : "send";
    const bound = options === undefined ? undefined : this.#checkOptions(options, call);
    if (until !== "taken") checkKnown(this.#outbound, until);
    const { backlog } = this;
    const isLeft = backlog === undefined && this.#getRoom().isLeft(bytes);
    if (!isLeft) this.#checkSending(bytes);
    const signal = options?.signal;
    if (signal?.aborted === true) throw aborted(signal, "not-sent");
    backlog?.checkConnected();
    const terms = backlog?.terms(options);
    const given = options?.transfer === true && isGiven(message, bytes);
    if (isLeft || this.#isDirect(bytes)) {
      return this.#takeFor(until, signal, message, bytes, given, bound !== undefined);
    }
    if (backlog !== undefined && terms !== undefined) {
      const mayWaitThere = !backlog.waitsForRoom || this.#mayWaitIn(backlog, bytes, terms);
      if (mayWaitThere) return this.#queueFor(backlog, until, signal, message, bytes, given, terms, bound);
    }
    return this.#waitForRoom({ ...kept(message, given, bound), bytes, terms, until, signal });
  }

  // ── under a policy ──────────────────────────────────────────────────────────────────────────────────────────────

  #trySendBehind(
    backlog: Backlog,
    message: Payload,
    bytes: number,
    options: TrySendOptions | undefined,
    bound: number | undefined,
  ): boolean {
    this.#checkSending(bytes);
    backlog.checkConnected();
    const terms = backlog.terms(options);
    const isDirect = this.#isDirect(bytes);
    const hasRoom = isDirect || this.#mayWaitIn(backlog, bytes, terms);
    const isPaced = hasRoom && !this.#getRoom().mayGoOn(this.#mostBytes);
    if (backlog.waitsForRoom && (!hasRoom || isPaced)) {
      this.#refusedBytes = bytes;
      this.#refusedTerms = terms;
      return false;
    }
    const given = options?.transfer === true && isGiven(message, bytes);
    if (isDirect) void this.#takeFor("taken", undefined, message, bytes, given, bound !== undefined);
    else void this.#queueFor(backlog, "taken", undefined, message, bytes, given, terms, bound);
    return true;
  }

  /** The message goes into the log at once. */
  #isDirect(bytes: number): boolean {
    return this.#isFirst && this.backlog?.isDirect !== false && this.#outbound.hasRoom(bytes);
  }

  /** The queue has room for the message without dropping another, and no call of its class waits for that. */
  #mayWaitIn(backlog: Backlog, bytes: number, terms: PolicyTerms): boolean {
    return this.#isFirstOf(terms) && backlog.hasRoom(bytes, terms);
  }

  /** The message waits under the policy. Answers the rest of the call's wait, if it wants more than that. */
  #queueFor(
    backlog: Backlog,
    until: Until,
    signal: AbortSignal | undefined,
    message: Payload,
    bytes: number,
    given: boolean,
    terms: PolicyTerms,
    bound: number | undefined,
  ): Promise<unknown> | undefined {
    this.#outbound.checkMessage?.(message, until);
    this.#getRoom().askAgain();
    this.#count(bytes);
    const then = backlog.push(kept(message, given, bound), bytes, terms, until, signal);
    this.#driver.changed();
    return then;
  }

  clear(options: ClearOptions = {}): UndeliveredMessage[] {
    if (this.backlog === undefined) throw new RespliceError("NOT_SUPPORTED", "clear() needs a queue with a policy");
    checkClearOptions(options);
    const cleared = this.backlog.clear(options);
    this.#driver.changed();
    return cleared;
  }

  /** Bytes that were taken and the peer has not accepted. */
  get unacceptedBytes(): number {
    return this.#outbound.unackedBytes + (this.backlog?.bytes ?? 0);
  }

  /** Ends this direction behind everything that was taken. */
  end(): void {
    if (this.#isEmpty) this.#outbound.end();
    else this.#endsWhenEmpty = true;
    this.sendingEnded();
  }

  /** No message waits before the log. */
  get #isEmpty(): boolean {
    return this.backlog === undefined || this.backlog.messages === 0;
  }

  // ── waiting for room ────────────────────────────────────────────────────────────────────────────────────────────

  /**
   * Whether a paced sender has to wait now. progress() is called when the turn is over, or the connection takes more.
   */
  hasToWait(): boolean {
    return this.#getRoom().hasToWait();
  }

  async ready(options: WaitOptions | undefined): Promise<void> {
    checkWait("ready()", options);
    if (this.#isOver) throw this.#host.endedError();
    const signal = options?.signal;
    if (signal?.aborted === true) throw aborted(signal);
    const bytes = this.#refusedBytes;
    const terms = this.backlog === undefined ? undefined : (this.#refusedTerms ?? this.backlog.terms(undefined));
    const isAhead = this.#getRoom().pace();
    if (!isAhead && this.#isFirstOf(terms) && this.#hasRoomFor(bytes, terms)) return;
    await this.#waitForRoom({ ...NO_MESSAGE, bytes, terms, signal });
  }

  #hasRoomFor(bytes: number, terms: PolicyTerms | undefined): boolean {
    if (this.backlog === undefined || terms === undefined) return this.#outbound.hasRoom(bytes);
    return !this.backlog.isFailing && this.backlog.hasRoom(bytes, terms);
  }

  #waitForRoom(call: RoomCall): Promise<unknown> {
    this.#getRoom().askAgain();
    this.#waiters ??= new Waiters(this.#outbound, this.#queue);
    return this.#waiters.wait(call, () => this.#driver.changed());
  }

  async flush(options: WaitOptions | undefined): Promise<void> {
    checkWait("flush()", options);
    if (options?.signal?.aborted === true) throw aborted(options.signal);
    if (this.#outbound.hasLost === true) throw this.#host.endedError();
    if (this.#outbound.unackedBytes === 0 && this.#isEmpty) return;
    if (this.#outbound.ended) throw this.#host.endedError();
    const signal = options?.signal;
    const accepted =
      this.backlog === undefined || this.#isEmpty
        ? this.#acceptance.wait("everything", signal)
        : this.backlog.flush(signal);
    this.#driver.changed();
    await accepted;
  }

  /** A call waits for room, or a message for the log. */
  get isAwaited(): boolean {
    return !(this.#isFirst && this.#isEmpty);
  }

  /** The answer to a request has come. */
  answered(ticket: Ticket, parts: readonly Buffer[]): void {
    this.#acceptance.answered(ticket, parts);
  }

  /** Settles the waits for which there is room now, and those for messages that were accepted. */
  progress(): void {
    this.#acceptance.settle();
    this.#waiters?.connectionIs(this.#outbound.adopted?.id);
    if (this.backlog === undefined) this.#waiters?.serve(this);
    else this.#progressBehind(this.backlog);
  }

  #progressBehind(backlog: Backlog): void {
    if (backlog.adopted === undefined) this.#madeRoom?.askAgain();
    backlog.progress();
    const waiters = this.#waiters;
    for (let size = waiters?.size ?? 0; waiters !== undefined && size > 0; { size } = waiters) {
      waiters.serve(this);
      if (waiters.size === size || !backlog.isMoving) break;
      backlog.progress();
    }
    // A send does not wait for room while messages fail at once; a ready() does, until the link is connected.
    if (backlog.isFailing) waiters?.reject("sends", notConnected);
    if (this.#endsWhenEmpty && (this.#isEmpty || this.#outbound.sendingEnded)) {
      this.#endsWhenEmpty = false;
      this.#outbound.end();
    }
  }

  mayServe({ payload, bytes, terms }: Waiter): boolean {
    if (this.#isOver || !this.#hasRoomFor(bytes, terms)) return false;
    return payload !== undefined || !this.#getRoom().hasToWait();
  }

  /**
   * Takes the message, unless the ends have meanwhile agreed on a message size that is too small for it, or it cannot
   * be framed.
   */
  serve({ payload, bytes, given, terms, boundTo: bound, until, signal, wait }: Waiter): void {
    if (payload === undefined) return wait.resolve(undefined);
    const { backlog } = this;
    try {
      checkSize(bytes, this.#mostBytes);
      const then =
        backlog === undefined || terms === undefined
          ? this.#takeFor(until, signal, payload, bytes, given, bound !== undefined)
          : this.#queueFor(backlog, until, signal, payload, bytes, given, terms, bound);
      wait.resolve(then);
    } catch (error) {
      wait.reject(error as RespliceError);
    }
  }

  /**
   * The session was replaced. Rejects the calls whose messages are lost; those for messages that go on wait on. Answers
   * the messages whose calls were aborted meanwhile.
   */
  replaced(lost: readonly LostTicket[], error: (delivery: Delivery) => RespliceError): UndeliveredEntry[] {
    this.#madeRoom?.askAgain();
    return this.#acceptance.lost(lost, error);
  }

  /** The direction has ended: rejects the calls that wait for room. */
  sendingEnded(): void {
    this.#madeRoom?.askAgain();
    this.#waiters?.reject("all", () => this.#host.endedError());
  }

  /** The link has ended: nobody waits any more. Answers the messages whose calls were aborted meanwhile. */
  ended(lost: readonly LostTicket[], error: (delivery: Delivery) => RespliceError): UndeliveredEntry[] {
    this.sendingEnded();
    return this.replaced(lost, error);
  }

  /** The link has ended: answers the messages that waited under a policy and were never sent. */
  backlogEnded(error: RespliceError): UndeliveredMessage[] {
    return this.backlog?.ended(error) ?? [];
  }
}
