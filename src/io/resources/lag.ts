/**
 * How long a message that arrives at any moment waits for the event loop, on average over the last two seconds, in
 * milliseconds. A percentile of the loop's delays says little: one block of 300 ms a second is one delay among ninety.
 */
import { monitorEventLoopDelay } from "node:perf_hooks";
import type { Observed, Reader } from "./reader.ts";

/** Each tick wakes the process: at 10 ms they take half a hundredth of a core, at 20 ms half of that. */
const RESOLUTION_MS = 20;
const WINDOW_MS = 2_000;
/** The deviation takes about half a millisecond to compute: every other sample has the value of the one before. */
const KEPT_MS = 400;
/** After so long without a reading the process was stopped: what was recorded says nothing of its work. */
const STOPPED_MS = 10_000;
const NS_PER_MILLISECOND = 1e6;

/** The part of Node's histogram that is read: of the intervals between its ticks since it was made, in nanoseconds. */
export interface Intervals {
  readonly count: number;
  readonly mean: number;
  readonly stddev: number;
  disable(): unknown;
}

/** Since the histogram was made. The difference of two is what happened in between. A reset would lose an interval. */
interface Sums {
  readonly atMs: number;
  readonly count: number;
  /** Of the intervals, in milliseconds. */
  readonly intervals: number;
  /** Of their squares. */
  readonly squares: number;
}

export class Lag implements Reader {
  readonly name = "lag";
  readonly #histogram: Intervals;
  /** Oldest first, from the last one that is as old as the window. */
  #window: Sums[] = [];
  #last: Observed | undefined;

  constructor(histogram: Intervals = recording()) {
    this.#histogram = histogram;
  }

  /** Undefined for the first time, and after a time in which the process was stopped. */
  read(nowMs: number): Observed | undefined {
    const sinceMs = nowMs - (this.#window.at(-1)?.atMs ?? -Infinity);
    if (sinceMs < KEPT_MS) return this.#last;
    if (sinceMs > STOPPED_MS) this.#window = [];
    this.#last = this.#readNow(nowMs);
    return this.#last;
  }

  close(): void {
    this.#histogram.disable();
  }

  #readNow(nowMs: number): Observed | undefined {
    const now = sumsOf(this.#histogram, nowMs);
    const window = this.#window;
    window.push(now);
    while ((window[1]?.atMs ?? Infinity) <= nowMs - WINDOW_MS) window.shift();
    const from = window[0] as Sums;
    const intervals = now.intervals - from.intervals;
    if (intervals <= 0) return undefined;
    // Whoever comes at any moment waits until the end of an interval x: E[x²] / 2 E[x]. In an interval as long as one of
    // a loop that does nothing, nobody waits.
    const idleSquares = (now.count - from.count) * RESOLUTION_MS ** 2;
    const waitMs = (now.squares - from.squares - idleSquares) / (2 * intervals);
    return { observed: Math.max(0, waitMs), limit: undefined };
  }
}

function recording(): Intervals {
  const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
  histogram.enable();
  return histogram;
}

function sumsOf({ count, mean, stddev }: Intervals, atMs: number): Sums {
  // Of no interval, mean and deviation are no numbers.
  if (count === 0) return { atMs, count, intervals: 0, squares: 0 };
  const [meanMs, deviationMs] = [mean / NS_PER_MILLISECOND, stddev / NS_PER_MILLISECOND];
  return { atMs, count, intervals: count * meanMs, squares: count * (deviationMs * deviationMs + meanMs * meanMs) };
}
