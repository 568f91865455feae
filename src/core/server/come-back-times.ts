/**
 * Gives times to come back to clients that are turned away, one after the other, so that they come as they can be
 * served. Each client has a line of its own, so one that comes often waits only behind itself. A line holds times, not
 * counts: an entry is over when its time has passed.
 */
import { Sweep } from "./sweep.ts";

/** No client is told to stay away for longer. */
export const MOST_RETRY_MS = 30_000;

/** An overload takes five seconds to end: a client that it refuses comes back after half of this at least. */
const OVERLOADED_RETRY_MS = 10_000;

/** @param place in [0, 1) */
export function overloadedRetryMs(place: number): number {
  return lateTurnMs(OVERLOADED_RETRY_MS, place);
}

/** The longest time that a client is told whose session is kept for so long: its session must still be here then. */
export function mostRetryMs(leftMs: number): number {
  return Math.min(MOST_RETRY_MS, Math.max(1, Math.floor(leftMs / 2)));
}

export class ComeBackTimes {
  /** Clients that were told longest ago are first, and mostly over first. A forgotten client begins a new line. */
  readonly #nextMs = new Map<string, number>();
  readonly #sweep = new Sweep(this.#nextMs, (turnMs, nowMs) => turnMs <= nowMs);
  readonly #random: () => number;
  readonly #mostMs: number;

  /**
   * @param random in [0, 1), for a client whose line is longer than it may be told
   * @param mostMs the longest time that a client is told
   */
  constructor(random: () => number, mostMs: number = MOST_RETRY_MS) {
    this.#random = random;
    this.#mostMs = mostMs;
  }

  /** The milliseconds until the next turn of `who`. All lines together have `perSecond` turns. */
  next(who: string, perSecond: number, nowMs: number): number {
    this.#sweep.run(nowMs);
    const lastMs = Math.max(nowMs, this.#nextMs.get(who) ?? 0);
    this.#nextMs.delete(who);
    const lines = this.#nextMs.size + 1;
    const turnMs = lastMs + (1_000 * lines) / perSecond;
    const isTooLong = turnMs - nowMs > this.#mostMs;
    this.#nextMs.set(who, isTooLong ? nowMs + this.#mostMs : turnMs);
    return isTooLong ? lateTurnMs(this.#mostMs, this.#random()) : Math.ceil(turnMs - nowMs);
  }
}

/**
 * A time in the later half of the longest that a client is told.
 *
 * @param place in that half, in [0, 1)
 */
export function lateTurnMs(mostMs: number, place: number): number {
  return Math.ceil(mostMs * (0.5 + 0.5 * place));
}
