/**
 * A clock that moves only when told to. It runs events by time; those of the same time in the order of their
 * scheduling.
 */

interface Scheduled {
  readonly dueMs: number;
  readonly order: number;
  run: (() => void) | undefined;
}

export class EventClock {
  nowMs = 0;
  #heap: Scheduled[] = [];
  #order = 0;

  /** Runs `event` after `delayMs`. Answers a function that cancels it. */
  schedule(delayMs: number, event: () => void): () => void {
    const scheduled: Scheduled = { dueMs: this.nowMs + Math.max(0, delayMs), order: this.#order++, run: event };
    this.#push(scheduled);
    return () => {
      scheduled.run = undefined;
    };
  }

  /** When the next event is due; Infinity if there is none. */
  get nextMs(): number {
    for (;;) {
      const next = this.#heap[0];
      if (next === undefined) return Infinity;
      if (next.run !== undefined) return next.dueMs;
      this.#pop();
    }
  }

  /** Runs the next event that is due at `untilMs` at the latest. Answers false when there is none. */
  step(untilMs: number): boolean {
    const dueMs = this.nextMs;
    if (dueMs === Infinity || dueMs > untilMs) return false;
    const next = this.#heap[0] as Scheduled;
    this.#pop();
    this.nowMs = Math.max(this.nowMs, dueMs);
    next.run?.();
    return true;
  }

  /** Runs everything that is due by `untilMs`, and moves the clock there. */
  runUntil(untilMs: number): void {
    while (this.step(untilMs));
    this.nowMs = Math.max(this.nowMs, untilMs);
  }

  #push(scheduled: Scheduled): void {
    const heap = this.#heap;
    let at = heap.length;
    heap.push(scheduled);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!before(scheduled, heap[parent] as Scheduled)) break;
      heap[at] = heap[parent] as Scheduled;
      at = parent;
    }
    heap[at] = scheduled;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop() as Scheduled;
    if (heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && before(heap[child + 1] as Scheduled, heap[child] as Scheduled)) child++;
      if (!before(heap[child] as Scheduled, last)) break;
      heap[at] = heap[child] as Scheduled;
      at = child;
    }
    heap[at] = last;
  }
}

function before(a: Scheduled, b: Scheduled): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}
