/**
 * The time by which waiting messages age. The monotonic clock stands still while the machine sleeps, and a message that
 * was to live for a minute must not be sent an hour later. So where the wall clock has gone on by over a second more
 * than the monotonic one, the difference is added. A wall clock that is set forward looks the same; one that is set
 * back, or that is corrected slowly, changes nothing.
 */
import type { Clock } from "./ports.ts";

const MOST_DRIFT_MS = 1_000;

export class AgeClock {
  readonly #clock: Pick<Clock, "now" | "wallMs">;
  #aheadMs: number;
  /** The machine was asleep for so long, as far as was noticed by the last call of `now()`. */
  sleptMs = 0;

  constructor(clock: Pick<Clock, "now" | "wallMs">) {
    this.#clock = clock;
    this.#aheadMs = clock.wallMs() - clock.now();
  }

  now(): number {
    const nowMs = this.#clock.now();
    const aheadMs = this.#clock.wallMs() - nowMs;
    const sleptMs = aheadMs - this.#aheadMs;
    if (sleptMs > MOST_DRIFT_MS) this.sleptMs += sleptMs;
    this.#aheadMs = aheadMs;
    return nowMs + this.sleptMs;
  }
}
