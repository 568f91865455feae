/**
 * How many connections may be shed: at most a part of all links in a second, as each that comes back takes a handshake.
 * Of few links that is less than one a second: a fraction that is left over is kept for the next second.
 */
export class ShedPace {
  readonly #perSecond: number;
  /** How many may be shed now; not whole. */
  #level = 0;
  #atMs: number | undefined;

  /** @param perSecond a part of the links, above 0 and at most 1 */
  constructor(perSecond: number) {
    this.#perSecond = perSecond;
  }

  /** How many may be shed now. At first that is a second's worth, and at least one. */
  available(links: number, nowMs: number): number {
    const aSecond = Math.max(1, links * this.#perSecond);
    const earned = this.#atMs === undefined ? aSecond : ((nowMs - this.#atMs) * links * this.#perSecond) / 1_000;
    this.#level = Math.min(aSecond, this.#level + earned);
    this.#atMs = nowMs;
    return Math.floor(this.#level + EPSILON);
  }

  /** So many were shed, at most as many as were available. */
  took(shed: number): void {
    this.#level -= shed;
  }
}

/** The most that rounding may have lost. */
const EPSILON = 1e-6;
