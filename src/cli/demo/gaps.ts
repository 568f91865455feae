/** Times in which nothing arrived. */

/** Nothing arrived for so long. */
export interface Gap {
  readonly fromMs: number;
  readonly ms: number;
}

export interface Gaps {
  /** The first of them first: at most 10,000. */
  readonly all: readonly Gap[];
  /** Those that were shorter are not among them. */
  readonly leastMs: number;
}

/** Messages come every millisecond: less is no gap. */
const LEAST_MS = 20;
const MOST_GAPS = 10_000;

export class GapFinder {
  #lastMs = Infinity;
  #leastMs = LEAST_MS;
  #all: Gap[] = [];

  /** Something arrives. */
  arrived(atMs: number): void {
    this.#silent(atMs);
    this.#lastMs = atMs;
  }

  /** The run has ended, and more should have come until now. */
  ended(atMs: number): void {
    this.#silent(atMs);
    this.#lastMs = Infinity;
  }

  #silent(atMs: number): void {
    const ms = atMs - this.#lastMs;
    if (ms >= this.#leastMs) this.#add({ fromMs: this.#lastMs, ms });
  }

  /** Of too many the shorter half is forgotten. */
  #add(gap: Gap): void {
    this.#all.push(gap);
    if (this.#all.length <= MOST_GAPS) return;
    this.#all = this.#all.toSorted((a, b) => b.ms - a.ms).slice(0, MOST_GAPS / 2);
    this.#leastMs = this.#all.at(-1)?.ms ?? LEAST_MS;
  }

  get gaps(): Gaps {
    return { all: this.#all.toSorted((a, b) => a.fromMs - b.fromMs), leastMs: this.#leastMs };
  }
}
