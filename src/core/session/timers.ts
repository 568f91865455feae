/** A shared list of a table in which no timer is set. */
const NONE_SET: number[] = [];

/**
 * A named timer table with one next wake-up. Waking too early does no harm: the code that a timer calls checks its
 * deadline again, and sets the timer anew if there is time left. So activity need not move a timer.
 */
export class TimerTable<Name extends string> {
  readonly #names: readonly Name[];
  /** Made when a timer is first set: many tables never have one that is. */
  #dueMs: number[] = NONE_SET;
  /** When the next timer is due; Infinity if none is set. */
  nextMs: number = Infinity;

  constructor(names: readonly Name[]) {
    this.#names = names;
  }

  set(name: Name, dueMs: number): void {
    if (this.#dueMs === NONE_SET) {
      if (dueMs === Infinity) return;
      this.#dueMs = this.#names.map(() => Infinity);
    }
    const at = this.#names.indexOf(name);
    const wasNext = this.#dueMs[at] === this.nextMs;
    this.#dueMs[at] = dueMs;
    if (dueMs < this.nextMs) this.nextMs = dueMs;
    else if (wasNext) this.#findNext();
  }

  /** Sets the timer, unless it is due earlier already. */
  atLatest(name: Name, dueMs: number): void {
    if (dueMs < this.#of(name)) this.set(name, dueMs);
  }

  #findNext(): void {
    this.nextMs = Infinity;
    for (const dueMs of this.#dueMs) if (dueMs < this.nextMs) this.nextMs = dueMs;
  }

  #of(name: Name): number {
    return this.#dueMs[this.#names.indexOf(name)] ?? Infinity;
  }

  clear(name: Name): void {
    if (this.#of(name) < Infinity) this.set(name, Infinity);
  }

  clearAll(): void {
    this.#dueMs.fill(Infinity);
    this.nextMs = Infinity;
  }

  /** Clears the timers that are due and answers them in the order of their names, each with its due time. */
  takeDue(nowMs: number): Array<{ name: Name; dueMs: number }> {
    const due: Array<{ name: Name; dueMs: number }> = [];
    for (const [at, dueMs] of this.#dueMs.entries()) {
      if (dueMs > nowMs) continue;
      due.push({ name: this.#names[at] as Name, dueMs });
      this.#dueMs[at] = Infinity;
    }
    if (due.length > 0) this.#findNext();
    return due;
  }
}
