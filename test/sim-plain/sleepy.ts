/** The clock of a process that may be asleep. */
import type { Clock, Timer } from "../../src/link/ports.ts";
import type { EventClock } from "../../src/testing/clock.ts";

/** Late by so much: what happens meanwhile waits until the process is awake. */
export class SleepyClock implements Clock {
  readonly #clock: EventClock;
  awakeMs = 0;

  constructor(clock: EventClock) {
    this.#clock = clock;
  }

  get sleepsForMs(): number {
    return Math.max(0, this.awakeMs - this.#clock.nowMs);
  }

  now(): number {
    return this.#clock.nowMs;
  }

  /** Nothing here asks for it. */
  wallMs(): number {
    return this.now();
  }

  defer<T>(run: (of: T) => void, of: T): void {
    this.#clock.schedule(this.sleepsForMs, () => run(of));
  }

  afterPoll<T>(run: (of: T) => void, of: T): void {
    this.defer(run, of);
  }

  spread<T>(run: (of: T) => void, of: T): void {
    this.defer(run, of);
  }

  timer<T>(run: (of: T) => void, of?: T): Timer {
    let takeBack = (): void => {};
    const set = (dueMs: number): void => {
      takeBack();
      if (dueMs === Infinity) return;
      takeBack = this.#clock.schedule(Math.max(dueMs - this.now(), this.sleepsForMs), () => {
        if (this.sleepsForMs > 0) set(dueMs);
        else run(of as T);
      });
    };
    return { set, clear: () => takeBack(), holdProcess: () => {} };
  }
}
