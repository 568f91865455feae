/** Keeps a table of recent clients within its bounds. The client that came last is last in the table. */

const MOST_ENTRIES = 4_096;
const SWEEP_MS = 1_000;

export class Sweep<T> {
  readonly #table: Map<string, T>;
  readonly #isOver: (entry: T, nowMs: number) => boolean;
  #sweptMs = 0;

  /**
   * @param isOver whether an entry means nothing any more. Of the oldest of a full table, an eighth goes all the same.
   */
  constructor(table: Map<string, T>, isOver: (entry: T, nowMs: number) => boolean) {
    this.#table = table;
    this.#isOver = isOver;
  }

  /**
   * Removes old entries now and then, from the oldest up to the first that stays: to do so at each call would cost
   * more.
   */
  run(nowMs: number): void {
    const isFull = this.#table.size >= MOST_ENTRIES;
    if (!isFull && nowMs - this.#sweptMs < SWEEP_MS) return;
    this.#sweptMs = nowMs;
    let surplus = isFull ? MOST_ENTRIES / 8 : 0;
    for (const [oldest, entry] of this.#table) {
      if (!this.#isOver(entry, nowMs) && surplus-- <= 0) break;
      this.#table.delete(oldest);
    }
  }
}
