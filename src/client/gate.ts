/** How many dials a manager has in flight, and begins in a second, over all its links. */
import type { Clock, Timer } from "../link/ports.ts";
import { abortableWait, type Wait } from "../link/waits.ts";

/** Standbys answer to suspicion, which may come to all links at the same moment: they get the smaller part. */
const MAX_STANDBYS = 16;

export class DialGate {
  standbys = 0;
  inFlight = 0;
  readonly #maxInFlight: number;
  readonly #intervalMs: number;
  readonly #clock: Clock;
  readonly #timer: Timer;
  #nextMs = 0;
  #waiting: Array<Wait<() => void>> = [];

  constructor(clock: Clock, maxInFlight: number, perSecond: number) {
    this.#clock = clock;
    this.#maxInFlight = maxInFlight;
    this.#intervalMs = 1_000 / perSecond;
    this.#timer = clock.timer(() => this.#admit());
  }

  /** Resolves with a function that gives the place back. Rejects with the signal's reason. */
  enter(signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    const wait: Wait<() => void> = abortableWait(signal, () => {
      this.#waiting = this.#waiting.filter((other) => other !== wait);
      return signal.reason as Error;
    });
    this.#waiting.push(wait);
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
    // A tenth of a second's worth may begin at once after a pause.
    this.#nextMs = Math.max(this.#nextMs, nowMs - 100);
    while (this.#waiting.length > 0 && this.inFlight < this.#maxInFlight) {
      if (this.#nextMs > nowMs) return this.#timer.set(this.#nextMs);
      this.#nextMs += this.#intervalMs;
      this.#waiting.shift()?.resolve(this.#place());
    }
  }

  /** A standby waits for nobody: none is dialled when there are too many. */
  tryStandby(): (() => void) | undefined {
    if (this.standbys >= MAX_STANDBYS) return undefined;
    this.standbys++;
    return () => {
      this.standbys--;
    };
  }
}
