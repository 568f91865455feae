/**
 * Times to come back at, for those who are turned away: one after the other, so that they come as they can be served.
 * Each who is told one has a line of its own, so that whoever comes often waits behind itself alone. They are times, not
 * counts: what was told is over when it has passed.
 */
import { Sweep } from "./sweep.ts";

/** Nobody is told to stay away for longer. */
export const MOST_RETRY_MS = 30_000;

export class Turns {
  /** Those that were told longest ago are first, and mostly over first. Who is forgotten begins a new line. */
  readonly #nextMs = new Map<string, number>();
  readonly #sweep = new Sweep(this.#nextMs, (turnMs, nowMs) => turnMs <= nowMs);
  readonly #random: () => number;
  readonly #mostMs: number;

  /**
   * @param random in [0, 1), for where a line is too long to be told the truth
   * @param mostMs no line is longer
   */
  constructor(random: () => number, mostMs: number = MOST_RETRY_MS) {
    this.#random = random;
    this.#mostMs = mostMs;
  }

  /** After how many milliseconds the next turn of `who` is. All lines together have `perSecond`. */
  next(who: string, perSecond: number, nowMs: number): number {
    this.#sweep.run(nowMs);
    const lastMs = Math.max(nowMs, this.#nextMs.get(who) ?? 0);
    this.#nextMs.delete(who);
    const lines = this.#nextMs.size + 1;
    const turnMs = lastMs + (1_000 * lines) / perSecond;
    const isTooLong = turnMs - nowMs > this.#mostMs;
    this.#nextMs.set(who, isTooLong ? nowMs + this.#mostMs : turnMs);
    return isTooLong ? Math.ceil(this.#mostMs * (0.5 + 0.5 * this.#random())) : Math.ceil(turnMs - nowMs);
  }
}
