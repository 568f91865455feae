/** The faults of the path between a client and a server, the same for the TCP relay and for the pair in memory. */

/** A direction of the path. */
export type Direction = "to-server" | "to-client";

/**
 * The faults of a path. Faults add up until heal(); but a second latency() in a direction replaces the first. A fault
 * without a direction applies to both. A wrong argument throws a TypeError (for a word) or a RangeError (for a number).
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

/** The directions that an option names. Throws a TypeError when it names none. */
export function directionsOf(options: { direction?: Direction } | undefined): readonly Direction[] {
  const direction = options?.direction;
  if (direction === undefined) return bothDirections;
  if (!bothDirections.includes(direction)) {
    throw new TypeError(`direction must be "to-server" or "to-client", got ${direction as string}`);
  }
  return [direction];
}

export function checkHow(how: "fin" | "rst"): void {
  if (how !== "fin" && how !== "rst") throw new TypeError(`how must be "fin" or "rst", got ${String(how)}`);
}

export function checkBytes(bytes: number): void {
  if (!Number.isSafeInteger(bytes) || bytes < 0) {
    throw new RangeError(`bytes must be a whole number, 0 or more, got ${String(bytes)}`);
  }
}

/** 2^30 ms are 12 days; delay and jitter together stay within what setTimeout takes, 2^31 - 1. */
const delayMsMax = 2 ** 30 - 1;

export function checkMs(name: string, ms: number): void {
  if (typeof ms !== "number" || !(ms >= 0 && ms <= delayMsMax)) {
    throw new RangeError(`${name} must be from 0 to ${delayMsMax} milliseconds, got ${String(ms)}`);
  }
}
