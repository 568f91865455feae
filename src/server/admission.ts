/** Budgets a second, apart for what clients ask: a herd of opens must not keep those from resuming that were here. */

/** So many a second, and a second's worth at once after a pause. */
class Rate {
  readonly #perSecond: number;
  #left: number;
  #atMs = 0;

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#left = perSecond;
  }

  /** Answers 0, or after how many milliseconds one is to be had. */
  take(nowMs: number): number {
    this.#left = Math.min(this.#perSecond, this.#left + ((nowMs - this.#atMs) * this.#perSecond) / 1_000);
    this.#atMs = nowMs;
    if (this.#left >= 1) {
      this.#left--;
      return 0;
    }
    return Math.ceil(((1 - this.#left) * 1_000) / this.#perSecond);
  }
}

export type Admitted = "open" | "resume" | "standby";

export class Admission {
  readonly #rates: Record<Admitted, Rate>;
  /** Refused in a row, so that those who come back are spread over the time that all of them need. */
  readonly #refused: Record<Admitted, number> = { open: 0, resume: 0, standby: 0 };
  readonly #perSecond: Record<Admitted, number>;

  constructor(perSecond: Record<Admitted, number>) {
    this.#perSecond = perSecond;
    this.#rates = {
      open: new Rate(perSecond.open),
      resume: new Rate(perSecond.resume),
      standby: new Rate(perSecond.standby),
    };
  }

  /** Answers 0, or after how many milliseconds to come back. */
  admit(kind: Admitted, nowMs: number): number {
    const waitMs = this.#rates[kind].take(nowMs);
    if (waitMs === 0) {
      this.#refused[kind] = Math.max(0, this.#refused[kind] - 1);
      return 0;
    }
    this.#refused[kind]++;
    return waitMs + Math.ceil((this.#refused[kind] * 1_000) / this.#perSecond[kind]);
  }
}
