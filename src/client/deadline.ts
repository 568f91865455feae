/** How long one step of a dial may take. */
import { RespliceError } from "../link/errors.ts";
import type { Clock, Timer } from "../link/ports.ts";

export class Deadline {
  readonly #clock: Clock;
  readonly #withinMs: number;
  readonly #timer: Timer;

  /** `giveUp` is called with TIMED_OUT when `what` has taken longer than `withinMs` since `start()`. */
  constructor(clock: Clock, what: string, withinMs: number, giveUp: (error: RespliceError) => void) {
    this.#clock = clock;
    this.#withinMs = withinMs;
    this.#timer = clock.timer(() => {
      giveUp(new RespliceError("TIMED_OUT", `${what} took more than ${withinMs} ms`));
    });
  }

  start(): void {
    this.#timer.set(this.#clock.now() + this.#withinMs);
  }

  clear(): void {
    this.#timer.clear();
  }
}
