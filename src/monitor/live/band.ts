/** The states of one link over time, and when it lost its connection, for a few minutes back. */
import type { LinkState } from "../../core/states.ts";
import { SHOWN_MS, STATES } from "./messages.ts";

/** Of one link. A link that changes more often has a shorter band. */
export const MOST_CHANGES = 40;
/** Less than a pixel of a band. */
const ATTEMPT_MS = 1_000;

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
    if (this.#wasShortAttempt(state, atMs)) {
      this.#spans.splice(-2);
      return;
    }
    this.#spans.push(Math.round(atMs), STATES.indexOf(state));
    if (this.#spans.length > 2 * MOST_CHANGES) this.#spans.splice(0, 2);
  }

  /**
   * An attempt has failed soon, and the state is the one before it. Dials that are refused again and again would fill the
   * band, and nothing before the outage would be seen.
   */
  #wasShortAttempt(state: LinkState, atMs: number): boolean {
    return (
      this.state === "connecting" && this.#spans.at(-3) === STATES.indexOf(state) && atMs - this.sinceMs < ATTEMPT_MS
    );
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
