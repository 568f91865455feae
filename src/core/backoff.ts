/**
 * When to dial again: at first within a quarter of a second, then between half and all of a tenth of the outage so far.
 * Growing with the outage rather than with the attempt keeps a recovery within a tenth of what it recovers from, with
 * dials that thin out as 1/t (simulated against doubling: docs/reconnecting.md). Every delay is jittered.
 */
export interface BackoffOptions {
  minDelayMs: number;
  maxDelayMs: number;
}

export const FIRST_RETRY_WITHIN_MS = 250;

/**
 * @param failures attempts that failed since the link was last stable; 1 for the first retry
 * @param outageMs how long the link has been without a stable connection
 * @param retryAfterMs what a server that refused asked for; goes before our own delay, with a tenth of jitter on top
 * @param random in [0, 1)
 */
export function backoffDelayMs(
  failures: number,
  outageMs: number,
  retryAfterMs: number,
  options: BackoffOptions,
  random: number,
): number {
  if (retryAfterMs > 0) return retryAfterMs * (1 + 0.1 * random);
  if (failures <= 1) return Math.min(FIRST_RETRY_WITHIN_MS, options.minDelayMs) * random;
  const upTo = Math.min(options.maxDelayMs, Math.max(options.minDelayMs, outageMs / 10));
  return upTo * (0.5 + 0.5 * random);
}
