/**
 * How much may be under way: an `Account` of what a session holds of memory that many links share, an `Allowance` for what
 * a window may hold of it, and `Flight` for what is left to the kernel and the path before the peer has reported it received.
 */

/** Bytes that all links of a manager or supervisor share, above what each of them is sure of. */
export interface Budget {
  /** What nobody has borrowed. Below 0 when somebody had to take what there was no room for. */
  readonly freeBytes: number;
  borrow(bytes: number): void;
  give(bytes: number): void;
}

/**
 * What one session holds of a budget. Up to a minimum it is sure of that. What is above is borrowed, and no more than would
 * then still be free: a dynamic threshold (Choudhury and Hahne, "Dynamic queue length thresholds for shared-memory packet
 * switches", 1998, alpha 1). One greedy link gets half of the budget, each of `n` gets 1/(n + 1), and whoever comes later
 * finds as much: none can stop another.
 */
export class Account {
  readonly minimum: number;
  heldBytes = 0;
  readonly budget: Budget;

  constructor(minimum: number, budget: Budget) {
    this.minimum = minimum;
    this.budget = budget;
  }

  get #borrowed(): number {
    return Math.max(0, this.heldBytes - this.minimum);
  }

  /** What it may hold, its minimum and its fair share. */
  get mostBytes(): number {
    return this.minimum + Math.max(0, Math.floor((this.budget.freeBytes + this.#borrowed) / 2));
  }

  /** It holds more than it might borrow now, since others have come. */
  get isAboveShare(): boolean {
    return this.#borrowed > Math.max(0, this.budget.freeBytes);
  }

  /** So much more, or less. It is for the caller to have looked at `mostBytes`. */
  hold(bytes: number): void {
    const before = this.#borrowed;
    this.heldBytes += bytes;
    const more = this.#borrowed - before;
    if (more > 0) this.budget.borrow(more);
    else if (more < 0) this.budget.give(-more);
  }
}

/** The size of a window: between a floor that is always there and a most. */
export class Allowance {
  readonly floor: number;
  readonly most: number;
  readonly #account: Account;

  constructor(floor: number, most: number, budget: Budget) {
    this.floor = floor;
    this.most = Math.max(floor, most);
    this.#account = new Account(floor, budget);
    this.#account.hold(floor);
  }

  get size(): number {
    return this.#account.heldBytes;
  }

  /** Doubles, as far as the most and its share allow. Answers whether it grew. */
  grow(): boolean {
    return this.growTo(2 * this.size);
  }

  growTo(size: number): boolean {
    const more = Math.min(size, this.most, this.#account.mostBytes) - this.size;
    if (more <= 0) return false;
    this.#account.hold(more);
    return true;
  }

  /** Gives back what is above `size`; never goes below the floor. */
  shrinkTo(size: number): void {
    const less = this.size - Math.max(size, this.floor);
    if (less > 0) this.#account.hold(-less);
  }

  /** Gives back what is above its share, since others have come; but nothing of what is `promised`. */
  giveBack(promised: number): void {
    if (this.#account.isAboveShare) this.shrinkTo(Math.max(promised, this.#account.mostBytes));
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
