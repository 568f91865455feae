/** Whether steps against an overload help: the fall of the reading after each, compared with what it has freed. */

/** Of the distance from low to high: a fall of this part is an effect, whatever was freed, and a rise of it a growth. */
export const PLAIN_PART = 0.1;
/** Of the same distance: less than this part is not told from noise, so its share in a fall cannot be. */
const LEAST_FREED_PART = 0.01;
/** Of what was freed. */
const SEEN_PART = 0.5;
const MOST_IN_A_ROW = 3;

interface Step {
  observed: number;
  /** The lowest reading since. */
  lowest: number;
  freed: number;
}

export class Effect {
  /** Undefined: no step waits to be judged. */
  #step: Step | undefined;
  #inRow = 0;
  /** The reading at the first step of those in a row. */
  #rowFrom = 0;
  #observed = 0;

  /**
   * A step is taken at this reading. The one before it is judged.
   *
   * @param range from low to high
   */
  begin(observed: number, range: number): void {
    if (this.#step !== undefined) this.#inRow = hasEffect(this.#step, range) ? 0 : this.#inRow + 1;
    if (this.#inRow === 0) this.#rowFrom = observed;
    this.#step = { observed, lowest: observed, freed: 0 };
    this.observe(observed);
  }

  observe(observed: number): void {
    this.#observed = observed;
    if (this.#step !== undefined && observed < this.#step.lowest) this.#step.lowest = observed;
  }

  /** The last step has freed this much, in the unit of the readings. Amounts are added. */
  freed(amount: number): void {
    if (this.#step !== undefined) this.#step.freed += amount;
  }

  /** Whether the last step, if it is judged now, is the third in a row without effect. */
  isHopeless(range: number): boolean {
    return this.#step !== undefined && !hasEffect(this.#step, range) && this.#inRow + 1 >= MOST_IN_A_ROW;
  }

  /** Whether the reading has risen since the first of the steps in a row without effect, by more than by noise. */
  hasRisen(range: number): boolean {
    return this.#step !== undefined && this.#observed - this.#rowFrom >= range * PLAIN_PART;
  }

  /** Nothing is known of any step. */
  reset(): void {
    this.#step = undefined;
    this.#inRow = 0;
  }
}

function hasEffect({ observed, lowest, freed }: Step, range: number): boolean {
  const fall = observed - lowest;
  if (fall >= range * PLAIN_PART) return true;
  return freed >= range * LEAST_FREED_PART && fall >= freed * SEEN_PART;
}
