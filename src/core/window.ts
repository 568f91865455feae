/**
 * How much may be under way: `Allowance` for what a window or a log may hold, out of a budget that many links share, and
 * `Flight` for what is left to the kernel and the path before the peer has reported it received.
 */

/** Bytes that all links of a manager or supervisor share, above what each of them is sure of. */
export interface Budget {
  /** Takes all of `bytes`, or nothing and answers false. */
  take(bytes: number): boolean;
  give(bytes: number): void;
}

/** A size between a floor that is always there and a most, whose part above the floor is borrowed from a budget. */
export class Allowance {
  readonly floor: number;
  readonly most: number;
  size: number;
  readonly #budget: Budget;

  /** Begins at `first` if the budget has that, else at the floor. */
  constructor(floor: number, first: number, most: number, budget: Budget) {
    this.floor = floor;
    this.most = Math.max(floor, most);
    this.size = floor;
    this.#budget = budget;
    this.#growTo(Math.min(first, this.most));
  }

  /** Doubles, as far as the most and the budget allow. Answers whether it grew. */
  grow(): boolean {
    return this.#growTo(Math.min(2 * this.size, this.most));
  }

  #growTo(size: number): boolean {
    if (size <= this.size || !this.#budget.take(size - this.size)) return false;
    this.size = size;
    return true;
  }

  /** Gives back what is above `size`; never goes below the floor. */
  shrinkTo(size: number): void {
    const kept = Math.max(size, this.floor);
    if (kept >= this.size) return;
    this.#budget.give(this.size - kept);
    this.size = kept;
  }
}

/** Round trips of one path, in milliseconds. */
export class RoundTrip {
  /** Exponentially weighted, an eighth for each new sample; undefined before the first. */
  smoothedMs: number | undefined = undefined;
  leastMs: number = Infinity;

  sample(ms: number): void {
    this.smoothedMs = this.smoothedMs === undefined ? ms : this.smoothedMs + (ms - this.smoothedMs) / 8;
    this.leastMs = Math.min(this.leastMs, ms);
  }
}

const FIRST_FLIGHT_BYTES = 65_536;
const MOST_FLIGHT_BYTES = 16 * 1_048_576;
/** What may wait in buffers along the path, in time: longer, and a PING behind it comes too late to tell anything. */
const STANDING_QUEUE_MS = 500;

/**
 * Bounds the bytes that were written and not yet reported received: doubled each time they made it through quickly while
 * the bound was in the way, cut to what the path carries in a round trip and half a second when they queued up.
 */
export class Flight {
  limitBytes: number = FIRST_FLIGHT_BYTES;
  readonly #roundTrip: RoundTrip;
  /** One stretch of bytes being timed: from when to where, and what had been received at its beginning. */
  #timing = false;
  #timedFromMs = 0;
  #timedTo = 0;
  #receivedBefore = 0;
  #wasLimited = false;

  constructor(roundTrip: RoundTrip) {
    this.#roundTrip = roundTrip;
  }

  onWritten(sentTo: number, peerReceived: number, nowMs: number): void {
    if (!this.#timing) {
      this.#timing = true;
      this.#timedFromMs = nowMs;
      this.#timedTo = sentTo;
      this.#receivedBefore = peerReceived;
    }
    if (sentTo - peerReceived >= this.limitBytes) this.#wasLimited = true;
  }

  onReceived(peerReceived: number, nowMs: number): void {
    if (!this.#timing || peerReceived < this.#timedTo) return;
    this.#timing = false;
    const tookMs = nowMs - this.#timedFromMs;
    this.#roundTrip.sample(tookMs);
    const { leastMs } = this.#roundTrip;
    if (tookMs <= leastMs + STANDING_QUEUE_MS) {
      if (this.#wasLimited) this.limitBytes = Math.min(2 * this.limitBytes, MOST_FLIGHT_BYTES);
    } else {
      const carried = ((peerReceived - this.#receivedBefore) / tookMs) * (leastMs + STANDING_QUEUE_MS);
      this.limitBytes = Math.max(FIRST_FLIGHT_BYTES, Math.min(this.limitBytes, Math.ceil(carried)));
    }
    this.#wasLimited = false;
  }
}
