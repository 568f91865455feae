/** The receiving side of a link: hands messages to one consumer at a time, and decides when they count as accepted. */
import type { Keep } from "../core/log/unread.ts";
import { checkWait, isThenable } from "./check.ts";
import type { DuplexInput } from "./duplex.ts";
import { aborted, invalidArgument, RespliceError } from "./errors.ts";
import type { LinkOwner } from "./owner.ts";
import type { Inbound } from "./protocol.ts";
import { type Pace, Turn, type TurnClock, type TurnHost } from "./turn.ts";
import type { Message, WaitOptions } from "./types.ts";
import { keepInPlace } from "./untransferable.ts";
import { abortableWait, type Wait } from "./waits.ts";

type Consumer = "receive" | "iterator" | "handler" | "duplex" | "socket";
type Handler = (message: Message) => void | Promise<void>;

/** The driver of the link. */
export interface IncomingDriver {
  readonly clock: TurnClock;
  /** "writes": something was accepted, and nothing else has changed. */
  changed(what?: "writes"): void;
  run(): void;
}

export interface IncomingHost {
  /** The handler has thrown, or its promise was rejected. */
  failHandler(error: unknown): void;
  /** The error that ended the link, if one did. */
  readonly failure: RespliceError | undefined;
  readonly owner: Pick<LinkOwner, "pace">;
}

export class Incoming implements TurnHost {
  readonly #inbound: Inbound;
  readonly #driver: IncomingDriver;
  readonly #host: IncomingHost;
  /** Manual acceptance: only accept() accepts messages. */
  readonly #manual: boolean;
  /** Made when the first message comes. */
  #turn: Turn | undefined;
  /** The link has, or has had, a consumer. */
  wasRead = false;
  #consumer: Consumer | "none" = "none";
  /** The consumer waits for the next message; it resolves with `undefined` if there will be none. */
  #waiter: Wait<Message | undefined> | undefined;
  #handler: Handler | undefined;
  /** Is told of the memory of what the handler is given. Undefined: the handler keeps nothing. */
  #keep: Keep | undefined = keepInPlace;
  /** The handler is being called, or its promise is pending. */
  #handling = false;
  /** Where the last message ends that the handler has returned from. */
  #handledTo = 0;
  #over = false;
  /**
   * The session and the position up to which a loop has come back for more, and so accepts; not yet told to the
   * protocol.
   */
  #cameBackIn: object | undefined;
  #cameBackAt = 0;
  messages = 0;
  bytes = 0;

  constructor(inbound: Inbound, manual: boolean, driver: IncomingDriver, host: IncomingHost) {
    this.#inbound = inbound;
    this.#driver = driver;
    this.#manual = manual;
    this.#host = host;
  }

  /** A consumer is reading, or will come back to read. */
  get hasConsumer(): boolean {
    return this.#consumer !== "none" && !this.#over;
  }

  get hasHandler(): boolean {
    return this.#consumer === "handler";
  }

