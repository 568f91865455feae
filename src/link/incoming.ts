/** The receiving face of a link: one consumer at a time, and when what it was handed counts as accepted. */
import type { DuplexInput } from "./duplex.ts";
import { aborted, RespliceError } from "./errors.ts";
import type { Inbound } from "./protocol.ts";
import { Turn, type TurnClock } from "./turn.ts";
import type { Message, WaitOptions } from "./types.ts";
import { keepInPlace } from "./untransferable.ts";
import { abortableWait, type Wait } from "./waits.ts";

type Handler = (message: Message) => void | Promise<void>;

/** The driver of the link. */
export interface IncomingDriver {
  readonly clock: TurnClock;
  /** "writes": something was accepted, and nothing else has changed. */
  changed(what?: "writes"): void;
}

export interface IncomingHost {
  /** The handler has thrown, or its promise was rejected. */
  failHandler(error: unknown): void;
  /** The error that ended the link, if one did. */
  readonly failure: RespliceError | undefined;
}

export class Incoming {
  readonly #inbound: Inbound;
  readonly #driver: IncomingDriver;
  readonly #host: IncomingHost;
  /** With manual acceptance nothing is accepted but by accept(). */
  readonly #manual: boolean;
  /** Made when the first message comes. */
  #turn: Turn | undefined;
  /** Somebody reads, or has read. */
  wasRead = false;
  #consumer: "none" | "receive" | "iterator" | "handler" | "duplex" = "none";
  /** Somebody waits for the next message; `undefined`: there will be none. */
  #waiter: Wait<Message | undefined> | undefined;
  #handler: Handler | undefined;
  /** The handler's promise is pending. */
  #handling = false;
  #over = false;
  /** Where a loop has come back for more, and in which session. */
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

  /** Somebody is reading, or will come back to read. */
  get hasConsumer(): boolean {
    return this.#consumer !== "none" && !this.#over;
  }

  get hasHandler(): boolean {
    return this.#consumer === "handler";
  }

  #occupy(consumer: "receive" | "iterator" | "handler" | "duplex"): void {
    if (this.#consumer !== "none") {
      throw new RespliceError("CONSUMER_BUSY", `the link is being read already (${this.#consumer})`);
    }
    this.#consumer = consumer;
    if (this.wasRead) return;
    this.wasRead = true;
    // There may be an end already that was waiting for it.
    this.#driver.changed();
  }

  /** More is here than may be handed out in this turn. */
  get hasHandedEnough(): boolean {
    return this.#turn?.isOver === true && this.#inbound.hasUnread;
  }

  #thisTurn(): Turn {
    return (this.#turn ??= new Turn(this.#driver.clock, this.#driver));
  }

  /** What there is and this turn still allows. */
  #take(): Message | undefined {
    if (!this.#inbound.hasUnread || !(this.#turn ?? this.#thisTurn()).allows()) return undefined;
    const message = this.#inbound.next(keepInPlace);
    if (message === undefined) return undefined;
    this.messages++;
    this.bytes += message.length;
    return message as Message;
  }

  /** Manual acceptance: also of what was not handed out, which is then skipped. */
  acceptUpTo(position: number): void {
    if (!this.#manual) throw new RespliceError("NOT_SUPPORTED", "accept() needs the option manualAcceptance");
    if (!Number.isSafeInteger(position) || position < 0) {
      throw new RespliceError("INVALID_ARGUMENT", `a position is an integer of at least 0, not ${String(position)}`);
    }
    this.#inbound.accept(position);
    this.#driver.changed();
  }

  /** What was handed out is accepted, but for its last bytes. */
  #accept(unreadBytes = 0): void {
    if (!this.#manual && this.#inbound.acceptHanded(unreadBytes)) this.#driver.changed("writes");
  }

  /** At the latest when the turn is over: a loop that has messages to go on with comes back many times in one. */
  #acceptSoon(): void {
    const { session, handedTo } = this.#inbound;
    if (handedTo === 0 || this.#manual) return;
    if (this.#cameBackIn === undefined) this.#driver.changed();
    this.#cameBackIn = session;
    this.#cameBackAt = handedTo;
  }

  /** Takes note of what a loop has come back from. */
  acceptNow(): void {
    const session = this.#cameBackIn;
    this.#cameBackIn = undefined;
    // A position of a session that was replaced means nothing in the new one.
    if (session !== undefined && session === this.#inbound.session) this.#inbound.accept(this.#cameBackAt);
  }

  /** Nothing will come any more: the peer has ended and all was handed out, or the link is over. */
  get #exhausted(): boolean {
    return this.#inbound.ended || this.#inbound.inputEnded || this.#inbound.readingStopped;
  }

  /** Why there is nothing more, if that is not the peer's end. Messages are whole, and what has come of a byte stream is not. */
  get #whyOver(): RespliceError | undefined {
    const { failure } = this.#host;
    const { inputEnded, mode } = this.#inbound;
    if (failure !== undefined || inputEnded || mode === "messages") return failure;
    return new RespliceError("LINK_ENDED", "the link was closed here before the peer had ended its byte stream");
  }

  async receive(options: WaitOptions | undefined): Promise<Message | null> {
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
      // Not an async function: a promise for each message is what a loop costs, and one is enough.
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

  /** For a Duplex: it takes chunks by `take`, and says by `accept` how much of that its application has not read yet. */
  occupyForDuplex(): DuplexInput {
    this.#occupy("duplex");
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

  /** Hands out what there is, to whom waits for it. */
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
    const { session } = inbound;
    if (!inbound.hasUnread) return;
    const turn = this.#turn ?? this.#thisTurn();
    let accepted = inbound.handedTo;
    let pending: Promise<void> | undefined;
    const hand = (message: Buffer, end: number): boolean => {
      this.messages++;
      this.bytes += message.length;
      const result = handler(message as Message);
      if (result !== undefined && isThenable(result)) {
        // Of a library's promise, too, only what it promises is believed.
        pending = Promise.resolve(result);
        return false;
      }
      accepted = end;
      return true;
    };
    try {
      // First one by itself: of an async handler there is no second.
      for (let most = 1; turn.allows(most) && inbound.handOut(hand, keepInPlace, most);) most = turn.lookAfter;
    } catch (error) {
      this.#fail(error, this.#inbound.session === session ? accepted : 0);
      return;
    }
    if (pending === undefined) this.#accept();
    else this.#await(handler, pending, accepted);
  }

  #await(handler: Handler, result: Promise<void>, before: number): void {
    // What its forerunners returned for is accepted; its own message when its promise fulfils.
    if (!this.#manual) this.#inbound.accept(before);
    this.#handling = true;
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

export function isThenable(value: unknown): value is PromiseLike<void> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
