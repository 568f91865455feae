/**
 * The rate at which the messages of some links may be handed out: a bucket of tokens for messages, and one for bytes.
 * Each holds one second's worth. Links that find a bucket empty stand in a line, and are served from it one by one, so
 * that none of them takes what comes back before the others.
 */

/** Infinity: without a limit. Both are at least 1. */
export interface Rate {
  messagesPerSecond: number;
  bytesPerSecond: number;
}

/** The most that rounding may have lost. */
const EPSILON = 1e-6;

export class SharedRate<Waiter> {
  readonly #messages: Bucket;
  readonly #bytes: Bucket;
  /** The links that wait, in the order in which they are to be served. */
  readonly #line = new Set<Waiter>();

  /** Both buckets are full. */
  constructor({ messagesPerSecond, bytesPerSecond }: Rate, nowMs: number) {
    this.#messages = new Bucket(messagesPerSecond, nowMs);
    this.#bytes = new Bucket(bytesPerSecond, nowMs);
  }

  /** Changes the rate. The buckets keep their fill, as far as it fits. */
  set({ messagesPerSecond, bytesPerSecond }: Rate, nowMs: number): void {
    this.#messages.set(messagesPerSecond, nowMs);
    this.#bytes.set(bytesPerSecond, nowMs);
  }

  /** A message is handed out whole: what it takes above the fill is owed, and comes back before the next one. */
  charge(messages: number, bytes: number, nowMs: number): void {
    this.#messages.take(messages, nowMs);
    this.#bytes.take(bytes, nowMs);
  }

  /** Whether both buckets have a token. */
  hasRoom(nowMs: number): boolean {
    return Math.max(this.#messages.readyMs(nowMs), this.#bytes.readyMs(nowMs)) <= nowMs;
  }

  /** Links wait: another that comes now is to wait behind them. */
  get isAwaited(): boolean {
    return this.#line.size > 0;
  }

  wait(waiter: Waiter): void {
    this.#line.add(waiter);
  }

  leave(waiter: Waiter): void {
    this.#line.delete(waiter);
  }

  /** Takes the link out of the line that is served next; undefined if none waits, or if there is no room. */
  next(nowMs: number): Waiter | undefined {
    if (!this.hasRoom(nowMs)) return undefined;
    const [first] = this.#line;
    if (first !== undefined) this.#line.delete(first);
    return first;
  }

  /** When the next link can be served; Infinity if none waits. */
  nextMs(nowMs: number): number {
    return this.isAwaited ? Math.max(this.#messages.readyMs(nowMs), this.#bytes.readyMs(nowMs)) : Infinity;
  }
}

/** Tokens that come back with time. */
class Bucket {
  #perSecond: number;
  /** Below 0: so much is owed. */
  #level: number;
  #atMs: number;

  constructor(perSecond: number, nowMs: number) {
    this.#perSecond = perSecond;
    this.#level = perSecond;
    this.#atMs = nowMs;
  }

  set(perSecond: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#perSecond = perSecond;
    this.#level = Math.min(this.#level, perSecond);
  }

  take(tokens: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#level -= tokens;
  }

  /** When there is a token. */
  readyMs(nowMs: number): number {
    this.#refill(nowMs);
    return this.#level + EPSILON >= 1 ? nowMs : nowMs + (1_000 * (1 - this.#level)) / this.#perSecond;
  }

  #refill(nowMs: number): void {
    const tokens = this.#perSecond === Infinity ? Infinity : ((nowMs - this.#atMs) * this.#perSecond) / 1_000;
    this.#level = Math.min(this.#perSecond, this.#level + tokens);
    this.#atMs = nowMs;
  }
}