  #occupy(consumer: Consumer): void {
    if (this.#consumer !== "none") {
      throw new RespliceError("CONSUMER_BUSY", `the link is being read already (${this.#consumer})`);
    }
    this.#consumer = consumer;
    if (this.wasRead) return;
    this.wasRead = true;
    // The end of the peer's direction may have arrived already, and have waited for a first consumer.
    this.#driver.changed();
  }

  /** More has arrived than may be handed out in this turn. */
  get hasHandedEnough(): boolean {
    return this.#turn?.isOver === true && this.#inbound.hasUnread;
  }

  /** A rate keeps the consumer from being handed more. */
  get isHeld(): boolean {
    return this.#turn?.isHeld === true;
  }

  #thisTurn(): Turn {
    return (this.#turn ??= new Turn(this.#driver.clock, this));
  }

  get pace(): Pace | undefined {
    return this.#host.owner.pace;
  }

  /** The rates of the link were changed. */
  paceChanged(): void {
    this.#turn?.lookSoon();
  }

  changed(): void {
    this.#driver.changed();
  }

  goOn(): void {
    this.#driver.run();
  }

  /** The next message, if one is here and this turn still allows it. */
  #take(): Message | undefined {
    if (!this.#inbound.hasUnread || !(this.#turn ?? this.#thisTurn()).allows()) return undefined;
    const message = this.#inbound.next(keepInPlace);
    if (message === undefined) return undefined;
    this.messages++;
    this.bytes += message.length;
    return message as Message;
  }

  /** Manual acceptance of everything up to `position`. Messages that were not handed out are skipped. */
  acceptUpTo(position: number): void {
    if (!this.#manual) throw new RespliceError("NOT_SUPPORTED", "accept() needs the option manualAcceptance");
    if (!Number.isSafeInteger(position) || position < 0)
      throw invalidArgument("a position is an integer of at least 0", position);
    this.#inbound.accept(position);
    this.#driver.changed();
  }

  /** Accepts everything that was handed out but its last `unreadBytes`, unless acceptance is manual. */
  #accept(unreadBytes = 0): void {
    if (!this.#manual && this.#inbound.acceptHanded(unreadBytes)) this.#driver.changed("writes");
  }

  /** Accepts when the turn is over, at the latest: a loop that finds messages comes back many times in a turn. */
  #acceptSoon(): void {
    const { session, handedTo } = this.#inbound;
    if (handedTo === 0 || this.#manual) return;
    if (this.#cameBackIn === undefined) this.#driver.changed();
    this.#cameBackIn = session;
    this.#cameBackAt = handedTo;
  }

  /** Accepts the messages that a loop has come back from. */
  acceptNow(): void {
    const session = this.#cameBackIn;
    this.#cameBackIn = undefined;
    // A position of a session that was replaced means nothing in the new one.
    if (session !== undefined && session === this.#inbound.session) this.#inbound.accept(this.#cameBackAt);
  }

  /** No message will come any more: the peer has ended and everything was handed out, or the link is over. */
  get #exhausted(): boolean {
    return this.#inbound.ended || this.#inbound.inputEnded || this.#inbound.readingStopped;
  }

  /**
   * The error for a consumer when no more will come; undefined if the peer has ended. A byte stream that this end
   * closed before the peer's end is an error, since the stream is cut short; messages are whole in any case.
   */
  get #whyOver(): RespliceError | undefined {
    const { failure } = this.#host;
    const { inputEnded, mode } = this.#inbound;
    if (failure !== undefined || inputEnded || mode === "messages") return failure;
    return new RespliceError("LINK_ENDED", "the link was closed here before the peer had ended its byte stream");
  }

  async receive(options: WaitOptions | undefined): Promise<Message | null> {
    checkWait("receive()", options);
    const signal = options?.signal;
    this.#occupy("receive");
    try {
      if (signal?.aborted === true) throw aborted(signal);
      const message = await this.#next(signal);
      this.#accept();
      return message ?? null;
    } finally {
      this.#consumer = "none";
    }
  }

  #next(signal?: AbortSignal): Message | undefined | Promise<Message | undefined> {
    const message = this.#take();
    if (message !== undefined) return message;
    if (this.#exhausted) {
      const error = this.#whyOver;
      if (error !== undefined) throw error;
      return undefined;
    }
    this.#waiter = abortableWait(signal, () => {
      this.#waiter = undefined;
      return aborted(signal as AbortSignal);
    });
    return this.#waiter.promise;
  }

  /** A message is accepted when the loop comes back for the next one, or is left. */
  iterate(): AsyncIterableIterator<Message> {
    this.#occupy("iterator");
    let over = false;
    const leave = (): void => {
      if (over) return;
      over = true;
      this.#accept();
      this.#consumer = "none";
      this.#waiter?.resolve(undefined);
      this.#waiter = undefined;
    };
    const done = { done: true, value: undefined } as const;
    const answer = (value: Message | undefined): IteratorResult<Message, undefined> => {
      if (value !== undefined) return { done: false, value };
      leave();
      return done;
    };
    const fail = (error: unknown): never => {
      leave();
      throw error;
    };
    const iterator: AsyncIterableIterator<Message> = {
      // Not an async function: that would make a second promise for each message.
      next: () => {
        if (over) return Promise.resolve(done);
        if (this.#waiter !== undefined) {
          const busy = new RespliceError("CONSUMER_BUSY", "the last next() has not been answered yet");
          return Promise.reject(busy);
        }
        this.#acceptSoon();
        try {
          const value = this.#next();
          return value instanceof Promise ? value.then(answer, fail) : Promise.resolve(answer(value));
        } catch (error) {
          leave();
          return Promise.reject(error);
        }
      },
      return: () => {
        leave();
        return Promise.resolve(done);
      },
      [Symbol.asyncIterator]: () => iterator,
    };
    return iterator;
  }

  onMessage(handler: Handler): void {
    if (typeof handler !== "function") throw new RespliceError("INVALID_ARGUMENT", "onMessage() needs a function");
    this.#occupy("handler");
    this.#handler = handler;
    this.#driver.changed();
  }

  /** As `onMessage()`, for a handler that keeps nothing of what it is handed. */
  lend(handler: Handler): void {
    this.onMessage(handler);
    this.#keep = undefined;
  }

  /**
   * For a stream: it gets chunks from `take`, and tells `accept` how many of their bytes the application has not read
   * yet.
   */
  occupyForStream(kind: "duplex" | "socket"): DuplexInput {
    this.#occupy(kind);
    const inbound = this.#inbound;
    return {
      take: () => this.#take(),
      accept: (unreadBytes) => this.#accept(unreadBytes),
      get isWhole() {
        return inbound.inputEnded;
      },
      get isFull() {
        return inbound.isFull;
      },
    };
  }

  /** Hands the messages that are here to the consumer, if it waits for one. */
  progress(): void {
    if (this.#cameBackIn !== undefined) this.acceptNow();
    if (this.#handler !== undefined) {
      if (!this.#handling) this.#runHandler(this.#handler);
      return;
    }
    const waiter = this.#waiter;
    if (waiter === undefined) return;
    const message = this.#take();
    if (message === undefined && !this.#exhausted) return;
    this.#waiter = undefined;
    const error = message === undefined ? this.#whyOver : undefined;
    if (error === undefined) waiter.resolve(message);
    else waiter.reject(error);
  }

  #runHandler(handler: Handler): void {
    const inbound = this.#inbound;
    if (!inbound.hasUnread || !this.#thisTurn().allows()) return;
    // Ask for one message first: an async handler takes only one.
    const before = inbound.handedTo;
    const message = inbound.next(this.#keep);
    if (message !== undefined && this.#handle(handler, message, before)) this.#accept();
  }

  /** A handler that keeps nothing waits for the next piece, and this turn still allows it. */
  get mayPassOn(): boolean {
    if (this.#keep !== undefined || this.#handler === undefined || this.#handling) return false;
    return this.#thisTurn().allows();
  }

  /** Bytes that have come just now, and count as handed out. Answers whether they are accepted. */
  passOn(bytes: Buffer): boolean {
    return this.#handle(this.#handler as Handler, bytes, this.#inbound.handedTo - bytes.length);
  }

  /**
   * Calls the handler with a message, and with those behind it that are here. `before`: where the message begins. Answers
   * whether all that was handed out is accepted.
   */
  #handle(handler: Handler, message: Buffer, before: number): boolean {
    const inbound = this.#inbound;
    const { session } = inbound;
    this.#handledTo = before;
    // Within the handler the application may call close() and the like, whose step must not call the handler again.
    this.#handling = true;
    let pending: Promise<void> | undefined;
    try {
      pending = this.#call(handler, message, inbound.handedTo);
      if (pending === undefined && inbound.hasUnread) pending = this.#callMore(handler, this.#thisTurn());
    } catch (error) {
      this.#handling = false;
      this.#fail(error, inbound.session === session ? this.#handledTo : 0);
      return false;
    }
    this.#handling = pending !== undefined;
    if (pending === undefined) return !this.#manual;
    this.#await(handler, pending, this.#handledTo);
    return false;
  }

  #callMore(handler: Handler, turn: Turn): Promise<void> | undefined {
    let pending: Promise<void> | undefined;
    const hand = (message: Buffer, end: number): boolean => {
      pending = this.#call(handler, message, end);
      return pending === undefined;
    };
    for (let most = turn.lookAfter; turn.allows(most) && this.#inbound.handOut(hand, this.#keep, most);) {
      most = turn.lookAfter;
    }
    return pending;
  }

  /** Answers the handler's promise, if it makes one. */
  #call(handler: Handler, message: Buffer, end: number): Promise<void> | undefined {
    this.messages++;
    this.bytes += message.length;
    const result = handler(message as Message);
    // A promise of a library may settle twice or throw: a native promise contains that.
    if (result !== undefined && isThenable(result)) return Promise.resolve(result);
    this.#handledTo = end;
    return undefined;
  }

  #await(handler: Handler, result: Promise<void>, before: number): void {
    // The messages before this one are accepted now, since the handler has returned; this one when the promise fulfils.
    if (!this.#manual) this.#inbound.accept(before);
    const { session } = this.#inbound;
    result.then(
      () => {
        this.#handling = false;
        if (this.#inbound.session === session) this.#accept();
        this.#runHandler(handler);
        this.#driver.changed();
      },
      (error: unknown) => {
        this.#handling = false;
        // A position of a session that was replaced means nothing in the new one.
        this.#fail(error, this.#inbound.session === session ? before : 0);
        this.#driver.changed();
      },
    );
  }

  #fail(error: unknown, accepted: number): void {
    this.#handler = undefined;
    this.#over = true;
    if (!this.#manual) this.#inbound.accept(accepted);
    this.#host.failHandler(error);
  }
}
