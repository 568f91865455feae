/** How many messages, or bytes, had arrived when. */

const MOST_SAMPLES = 2_000;

/** By then so many had arrived. */
export interface Sample {
  readonly atMs: number;
  readonly count: number;
}

/** A count over time. Of too many samples every other one is let go, and so they are of twice the time. */
export class Samples {
  #all: Sample[] = [];
  #everyth = 1;
  #skipped = 0;

  add(atMs: number, count: number): void {
    if (++this.#skipped < this.#everyth) return;
    this.#skipped = 0;
    this.#all.push({ atMs, count });
    if (this.#all.length <= MOST_SAMPLES) return;
    this.#all = this.#all.filter((_, at) => at % 2 === 0);
    this.#everyth *= 2;
  }

  get all(): readonly Sample[] {
    return this.#all;
  }
}
