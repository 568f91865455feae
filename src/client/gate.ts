/**
 * Limits how many dials a manager has in flight, and how many it begins in a second, over all its links. Destinations
 * take turns, and one destination never has all places: links to other servers do not wait for a server that does not
 * answer.
 */
import type { Clock, Timer } from "../link/ports.ts";
import { abortableWait, type Wait } from "../link/waits.ts";

/** All links may become suspect at the same moment, and each then dials a standby: so they get fewer places. */
const MAX_STANDBYS = 16;
/** From one standby to the next are at least two intervals: attempts have half of the dials. */
const STANDBY_INTERVALS = 2;
/**
 * After a pause, the dials of so long may begin at once. So no second has more than a tenth above the limit, even where
 * a busy process takes up to 50 ms from here to the socket.
 */
const BURST_MS = 50;

/** Of the dials in flight one destination has at most this share. */
const MOST_OF_ONE = 3 / 4;

/** Where links connect to, the same for all links to one server. */
export type Destination = string | object;

/** The attempts of one destination. */
interface Lane {
  /** In the order in which they came. Aborting one costs the same however many there are. */
  readonly waiting: Set<Wait<() => void>>;
  inFlight: number;
}

export class DialGate {
  standbys = 0;
  inFlight = 0;
  readonly #maxInFlight: number;
  readonly #maxOfOne: number;
  readonly #intervalMs: number;
  readonly #burstMs: number;
  readonly #clock: Clock;
  readonly #timer: Timer;
  /** When the next dial may begin, of whichever kind. */
  #nextMs = -Infinity;
  #nextStandbyMs = -Infinity;
  /** Those with attempts that wait or are in flight. The one whose turn is next comes first. */
  readonly #lanes = new Map<Destination, Lane>();

  constructor(clock: Clock, maxInFlight: number, perSecond: number) {
    this.#clock = clock;
    this.#maxInFlight = maxInFlight;
    this.#maxOfOne = Math.ceil(MOST_OF_ONE * maxInFlight);
    this.#intervalMs = 1_000 / perSecond;
    this.#burstMs = Math.max(0, BURST_MS - this.#intervalMs);
    this.#timer = clock.timer(() => this.#admit());
  }

  /** Resolves with a function that gives the place back. Rejects with the signal's reason. */
  enter(to: Destination, signal: AbortSignal): Promise<() => void> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    const lane = this.#laneOf(to);
    const wait: Wait<() => void> = abortableWait(signal, () => {
      lane.waiting.delete(wait);
      this.#forget(to, lane);
      if (this.#lanes.size === 0) this.#timer.clear();
      return signal.reason as Error;
    });
    lane.waiting.add(wait);
    this.#admit();
    return wait.promise;
  }

  #laneOf(to: Destination): Lane {
    const known = this.#lanes.get(to);
    if (known !== undefined) return known;
    const lane: Lane = { waiting: new Set(), inFlight: 0 };
    this.#lanes.set(to, lane);
    return lane;
  }

  #forget(to: Destination, { waiting, inFlight }: Lane): void {
    if (waiting.size === 0 && inFlight === 0) this.#lanes.delete(to);
  }

  #place(to: Destination, lane: Lane): () => void {
    this.inFlight++;
    lane.inFlight++;
    let left = false;
    return () => {
      if (left) return;
      left = true;
      this.inFlight--;
      lane.inFlight--;
      this.#forget(to, lane);
      this.#admit();
    };
  }

  #admit(): void {
    const nowMs = this.#clock.now();
    this.#nextMs = Math.max(this.#nextMs, nowMs - this.#burstMs);
    // A destination that has had its turn is behind all others, and is met again.
    for (const [to, lane] of this.#lanes) {
      const [wait] = lane.waiting;
      if (wait === undefined || lane.inFlight >= this.#maxOfOne) continue;
      if (this.inFlight >= this.#maxInFlight) return;
      if (this.#nextMs > nowMs) return this.#timer.set(this.#nextMs);
      this.#nextMs += this.#intervalMs;
      lane.waiting.delete(wait);
      this.#lanes.delete(to);
      this.#lanes.set(to, lane);
      wait.resolve(this.#place(to, lane));
    }
  }

  /**
   * Answers a function that gives the place back; undefined if there are too many standbys, or too many dials now. A
   * standby does not queue. It may begin one dial ahead of its time: where attempts wait there never is a free moment.
   */
  tryStandby(): (() => void) | undefined {
    if (this.standbys >= MAX_STANDBYS) return undefined;
    const nowMs = this.#clock.now();
    if (this.#nextStandbyMs > nowMs || this.#nextMs > nowMs + this.#intervalMs) return undefined;
    const earliestMs = nowMs - this.#burstMs;
    this.#nextMs = Math.max(this.#nextMs, earliestMs) + this.#intervalMs;
    this.#nextStandbyMs = Math.max(this.#nextStandbyMs, earliestMs) + STANDBY_INTERVALS * this.#intervalMs;
    this.standbys++;
    return () => {
      this.standbys--;
    };
  }
}
