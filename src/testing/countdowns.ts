/** Cuts that are due after an exact number of bytes has passed. */
import type { Direction } from "./faults.ts";

interface Countdown {
  bytesLeft: number;
  readonly directions: readonly Direction[];
}

export class Countdowns {
  #running: Countdown[] = [];

  /** Adds a cut after `bytes`, which are counted over all these directions together. */
  add(bytes: number, directions: readonly Direction[]): void {
    this.#running.push({ bytesLeft: bytes, directions });
  }

  clear(): void {
    this.#running = [];
  }

  /** Answers how many of `bytes` may pass now, and whether a cut is due after them. Each cut is due once. */
  admit(direction: Direction, bytes: number): { passing: number; isDue: boolean } {
    if (this.#running.length === 0) return { passing: bytes, isDue: false };
    const counting = this.#running.filter(({ directions }) => directions.includes(direction));
    const passing = Math.min(bytes, ...counting.map(({ bytesLeft }) => bytesLeft));
    for (const countdown of counting) countdown.bytesLeft -= passing;
    const due = counting.filter(({ bytesLeft }) => bytesLeft === 0);
    if (due.length > 0) this.#running = this.#running.filter((countdown) => !due.includes(countdown));
    return { passing, isDue: due.length > 0 };
  }
}
