/** The states of one link over time, and when it lost its connection, for a few minutes back. */
import type { LinkState } from "../../core/states.ts";
import { SHOWN_MS, STATES } from "./messages.ts";

/** Of one link. A link that changes more often has a shorter band. */
export const MOST_CHANGES = 40;

export class Band {
  /** From when, which state, and again. */
  #spans: number[];
  #cuts: number[] = [];

  constructor(state: LinkState, sinceMs: number) {
    this.#spans = [Math.round(sinceMs), STATES.indexOf(state)];
  }

  get sinceMs(): number {
    return this.#spans.at(-2) ?? 0;
  }

  get state(): LinkState {
    return STATES[this.#spans.at(-1) ?? 0] ?? "created";
  }

  change(state: LinkState, atMs: number): void {
    this.#forget(atMs);
    this.#spans.push(Math.round(atMs), STATES.indexOf(state));
    if (this.#spans.length > 2 * MOST_CHANGES) this.#spans.splice(0, 2);
  }

  /** The connection was lost, whether the state says so or not: a second one may have taken over at once. */
  cut(atMs: number): void {
    this.#cuts.push(Math.round(atMs));
    if (this.#cuts.length > MOST_CHANGES) this.#cuts.shift();
  }

  /** What is older than is shown; the state at that time stays. */
  #forget(nowMs: number): void {
    const fromMs = nowMs - SHOWN_MS;
    const spans = this.#spans;
    while (spans.length > 2 && (spans[2] as number) < fromMs) spans.splice(0, 2);
    while (this.#cuts.length > 0 && (this.#cuts[0] as number) < fromMs) this.#cuts.shift();
  }

  /** Copies. */
  shown(nowMs: number): { band: number[]; cuts: number[] } {
    this.#forget(nowMs);
    return { band: [...this.#spans], cuts: [...this.#cuts] };
  }
}
