/** The links of a server that goes away and that are still to be sent away, each in its turn. */
import { departureDelayMs } from "../core/server/departures.ts";
import type { Clock, Timer } from "../link/ports.ts";

export interface DepartureOptions<Served> {
  clock: Clock;
  /** In [0, 1). */
  random: () => number;
  sendAway: (served: Served) => void;
}

export class Departures<Served> {
  readonly #options: DepartureOptions<Served>;
  readonly #timer: Timer;
  readonly #waiting = new Set<Served>();
  #count = 0;
  #place = 0;
  #fromMs = 0;
  #withinMs = 0;
  #nextMs = 0;

  constructor(options: DepartureOptions<Served>) {
    this.#options = options;
    this.#timer = options.clock.timer(() => this.#sendDue());
  }

  /** The links leave within `withinMs`, the first at once. */
  begin(links: Iterable<Served>, withinMs: number): void {
    for (const served of links) this.#waiting.add(served);
    this.#count = this.#waiting.size;
    this.#fromMs = this.#options.clock.now();
    this.#withinMs = withinMs;
    this.#takePlace();
    this.#sendDue();
  }

  /** The link's turn has still to come. */
  has(served: Served): boolean {
    return this.#waiting.has(served);
  }

  /** The link has ended before its turn, or leaves now. Answers whether its turn had still to come. */
  delete(served: Served): boolean {
    return this.#waiting.delete(served);
  }

  /** All leave now. */
  hurry(): void {
    this.#withinMs = 0;
    this.#takePlace();
    this.#sendDue();
  }

  stop(): void {
    this.#waiting.clear();
    this.#timer.clear();
  }

  #takePlace(): void {
    const delayMs = departureDelayMs(this.#place, this.#count, this.#withinMs, this.#options.random());
    this.#nextMs = this.#fromMs + delayMs;
  }

  #sendDue(): void {
    const nowMs = this.#options.clock.now();
    for (const served of this.#waiting) {
      if (this.#nextMs > nowMs) return this.#timer.set(this.#nextMs);
      this.#waiting.delete(served);
      this.#place++;
      this.#takePlace();
      this.#options.sendAway(served);
    }
    this.#timer.clear();
  }
}
