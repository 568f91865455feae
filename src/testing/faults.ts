/** What can be done to the path between a client and a server, whoever simulates it: a TCP relay or a pair in memory. */

/** One way through the path. */
export type Direction = "to-server" | "to-client";

/**
 * What can be done to a path. Faults add up until heal(); a second latency() in a direction replaces the first.
 * Without a direction: both. An argument that makes no sense throws a TypeError (wrong word) or a RangeError (wrong number).
 */
export interface Faults {
  /**
   * Closes all connections, black-holed ones too; new ones are accepted. "fin" ends them cleanly, "rst" resets them.
   * Bytes in flight may be lost.
   */
  cut(how: "fin" | "rst"): void;
  /**
   * Swallows bytes and says nothing of a close or a reset either. It strikes the connections that are open now and those
   * opened before heal(); they stay dead in that direction after heal(), as behind a NAT that forgot.
   */
  blackHole(options?: { direction?: Direction }): void;
  /** Holds bytes back and loses none; heal() lets them go: a pulled cable, a frozen machine. */
  stall(options?: { direction?: Direction }): void;
  /**
   * Delays each chunk by `delayMs` plus a random share of `jitterMs` (default 0), order kept, the close included.
   * heal() lets go at once what still waits.
   */
  latency(delayMs: number, options?: { jitterMs?: number; direction?: Direction }): void;
  /**
   * Cuts with RST once exactly so many more bytes have passed, all connections together, and both directions together
   * unless one is given. 0 cuts at the next byte, which does not pass. Fires once. Swallowed bytes have not passed.
   */
  cutAfterBytes(bytes: number, options?: { direction?: Direction }): void;
  /** New connections are refused, those that are open stay. */
  refuse(): void;
  /** Ends all faults, and forgets a cutAfterBytes() that has not fired. */
  heal(): void;
}

/** What a fault without a direction applies to. */
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
