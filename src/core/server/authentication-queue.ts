/**
 * The clients that are being authenticated, and those that wait for it. The application's function has a limited
 * number of calls at once. A client that could not be answered before it gives up does not wait: it is told when to
 * come back, which costs no call.
 */
import { Crowd } from "./crowd.ts";
import { quarterOf } from "./handshake-table.ts";
import { ComeBackTimes } from "./come-back-times.ts";

export interface AuthenticationOptions {
  /** The most calls under way at once. */
  maxAuthenticating: number;
  /** A call that was not answered for so long is not counted any more: its client has given up. */
  handshakeMs: number;
  /** A quarter of these is for strangers under way or waiting, and another quarter for known clients. */
  maxHandshakes: number;
}

/** The most time from HELLO to the verdict: our own client waits for 5 s at its first attempt. */
const PATIENCE_MS = 4_000;
/** But at most this part of the server's time for a handshake. */
const PATIENCE_SHARE = 0.8;
/** The newest call's weight in the mean. */
const SMOOTHING = 1 / 8;

interface Call {
  sinceMs: number;
  isKnown: boolean;
  who: string;
}

export class AuthenticationQueue {
  readonly #options: AuthenticationOptions;
  readonly #turns: ComeBackTimes;
  /** The calls under way, by connection, oldest first. A call goes on when its connection is gone. */
  readonly #calls = new Map<number, Call>();
  /** The calls of strangers. */
  readonly #strangers = new Crowd<number>();
  /** The sum of the times when the calls began. */
  #begunMs = 0;
  #meanMs = 0;
  /** The calls that wait, oldest first. */
  readonly #waiting = new Map<number, Call>();
  /**
   * Clients that have proven that a session is theirs. They go first, except for the calls that are kept for
   * strangers.
   */
  readonly #known = new Crowd<number>();
  readonly #unknown = new Crowd<number>();

  /** @param random in [0, 1) */
  constructor(options: AuthenticationOptions, random: () => number) {
    this.#options = options;
    this.#turns = new ComeBackTimes(random);
  }

  /** Calls under way. */
  get size(): number {
    return this.#calls.size;
  }

  /** There is much room: less than a quarter of the calls are under way. */
  get isCalm(): boolean {
    return 4 * this.#calls.size < this.#options.maxAuthenticating;
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /**
   * Adds a client to the line. `next()` answers it when its turn comes, `hopeless()` if its turn would come too late.
   */
  ask(id: number, who: string, isKnown: boolean, nowMs: number): void {
    this.#waiting.set(id, { sinceMs: nowMs, isKnown, who });
    (isKnown ? this.#known : this.#unknown).add(who, id);
  }

  /** The connection whose call begins now. */
  next(nowMs: number): number | undefined {
    if (this.#calls.size >= this.#options.maxAuthenticating) return undefined;
    const mayBeKnown = this.#calls.size - this.#strangers.size < this.#mostOfOne;
    const id = (mayBeKnown ? this.#known.takeInTurn() : undefined) ?? this.#nextStranger();
    const call = id === undefined ? undefined : this.#waiting.get(id);
    if (id === undefined || call === undefined) return undefined;
    this.#waiting.delete(id);
    this.#calls.set(id, { ...call, sinceMs: nowMs });
    this.#begunMs += nowMs;
    if (!call.isKnown) this.#strangers.add(call.who, id);
    return id;
  }

  /**
   * The last eighth of the strangers' calls is for owners without a call under way: the calls of one may never be
   * answered.
   */
  #nextStranger(): number | undefined {
    const most = this.#mostOfOne;
    const { size } = this.#strangers;
    if (size >= most) return undefined;
    const isLast = size >= most - Math.floor(most / 8);
    return this.#unknown.takeInTurn((who) => !isLast || this.#strangers.countOf(who) === 0);
  }

  /** The connection's call was answered, even if its client does not wait any more. */
  answered(id: number, nowMs: number): void {
    const tookMs = this.#end(id, nowMs);
    if (tookMs !== undefined) this.#meanMs += SMOOTHING * (tookMs - this.#meanMs);
  }

  /** The connection is gone. Its call, if it has one, goes on. */
  left(id: number): void {
    const waiter = this.#waiting.get(id);
    if (waiter === undefined) return;
    this.#waiting.delete(id);
    (waiter.isKnown ? this.#known : this.#unknown).delete(waiter.who, id);
  }

  /**
   * Takes a client out of the line that cannot be answered in time. Answers when it is to come back, in milliseconds.
   */
  hopeless(nowMs: number): { id: number; retryAfterMs: number } | undefined {
    const [oldest] = this.#waiting;
    const isOver = oldest !== undefined && oldest[1].sinceMs + this.#patienceMs <= nowMs;
    const id = isOver
      ? oldest[0]
      : (this.#beyond(this.#unknown, this.#strangers.size, nowMs) ??
        this.#beyond(this.#known, this.#calls.size - this.#strangers.size, nowMs));
    if (id === undefined) return undefined;
    const { who = "" } = this.#waiting.get(id) ?? {};
    this.left(id);
    const perSecond = (1_000 * this.#mostOfOne) / Math.max(1, this.#callMs(nowMs));
    return { id, retryAfterMs: this.#turns.next(who, perSecond, nowMs) };
  }

  /** In a line that is too long to be answered in time: the newest entry of the owner with most entries. */
  #beyond(line: Crowd<number>, underWay: number, nowMs: number): number | undefined {
    if (line.size === 0) return undefined;
    const callMs = Math.max(1, this.#callMs(nowMs));
    const inTime = Math.floor((this.#mostOfOne * Math.max(0, this.#patienceMs - callMs)) / callMs);
    const room = Math.min(inTime, Math.max(0, quarterOf(this.#options) - underWay));
    return line.size > room ? [...line.largest].at(-1) : undefined;
  }

  /**
   * The most calls of strangers, or of known clients: a quarter is kept for the other kind, unless there are very few.
   */
  get #mostOfOne(): number {
    const { maxAuthenticating } = this.#options;
    return Math.min(quarterOf(this.#options), maxAuthenticating - Math.floor(maxAuthenticating / 4));
  }

  get #patienceMs(): number {
    return Math.min(PATIENCE_MS, PATIENCE_SHARE * this.#options.handshakeMs);
  }

  /**
   * The expected time of a call: the mean of the last ones, or more if the calls under way have taken longer already.
   */
  #callMs(nowMs: number): number {
    const { size } = this.#calls;
    return size === 0 ? this.#meanMs : Math.max(this.#meanMs, nowMs - this.#begunMs / size);
  }

  /** Ends a call, and answers how long it took. */
  #end(id: number, nowMs: number): number | undefined {
    const call = this.#calls.get(id);
    if (call === undefined) return undefined;
    this.#calls.delete(id);
    this.#strangers.delete(call.who, id);
    this.#begunMs = this.#calls.size === 0 ? 0 : this.#begunMs - call.sinceMs;
    return nowMs - call.sinceMs;
  }

  /** When there is something to do even if no client comes. */
  get nextTimeoutMs(): number {
    const [waiter] = this.#waiting.values();
    const [call] = this.#calls.values();
    return Math.min(
      waiter === undefined ? Infinity : waiter.sinceMs + this.#patienceMs,
      call === undefined ? Infinity : call.sinceMs + this.#options.handshakeMs,
    );
  }

  tick(nowMs: number): void {
    for (const [id, { sinceMs }] of this.#calls) {
      if (sinceMs + this.#options.handshakeMs > nowMs) break;
      this.#end(id, nowMs);
    }
  }
}
