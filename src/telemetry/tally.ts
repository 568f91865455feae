/** Counts by word, for words that may come from outside: so many are kept apart, and all others are one, "other". */

const MOST_WORDS = 100;
export const OTHER = "other";

export class Tally {
  readonly #counts = new Map<string, number>();

  add(word: string, times = 1): void {
    const counts = this.#counts;
    const kept = counts.has(word) || counts.size < MOST_WORDS ? word : OTHER;
    counts.set(kept, (counts.get(kept) ?? 0) + times);
  }

  /** Since the beginning. */
  get counts(): Record<string, number> {
    return Object.fromEntries(this.#counts);
  }
}
