/**
 * Gives times to come back to clients whose connections are shed. All of them are told at once, or a few each second,
 * and they must come back neither together nor soon: each is told a time in the later half of what it may be told. The
 * places in that half go by the golden ratio, so that any number of clients in a row are spread evenly, however many
 * will follow.
 */
import { lateTurnMs, mostRetryMs } from "./come-back-times.ts";

const GOLDEN = (Math.sqrt(5) - 1) / 2;

export class ShedTimes {
  #place: number;

  /** @param random in [0, 1): where the row begins. Servers beside each other spread their clients differently */
  constructor(random: number) {
    this.#place = random;
  }

  /**
   * The milliseconds until the next client in the row is to come back: at most 30 s, and at most half of what is left
   * of its session.
   *
   * @param leftMs how long the session is kept without a connection
   */
  next(leftMs: number): number {
    this.#place = (this.#place + GOLDEN) % 1;
    return lateTurnMs(mostRetryMs(leftMs), this.#place);
  }
}
