/**
 * Time for links that are tested in memory. Events that are due now run by themselves, one in each turn of the event
 * loop, so that the application's promises run in between, as with sockets. Only `advance()` lets time pass.
 */
import { invalidArgument, RespliceError } from "../link/errors.ts";
import type { Clock, Timer } from "../link/ports.ts";
import { realTime } from "../real-time.ts";
import { EventClock } from "./clock.ts";

/** The time of a pair. */
export interface VirtualClock {
  /** Milliseconds since the pair was made. */
  readonly nowMs: number;
  /**
   * Runs everything that is due within `ms`, in order, with the promises in between. It does not wait for real timers,
   * files or sockets that your code uses. A second call before the first has resolved begins where the first ends.
   * Rejects INVALID_ARGUMENT for an invalid `ms`, and INVALID_STATE if the two ends exchange messages without end
   * at one moment: then give the path a latency().
   */
  advance(ms: number): Promise<void>;
}

/** After so many turns without an event nothing more is due now: the application may need a few turns of its own. */
const QUIET_TURNS = 3;
/** Two echoes would never let time pass. A transfer of hundreds of megabytes takes fewer turns. */
const MOST_TURNS_AT_ONCE = 100_000;

export class VirtualTime extends EventClock implements Clock, VirtualClock {
  #turnPlanned = false;
  #stopped = false;
  /** The last advance that was asked for. */
  #passing: Promise<void> = Promise.resolve();

  // ── as a link sees it ───────────────────────────────────────────────────────────────────────────────────────────

  now(): number {
    return this.nowMs;
  }

  /** No machine sleeps here. */
  wallMs(): number {
    return this.nowMs;
  }

  defer<T>(run: (of: T) => void, of: T): void {
    realTime.nextTick(run, of);
  }

  /** Runs after everything that is due now. */
  afterPoll<T>(run: (of: T) => void, of: T): void {
    this.schedule(0, () => run(of));
  }

  /** Events run one in each turn, which spreads them already. */
  spread<T>(run: (of: T) => void, of: T): void {
    this.schedule(0, () => run(of));
  }

  timer<T>(run: (of: T) => void, of?: T): Timer {
    return new VirtualTimer(this, () => run(of as T));
  }

  override schedule(delayMs: number, event: () => void): () => void {
    if (this.#stopped) return () => {};
    const takeBack = super.schedule(delayMs, event);
    if (this.nextMs <= this.nowMs) this.#planTurn();
    return takeBack;
  }

  // ── as a test sees it ───────────────────────────────────────────────────────────────────────────────────────────

  async advance(ms: number): Promise<void> {
    if (typeof ms !== "number" || !(ms >= 0 && ms < Infinity)) {
      throw invalidArgument("advance() takes a number of milliseconds, 0 or more", ms);
    }
    await this.#pass(
      () => this.nowMs + ms,
      () => false,
    );
  }

  /** Lets time pass until `done()`. */
  advanceUntil(done: () => boolean): Promise<void> {
    return this.#pass(() => Infinity, done);
  }

  /** From now on no event runs, and no time passes. */
  stop(): void {
    this.#stopped = true;
  }

  // ── turns ───────────────────────────────────────────────────────────────────────────────────────────────────────

  #pass(until: () => number, done: () => boolean): Promise<void> {
    const passed = this.#passing.then(() => this.#passNow(until(), done));
    this.#passing = passed.catch(() => {});
    return passed;
  }

  async #passNow(untilMs: number, done: () => boolean): Promise<void> {
    await this.#quiet();
    while (!this.#stopped && !done()) {
      const dueMs = this.nextMs;
      if (dueMs > untilMs || dueMs === Infinity) break;
      this.nowMs = Math.max(this.nowMs, dueMs);
      this.#planTurn();
      await this.#quiet();
    }
    if (!this.#stopped && untilMs !== Infinity) this.nowMs = Math.max(this.nowMs, untilMs);
  }

  /** Resolves when nothing is due now, and for a few turns nothing new becomes due. */
  async #quiet(): Promise<void> {
    for (let turns = 0, quiet = 0; quiet < QUIET_TURNS && !this.#stopped; turns++) {
      if (turns === MOST_TURNS_AT_ONCE) {
        throw new RespliceError("INVALID_STATE", `no end of traffic at ${this.nowMs} ms: give the path a latency()`);
      }
      await new Promise<void>((resolve) => {
        realTime.setImmediate(resolve);
      });
      quiet = this.nextMs <= this.nowMs ? 0 : quiet + 1;
    }
  }

  #planTurn(): void {
    if (this.#turnPlanned || this.#stopped) return;
    this.#turnPlanned = true;
    realTime.setImmediate(() => {
      this.#turnPlanned = false;
      if (this.#stopped) return;
      try {
        this.step(this.nowMs);
      } finally {
        if (this.nextMs <= this.nowMs) this.#planTurn();
      }
    });
  }
}

/**
 * A later due time does not add an event to the clock: the event that is planned already plans the next when it runs.
 */
class VirtualTimer implements Timer {
  readonly #time: VirtualTime;
  readonly #run: () => void;
  #dueMs = Infinity;
  #plannedMs = Infinity;
  #takeBack: () => void = () => {};

  constructor(time: VirtualTime, run: () => void) {
    this.#time = time;
    this.#run = run;
  }

  set(dueMs: number): void {
    this.#dueMs = dueMs;
    if (dueMs >= this.#plannedMs) return;
    this.#takeBack();
    this.#plannedMs = dueMs;
    this.#takeBack = this.#time.schedule(dueMs - this.#time.nowMs, () => {
      this.#plannedMs = Infinity;
      const due = this.#dueMs;
      this.#dueMs = Infinity;
      if (due <= this.#time.nowMs) this.#run();
      else if (due !== Infinity) this.set(due);
    });
  }

  clear(): void {
    this.#dueMs = Infinity;
  }

  /** Time that only a test lets pass keeps no process alive. */
  holdProcess(): void {}
}
