/**
 * Monotonic time and one timer heap for many links, with one Node timer for the earliest deadline of all. Deadlines are
 * checked after the poll phase: Node runs timers before I/O, and the awaited answer may already be in the kernel.
 */
import type { Clock, Timer } from "../link/ports.ts";
import { realTime } from "../real-time.ts";

interface Due {
  run: (of: unknown) => void;
  of: unknown;
}

class HeapTimer implements Timer {
  dueMs: number = Infinity;
  /** The timer's index in the heap; -1 if it is not set. */
  at = -1;
  holdsProcess = true;
  readonly run: (of: unknown) => void;
  readonly of: unknown;
  readonly #clock: SystemClock;

  constructor(clock: SystemClock, run: (of: unknown) => void, of: unknown) {
    this.#clock = clock;
    this.run = run;
    this.of = of;
  }

  set(dueMs: number): void {
    if (dueMs === this.dueMs) return;
    this.#clock.move(this, dueMs);
  }

  clear(): void {
    this.set(Infinity);
  }

  holdProcess(isHeld: boolean): void {
    if (isHeld === this.holdsProcess) return;
    const { dueMs } = this;
    this.clear();
    this.holdsProcess = isHeld;
    this.set(dueMs);
  }
}

/**
 * The time that `spread()` may take in a turn: long enough to be worth a turn, and short compared with any keepalive.
 */
const SPREAD_MS = 2;
/** The same while an overloaded process is to do less in each turn. */
const SPREAD_LESS_MS = 0.5;
/** The longest delay that a Node timer takes. */
const MOST_DELAY_MS = 2_147_483_647;

export class SystemClock implements Clock {
  readonly #heap: HeapTimer[] = [];
  /** How many timers in the heap keep the process alive, and whether the Node timer does now. */
  #holding = 0;
  #isHeld = true;
  #wakeMs = Infinity;
  #wake: NodeJS.Timeout | undefined;
  #checking = false;
  #afterPoll: Due[] = [];
  #spread: Due[] = [];
  #spreadMs = SPREAD_MS;

  now(): number {
    return realTime.now();
  }

  wallMs(): number {
    return realTime.wallMs();
  }

  /** Runs after the current turn, and after all promises that are ready in it. */
  defer<T>(run: (of: T) => void, of: T): void {
    realTime.nextTick(run, of);
  }

  /** Uses one immediate of Node's for all functions that are to run. */
  afterPoll<T>(run: (of: T) => void, of: T): void {
    const first = this.#afterPoll.length === 0;
    this.#afterPoll.push({ run: run as (of: unknown) => void, of });
    if (!first) return;
    realTime.setImmediate(() => {
      const due = this.#afterPoll;
      this.#afterPoll = [];
      for (const each of due) this.#run(each.run, each.of);
    });
  }

  spread<T>(run: (of: T) => void, of: T): void {
    this.#spread.push({ run: run as (of: unknown) => void, of });
    if (this.#spread.length === 1) realTime.setImmediate(() => this.#runSpread());
  }

  /** Whether less of what `spread()` was given runs in each turn. */
  spreadLess(isWanted: boolean): void {
    this.#spreadMs = isWanted ? SPREAD_LESS_MS : SPREAD_MS;
  }

  #runSpread(): void {
    // Functions that are added meanwhile run after the rest.
    const due = this.#spread;
    const untilMs = this.now() + this.#spreadMs;
    let at = 0;
    while (at < due.length && (at === 0 || this.now() < untilMs)) {
      const { run, of } = due[at++] as Due;
      this.#run(run, of);
    }
    this.#spread = due.slice(at);
    if (this.#spread.length > 0) realTime.setImmediate(() => this.#runSpread());
  }

  timer<T>(run: (of: T) => void, of?: T): Timer {
    return new HeapTimer(this, run as (of: unknown) => void, of);
  }

  move(timer: HeapTimer, dueMs: number): void {
    timer.dueMs = dueMs;
    if (dueMs === Infinity) {
      if (timer.at >= 0) this.#remove(timer);
    } else if (timer.at < 0) {
      timer.at = this.#heap.length;
      this.#heap.push(timer);
      if (timer.holdsProcess) this.#holding++;
      this.#up(timer.at);
    } else {
      this.#up(timer.at);
      this.#down(timer.at);
    }
    this.#schedule();
  }

  #schedule(): void {
    if (this.#checking) return;
    this.#plan();
    this.#hold();
  }

  /** The Node timer keeps the process alive while any of the timers does. */
  #hold(): void {
    const isHeld = this.#holding > 0;
    if (this.#wake === undefined || isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    if (isHeld) this.#wake.ref();
    else this.#wake.unref();
  }

  #plan(): void {
    const dueMs = this.#heap[0]?.dueMs ?? Infinity;
    if (dueMs === this.#wakeMs) return;
    // A wake-up that comes too early does no harm, and saves a Node timer for each deadline that only moves away.
    if (this.#wake !== undefined && dueMs > this.#wakeMs && dueMs !== Infinity) return;
    realTime.clearTimeout(this.#wake);
    this.#wake = undefined;
    this.#wakeMs = dueMs;
    if (dueMs === Infinity) return;
    const delayMs = Math.min(MOST_DELAY_MS, Math.max(0, Math.ceil(dueMs - this.now())));
    this.#isHeld = true;
    this.#wake = realTime.setTimeout(() => {
      this.#checking = true;
      realTime.setImmediate(() => this.#check());
    }, delayMs);
  }

  #check(): void {
    this.#wakeMs = Infinity;
    this.#wake = undefined;
    const nowMs = this.now();
    for (let first = this.#heap[0]; first !== undefined && first.dueMs <= nowMs; first = this.#heap[0]) {
      first.dueMs = Infinity;
      this.#remove(first);
      this.#run(first.run, first.of);
    }
    this.#checking = false;
    this.#schedule();
  }

  /** A function that throws must not keep the others from running. */
  #run(run: (of: unknown) => void, of: unknown): void {
    try {
      run(of);
    } catch (error) {
      realTime.nextTick(() => {
        throw error;
      });
    }
  }

  #remove(timer: HeapTimer): void {
    const last = this.#heap.pop() as HeapTimer;
    if (timer.holdsProcess) this.#holding--;
    const at = timer.at;
    timer.at = -1;
    if (last === timer) return;
    this.#heap[at] = last;
    last.at = at;
    this.#up(at);
    this.#down(last.at);
  }

  #up(from: number): void {
    const heap = this.#heap;
    const timer = heap[from] as HeapTimer;
    let at = from;
    while (at > 0) {
      const above = heap[(at - 1) >> 1] as HeapTimer;
      if (above.dueMs <= timer.dueMs) break;
      heap[at] = above;
      above.at = at;
      at = (at - 1) >> 1;
    }
    heap[at] = timer;
    timer.at = at;
  }

  #down(from: number): void {
    const heap = this.#heap;
    const timer = heap[from] as HeapTimer;
    let at = from;
    for (;;) {
      let child = 2 * at + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && (heap[child + 1] as HeapTimer).dueMs < (heap[child] as HeapTimer).dueMs) child++;
      const below = heap[child] as HeapTimer;
      if (timer.dueMs <= below.dueMs) break;
      heap[at] = below;
      below.at = at;
      at = child;
    }
    heap[at] = timer;
    timer.at = at;
  }
}
