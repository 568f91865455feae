/** Limits how many dials a manager has in flight, and how many it begins in a second, over all its links. */
import type { Clock, Timer } from "../link/ports.ts";
import { abortableWait, type Wait } from "../link/waits.ts";

/** All links may become suspect at the same moment, and each then dials a standby: so they get fewer places. */
const MAX_STANDBYS = 16;
/** From one standby to the next are at least two intervals: attempts have half of the dials. */
const STANDBY_INTERVALS = 2;
/**
 * After a pause, the dials of so long may begin at once. So no second has more than a tenth above the limit, even where a
 * busy process takes up to 50 ms from here to the socket.
 */
const BURST_MS = 50;

export class DialGate {
  standbys = 0;
  inFlight = 0;
  readonly #maxInFlight: number;
  readonly #intervalMs: number;
  readonly #burstMs: number;
  readonly #clock: Clock;
  readonly #timer: Timer;
  /** When the next dial may begin, of whichever kind. */
  #nextMs = -Infinity;
  #nextStandbyMs = -Infinity;
  /** In the order in which they came. Aborting one costs the same however many there are. */
  readonly #waiting = new Set<Wait<() => void>>();

  constructor(clock: Clock, maxInFlight: number, perSecond: number) {
    this.#clock = clock;
    this.#maxInFlight = maxInFlight;
    this.#intervalMs = 1_000 / perSecond;
    this.#burstMs = Math.max(0, BURST_MS - this.#intervalMs);
    this.#timer = clock.timer(() => this.#admit());
  }

  /** Resolves with a function that gives the place back. Rejects with the signal's reason. */
  enter(signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    const wait: Wait<() => void> = abortableWait(signal, () => {
      this.#waiting.delete(wait);
      return signal.reason as Error;
    });
    this.#waiting.add(wait);
    this.#admit();
    return wait.promise;
  }

  #place(): () => void {
    this.inFlight++;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.inFlight--;
      this.#admit();
    };
  }

  #admit(): void {
    const nowMs = this.#clock.now();
    this.#nextMs = Math.max(this.#nextMs, nowMs - this.#burstMs);
    for (const wait of this.#waiting) {
      if (this.inFlight >= this.#maxInFlight) return;
      if (this.#nextMs > nowMs) return this.#timer.set(this.#nextMs);
      this.#nextMs += this.#intervalMs;
      this.#waiting.delete(wait);
      wait.resolve(this.#place());
    }
  }

  /**
   * Answers a function that gives the place back; undefined if there are too many standbys, or too many dials now. A
   * standby does not queue. It may begin one dial ahead of its time: where attempts wait there never is a free moment.
   */
  tryStandby(): (() => void) | undefined {
    if (this.standbys >= MAX_STANDBYS) return undefined;
    const nowMs = this.#clock.now();
    if (this.#nextStandbyMs > nowMs || this.#nextMs > nowMs + this.#intervalMs) return undefined;
    const earliestMs = nowMs - this.#burstMs;
    this.#nextMs = Math.max(this.#nextMs, earliestMs) + this.#intervalMs;
    this.#nextStandbyMs = Math.max(this.#nextStandbyMs, earliestMs) + STANDBY_INTERVALS * this.#intervalMs;
    this.standbys++;
    return () => {
      this.standbys--;
    };
  }
}
