/** What was told: the same, as the probes of a balancer bring it about, is told again after an hour at the earliest. */

const QUIET_MS = 3_600_000;
/** So many are remembered. Of more the one is forgotten that was told first. */
const MOST_KEPT = 1_000;

export class Repeats {
  /** Until when it is not told again. The first to be told is first. */
  readonly #told = new Map<string, number>();

  isTold(what: string, nowMs: number): boolean {
    return nowMs < (this.#told.get(what) ?? -Infinity);
  }

  tell(what: string, nowMs: number): void {
    this.#told.delete(what);
    this.#told.set(what, nowMs + QUIET_MS);
    const [oldest] = this.#told.keys();
    if (this.#told.size > MOST_KEPT && oldest !== undefined) this.#told.delete(oldest);
  }
}
