/** Entries by the time when they expire: the earliest in constant time, all changes in logarithmic time. */

export interface Expiring {
  readonly expiresMs: number;
  /** The entry's index in the heap; -1 if it is in none. */
  heapAt: number;
}

export class ExpiryHeap<T extends Expiring> {
  readonly #heap: T[] = [];

  get first(): T | undefined {
    return this.#heap[0];
  }

  add(entry: T): void {
    entry.heapAt = this.#heap.length;
    this.#heap.push(entry);
    this.#up(entry);
  }

  /** Does nothing with an entry that is not in the heap. */
  remove(entry: T): void {
    const at = entry.heapAt;
    if (at < 0) return;
    entry.heapAt = -1;
    const last = this.#heap.pop() as T;
    if (last === entry) return;
    this.#heap[at] = last;
    last.heapAt = at;
    this.#up(last);
    this.#down(last);
  }

  #up(entry: T): void {
    const heap = this.#heap;
    let at = entry.heapAt;
    while (at > 0) {
      const above = heap[(at - 1) >> 1] as T;
      if (above.expiresMs <= entry.expiresMs) break;
      heap[at] = above;
      above.heapAt = at;
      at = (at - 1) >> 1;
    }
    heap[at] = entry;
    entry.heapAt = at;
  }

  #down(entry: T): void {
    const heap = this.#heap;
    let at = entry.heapAt;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as T).expiresMs < (heap[child] as T).expiresMs) child++;
      const below = heap[child] as T;
      if (entry.expiresMs <= below.expiresMs) break;
      heap[at] = below;
      below.heapAt = at;
      at = child;
    }
    heap[at] = entry;
    entry.heapAt = at;
  }
}
