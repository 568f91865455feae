/**
 * Who is being authenticated, and who waits for it. What the application's function can do at once is limited, and nobody
 * waits who could not be answered before giving up: a client that is told when to come back costs no call.
 */
import { Crowd } from "./crowd.ts";
import { quarterOf } from "./handshake-table.ts";
import { Turns } from "./turns.ts";

export interface AuthenticationOptions {
  /** Calls under way at once. */
  maxAuthenticating: number;
  /** A call that has not been answered for so long is not counted any more: nobody waits for it. */
  handshakeMs: number;
  /** A quarter is for strangers under way or waiting, and another for those that are known. */
  maxHandshakes: number;
}

/** A client of ours waits for 5 s at its first attempt: so long from HELLO to the verdict. */
const PATIENCE_MS = 4_000;
/** Of what a server allows itself for a handshake. */
const PATIENCE_SHARE = 0.8;
/** The newest call's part in the mean. */
const SMOOTHING = 1 / 8;

interface Call {
  sinceMs: number;
  isKnown: boolean;
  who: string;
}

export class Authentications {
  readonly #options: AuthenticationOptions;
  readonly #turns: Turns;
  /** Under way, by connection, oldest first; a connection may be gone and its call not. */
  readonly #calls = new Map<number, Call>();
  /** Those of strangers. */
  readonly #strangers = new Crowd<number>();
  /** The sum of when they began. */
  #begunMs = 0;
  #meanMs = 0;
  /** Oldest first. */
  readonly #waiting = new Map<number, Call>();
  /** Who has proven that a session is theirs goes first, but for what is kept for strangers. */
  readonly #known = new Crowd<number>();
  readonly #unknown = new Crowd<number>();

  /** @param random in [0, 1) */
  constructor(options: AuthenticationOptions, random: () => number) {
    this.#options = options;
    this.#turns = new Turns(random);
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

  /** At the end of the line: `next()` says when it is its turn, `hopeless()` that it will not be in time. */
  ask(id: number, who: string, isKnown: boolean, nowMs: number): void {
    this.#waiting.set(id, { sinceMs: nowMs, isKnown, who });
    (isKnown ? this.#known : this.#unknown).add(who, id);
  }

  /** Whose call begins now. */
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

  /** The last eighth of their calls is for those of whom none is under way: one's calls may never be answered. */
  #nextStranger(): number | undefined {
    const most = this.#mostOfOne;
    const { size } = this.#strangers;
    if (size >= most) return undefined;
    const isLast = size >= most - Math.floor(most / 8);
    return this.#unknown.takeInTurn((who) => !isLast || this.#strangers.countOf(who) === 0);
  }

  /** The connection's call was answered, whether anybody still waits for that or not. */
  answered(id: number, nowMs: number): void {
    const tookMs = this.#end(id, nowMs);
    if (tookMs !== undefined) this.#meanMs += SMOOTHING * (tookMs - this.#meanMs);
  }

  /** The connection is gone. A call of its own goes on. */
  left(id: number): void {
    const waiter = this.#waiting.get(id);
    if (waiter === undefined) return;
    this.#waiting.delete(id);
    (waiter.isKnown ? this.#known : this.#unknown).delete(waiter.who, id);
  }

  /** Who is not answered in time, and after how many milliseconds that would be otherwise; taken out of the line. */
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

  /** The newest of whoever has most in a line that is longer than what can be answered in time. */
  #beyond(line: Crowd<number>, underWay: number, nowMs: number): number | undefined {
    if (line.size === 0) return undefined;
    const callMs = Math.max(1, this.#callMs(nowMs));
    const inTime = Math.floor((this.#mostOfOne * Math.max(0, this.#patienceMs - callMs)) / callMs);
    const room = Math.min(inTime, Math.max(0, quarterOf(this.#options) - underWay));
    return line.size > room ? [...line.largest].at(-1) : undefined;
  }

  /** Strangers, or those that are known: a quarter of the calls is kept for the others. Of very few there is nothing to keep. */
  get #mostOfOne(): number {
    const { maxAuthenticating } = this.#options;
    return Math.min(quarterOf(this.#options), maxAuthenticating - Math.floor(maxAuthenticating / 4));
  }

  get #patienceMs(): number {
    return Math.min(PATIENCE_MS, PATIENCE_SHARE * this.#options.handshakeMs);
  }

  /** What a call takes: as the last ones did, or longer if those under way are older than that already. */
  #callMs(nowMs: number): number {
    const { size } = this.#calls;
    return size === 0 ? this.#meanMs : Math.max(this.#meanMs, nowMs - this.#begunMs / size);
  }

  /** Answers how long it took. */
  #end(id: number, nowMs: number): number | undefined {
    const call = this.#calls.get(id);
    if (call === undefined) return undefined;
    this.#calls.delete(id);
    this.#strangers.delete(call.who, id);
    this.#begunMs = this.#calls.size === 0 ? 0 : this.#begunMs - call.sinceMs;
    return nowMs - call.sinceMs;
  }

  /** When there is something to be done without anybody having come. */
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
