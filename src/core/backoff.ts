/**
 * When to dial again: at first within a fifth of a second, then between half and all of a tenth of the outage so far.
 * Growing with the outage rather than with the attempt keeps a recovery within a tenth of what it recovers from, with
 * dials that thin out as 1/t (simulated against doubling: docs/reconnecting.md). Every delay is jittered.
 *
 * Quick first retries are a budget that only time spent connected refills, so that a path that is cut every second is
 * back at once each time, while a server that accepts and closes is soon met with delays that grow. Connections
 * that are closed at once refill nothing, and the outage goes on: the news of a close takes a round trip, or longer in
 * a busy process, and these times would add up to a quick retry and a new outage.
 */
export interface BackoffOptions {
  minDelayMs: number;
  maxDelayMs: number;
  /** After a connection has lasted this long, all quick retries are available again. */
  resetAfterMs: number;
}

export const QUICK_RETRY_WITHIN_MS = 200;
const QUICK_RETRIES = 10;
/** A connection that lasts for less than a twentieth of `resetAfterMs` has not shown that the outage is over. */
const HELD_SHARE = 0.05;

/**
 * @param failures attempts that failed in this outage; 0 for the first retry
 * @param outageMs how long the outage has lasted
 * @param random in [0, 1)
 */
export function backoffDelayMs(failures: number, outageMs: number, options: BackoffOptions, random: number): number {
  if (failures === 0) return Math.min(QUICK_RETRY_WITHIN_MS, options.minDelayMs) * random;
  const upTo = Math.min(options.maxDelayMs, Math.max(options.minDelayMs, outageMs / 10));
  return upTo * (0.5 + 0.5 * random);
}

/**
 * The delay that a refusing server asked for, within our own bounds: it may ask for a month, or for a dial each
 * millisecond. Up to a tenth of jitter is added, or taken off where the maximum is asked for: clients that were told
 * the same delay do not come at the same moment.
 */
export function askedDelayMs(retryAfterMs: number, leastMs: number, mostMs: number, random: number): number {
  const askedMs = Math.max(leastMs, retryAfterMs);
  if (askedMs >= mostMs) return Math.max(leastMs, mostMs * (1 - 0.1 * random));
  return Math.min(mostMs, askedMs * (1 + 0.1 * random));
}

/** No server can ask a client that it has let in to stay away for longer, whatever the client's own maximum. */
const MOST_AWAY_MS = 30_000;

export class Backoff {
  /** Attempts that failed in this outage. */
  failures = 0;
  readonly #options: BackoffOptions;
  #quickRetries = QUICK_RETRIES;
  #outageSinceMs: number;
  #connectedMs = Infinity;
  /** The server has asked for no dial before; -Infinity if it has not. */
  #awayUntilMs = -Infinity;

  constructor(options: BackoffOptions, nowMs: number) {
    this.#options = options;
    this.#outageSinceMs = nowMs;
  }

  onConnected(nowMs: number): void {
    this.#connectedMs = nowMs;
    this.#awayUntilMs = -Infinity;
  }

  /** The connection is gone: a new outage, if it has held and short connections have not used up the quick retries. */
  onLost(nowMs: number): void {
    if (this.#connectedMs === Infinity) return;
    const share = (nowMs - this.#connectedMs) / this.#options.resetAfterMs;
    const hasHeld = share >= HELD_SHARE;
    this.#connectedMs = Infinity;
    if (hasHeld) this.#quickRetries = Math.min(QUICK_RETRIES, this.#quickRetries + QUICK_RETRIES * share);
    if (this.#quickRetries >= 1) {
      this.#quickRetries--;
      this.failures = 0;
      if (hasHeld) this.#outageSinceMs = nowMs;
    } else {
      this.failures++;
    }
  }

  /**
   * The connection is gone, and has brought nothing: it counts as an attempt that failed. Answers false if it has
   * lasted so long that its loss is a new outage.
   */
  onUseless(nowMs: number): boolean {
    if (nowMs - this.#connectedMs >= this.#options.resetAfterMs) return false;
    this.#connectedMs = Infinity;
    this.failures++;
    return true;
  }

  onFailed(): void {
    this.failures++;
  }

  /**
   * The server has let go of the connection, which `onLost()` was told of, and asks for no dial in the next
   * `retryAfterMs`. The next delay is never shorter, up to a tenth longer so that clients that were told the same do not
   * come together, and no part of the outage.
   */
  onShed(retryAfterMs: number, nowMs: number, random: number): void {
    const awayMs = Math.min(MOST_AWAY_MS, retryAfterMs) * (1 + 0.1 * random);
    this.#awayUntilMs = nowMs + awayMs;
    this.#outageSinceMs += awayMs;
  }

  /** The network is known to be back: the next delays are those of a new outage, and no server's wish is heeded. */
  restart(nowMs: number): void {
    this.failures = 0;
    this.#outageSinceMs = nowMs;
    this.#awayUntilMs = -Infinity;
  }

  outageMs(nowMs: number): number {
    return nowMs - this.#outageSinceMs;
  }

  /**
   * @param retryAfterMs the delay that a refusing server asked for: it replaces our own delay, within the same bounds
   */
  delayMs(retryAfterMs: number, nowMs: number, random: number): number {
    const { minDelayMs, maxDelayMs } = this.#options;
    const ownMs =
      retryAfterMs > 0
        ? askedDelayMs(retryAfterMs, minDelayMs, maxDelayMs, random)
        : backoffDelayMs(this.failures, this.outageMs(nowMs), this.#options, random);
    return Math.max(ownMs, this.#awayUntilMs - nowMs);
  }
}
