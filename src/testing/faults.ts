/** The faults of the path between a client and a server, the same for the TCP relay and for the pair in memory. */

import { checkOptions, oneOf } from "../link/check.ts";
import { invalidArgument, invalidOption } from "../link/errors.ts";

/** A direction of the path. */
export type Direction = "to-server" | "to-client";

/**
 * The faults of a path. Faults add up until heal(); but a second latency() in a direction replaces the first. A fault
 * without a direction applies to both. A wrong argument throws INVALID_ARGUMENT, a wrong or unknown option
 * INVALID_OPTION, and then nothing has changed.
 */
export interface Faults {
  /**
   * Closes all connections, black-holed ones too; new ones are accepted. "fin" ends them cleanly, "rst" resets them.
   * Bytes in flight may be lost.
   */
  cut(how: "fin" | "rst"): void;
  /**
   * Drops bytes, and passes on no close and no reset either. Applies to the connections that are open now and to those
   * opened before heal(); they stay dead in that direction after heal(), as behind a NAT that has forgotten them.
   */
  blackHole(options?: { direction?: Direction }): void;
  /** Holds bytes back until heal(), and loses none: as a pulled cable or a frozen machine does. */
  stall(options?: { direction?: Direction }): void;
  /**
   * Delays each chunk, and the close, by `delayMs` plus a random share of `jitterMs` (default 0); the order is kept.
   * heal() releases at once what still waits.
   */
  latency(delayMs: number, options?: { jitterMs?: number; direction?: Direction }): void;
  /**
   * Cuts all connections with RST after exactly so many more bytes have passed, counted over all connections together,
   * and over both directions unless one is given. 0 cuts at the next byte, which does not pass. Fires once. Bytes that
   * a black hole drops do not count.
   */
  cutAfterBytes(bytes: number, options?: { direction?: Direction }): void;
  /** Refuses new connections. Open connections stay. */
  refuse(): void;
  /** Ends all faults, and forgets a cutAfterBytes() that has not fired. */
  heal(): void;
}

/** The directions of a fault for which none is given. */
export const bothDirections: readonly Direction[] = ["to-server", "to-client"];

/** The directions that the options of a fault name. Throws INVALID_ARGUMENT, INVALID_OPTION. */
export function directionsOf(
  call: string,
  options: { direction?: Direction } | undefined,
  others: readonly string[] = [],
): readonly Direction[] {
  if (options === undefined) return bothDirections;
  checkOptions(call, options, '{ direction: "to-server" }', ["direction", ...others]);
  const { direction } = options;
  return direction === undefined ? bothDirections : [oneOf("direction", direction, bothDirections)];
}

export function checkHow(how: "fin" | "rst"): void {
  if (how !== "fin" && how !== "rst") throw invalidArgument('cut() takes "fin" or "rst"', how);
}

export function checkBytes(bytes: number): void {
  if (!Number.isSafeInteger(bytes) || bytes < 0)
    throw invalidArgument("cutAfterBytes() takes a whole number of bytes, 0 or more", bytes);
}

/** 2^30 ms are 12 days; delay and jitter together stay within what setTimeout takes, 2^31 - 1. */
const MOST_DELAY_MS = 2 ** 30 - 1;

/** The jitter of a latency(), in milliseconds. Throws INVALID_ARGUMENT, INVALID_OPTION. */
export function checkLatency(delayMs: number, jitterMs: number | undefined): number {
  const range = `from 0 to ${MOST_DELAY_MS}`;
  if (!isDelay(delayMs)) throw invalidArgument(`latency() takes milliseconds, ${range}`, delayMs);
  if (jitterMs !== undefined && !isDelay(jitterMs)) throw invalidOption("jitterMs", jitterMs, `milliseconds, ${range}`);
  return jitterMs ?? 0;
}

function isDelay(ms: unknown): boolean {
  return typeof ms === "number" && ms >= 0 && ms <= MOST_DELAY_MS;
}
