/** A budget per second that many clients share, so that none of them can keep the others from their part. */
import { Sweep } from "./sweep.ts";

/** A client that has not come for so long does not count in the division of the budget. */
const ACTIVE_MS = 10_000;
/** The most that rounding may have lost. */
const EPSILON = 1e-6;

interface Use {
  /** The amount that the client has taken, less the amount that has come back with time. */
  taken: number;
  atMs: number;
}

export class Shares {
  #perSecond: number;
  #level: number;
  #atMs = 0;
  /** The client that came last is last. A client that was forgotten begins anew when it comes back. */
  readonly #uses = new Map<string, Use>();
  readonly #sweep = new Sweep(this.#uses, ({ atMs }, nowMs) => nowMs - atMs >= ACTIVE_MS);

  constructor(perSecond: number) {
    this.#perSecond = perSecond;
    this.#level = this.#most;
  }

  /** A reserve, besides one second's budget, for clients that have had less than their part. */
  get #reserve(): number {
    return Math.max(1, this.#perSecond / 2);
  }

  get #most(): number {
    return this.#perSecond + this.#reserve;
  }

  /** Changes the budget. It keeps its fill, as far as that fits. */
  set(perSecond: number, nowMs: number): void {
    this.#refill(nowMs);
    this.#perSecond = perSecond;
    this.#level = Math.min(this.#level, this.#most);
  }

  /**
   * Takes one. There are so many a second, and after a pause a whole second's budget at once. When that is used up, the
   * reserve serves clients that have had less than half of the budget divided by the number of recent clients. Answers
   * whether there was one.
   */
  take(who: string, nowMs: number): boolean {
    this.#refill(nowMs);
    const use = this.#useOf(who, nowMs);
    const part = this.#reserve / this.#uses.size;
    use.taken = Math.max(0, use.taken - ((nowMs - use.atMs) * part) / 1_000);
    use.atMs = nowMs;
    const hasPart = use.taken + 1 <= Math.max(1, part) + EPSILON;
    if (this.#level + EPSILON < (hasPart ? 1 : 1 + this.#reserve)) return false;
    this.#level--;
    use.taken++;
    return true;
  }

  /** Takes one even if none is left, since it was promised. */
  takeAnyway(who: string, nowMs: number): void {
    if (this.take(who, nowMs)) return;
    this.#level = Math.max(0, this.#level - 1);
  }

  #refill(nowMs: number): void {
    this.#level = Math.min(this.#most, this.#level + ((nowMs - this.#atMs) * this.#perSecond) / 1_000);
    this.#atMs = nowMs;
  }

  #useOf(who: string, nowMs: number): Use {
    const use = this.#uses.get(who) ?? { taken: 0, atMs: nowMs };
    this.#uses.delete(who);
    this.#sweep.run(nowMs);
    this.#uses.set(who, use);
    return use;
  }
}
