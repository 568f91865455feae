/**
 * Limits on memory and on bytes in flight. An `Account` counts what a session holds of the memory that many links
 * share. An `Allowance` is the size of a window within that memory. `Flight` limits the bytes that are written before
 * the peer has reported them received.
 */

/** Bytes that all links of a manager or supervisor share, in addition to each link's guaranteed minimum. */
export interface Budget {
  /** Bytes that no account has borrowed. Below 0 when an account had to hold bytes for which there was no room. */
  readonly freeBytes: number;
  /** `bytes` is above 0; so it is for `give()`. */
  borrow(bytes: number): void;
  give(bytes: number): void;
}

/**
 * The bytes that one session holds. A minimum is guaranteed. The part above the minimum is borrowed from the budget,
 * and may be no larger than what is then still free: a dynamic threshold (Choudhury and Hahne, "Dynamic queue length
 * thresholds for shared-memory packet switches", 1998, alpha 1). One greedy link gets half of the budget, each of `n`
 * gets 1/(n + 1), and as much is left for the next one: no link can starve another.
 */
export class Account {
  readonly minimum: number;
  heldBytes = 0;
  readonly budget: Budget;

  constructor(minimum: number, budget: Budget) {
    this.minimum = minimum;
    this.budget = budget;
  }

  /** Not a getter: V8 calls a private one through its runtime. */
  #borrowed(): number {
    return Math.max(0, this.heldBytes - this.minimum);
  }

  /** The most bytes that the account may hold: its minimum and its fair share. */
  get mostBytes(): number {
    return this.minimum + Math.max(0, Math.floor((this.budget.freeBytes + this.#borrowed()) / 2));
  }

  /** Holds `bytes` more, or less if that is negative. The caller has checked `mostBytes`. */
  hold(bytes: number): void {
    const before = this.#borrowed();
    this.heldBytes += bytes;
    const more = this.#borrowed() - before;
    if (more > 0) this.budget.borrow(more);
    else if (more < 0) this.budget.give(-more);
  }
}

/**
 * The size of a window: between a minimum and a maximum; the part above the minimum is borrowed from the shared
 * budget.
 */
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

  /** Doubles, as far as the maximum and its share of the budget allow. Answers whether it grew. */
  grow(): boolean {
    return this.growTo(2 * this.size);
  }

  growTo(size: number): boolean {
    const more = Math.min(size, this.most, this.#account.mostBytes) - this.size;
    if (more <= 0) return false;
    this.#account.hold(more);
    return true;
  }

  /** Gives back the part above `size`; never goes below the minimum. */
  shrinkTo(size: number): void {
    const less = this.size - Math.max(size, this.floor);
    if (less > 0) this.#account.hold(-less);
  }

  /** Gives back the part above its share if others have borrowed too, but nothing of the `promised` bytes. */
  giveBack(promised: number): void {
    this.shrinkTo(Math.max(promised, this.#account.mostBytes));
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
/**
 * How long bytes may wait in buffers along the path. If they wait longer, a PING behind them arrives too late to be
 * useful.
 */
const STANDING_QUEUE_MS = 500;

/**
 * Limits the bytes that were written and not yet reported received. The limit doubles each time such bytes were
 * received quickly while the limit held others back. When bytes queue up on the path, the limit is cut to what the
 * path carries in its shortest round trip and half a second.
 */
export class Flight {
  limitBytes: number = FIRST_FLIGHT_BYTES;
  readonly #roundTrip: RoundTrip;
  /**
   * The bytes being timed: when that began, the position where they end, and what had been received at its beginning.
   */
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
