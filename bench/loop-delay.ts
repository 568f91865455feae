/**
 * How long the event loop keeps others waiting. A tick that comes late stands for all who would have come meanwhile: one
 * block of 300 ms is 300 samples of 1 ms, not one, so the percentiles are those of a moment drawn at random.
 */
import { percentile } from "./statistics.ts";

const PERIOD_MS = 1;

export interface LoopFigures {
  p99Ms: number;
  maxMs: number;
}

export class LoopDelay {
  #lateMs: number[] = [];
  #lastMs = performance.now();

  start(): void {
    this.#lastMs = performance.now();
    setTimeout(() => this.#tick(), PERIOD_MS);
  }

  /** Since it was asked the last time. */
  take(): LoopFigures {
    const lateMs = this.#lateMs;
    this.#lateMs = [];
    return { p99Ms: percentile(lateMs, 0.99), maxMs: percentile(lateMs, 1) };
  }

  #tick(): void {
    const nowMs = performance.now();
    const lateMs = Math.max(0, nowMs - this.#lastMs - PERIOD_MS);
    for (let waitedMs = lateMs; waitedMs >= 0; waitedMs -= PERIOD_MS) this.#lateMs.push(waitedMs);
    this.start();
  }
}
