/**
 * When the clients of a server that goes away are sent elsewhere: one after the other, so that they do not all come to
 * the next server in the same moment.
 */

/** Where there are few clients, one is sent away in so long: to spread them further would only keep the server up. */
export const MOST_GAP_MS = 50;

/**
 * The milliseconds until a client is sent away. The first of all goes at once, and each later one has a moment of its
 * own, drawn from the gap before its place. The gaps are equal, and all of them lie within `withinMs`.
 *
 * @param place of the client in the row, from 0
 * @param count of clients in the row
 * @param random in [0, 1)
 */
export function departureDelayMs(place: number, count: number, withinMs: number, random: number): number {
  const gapMs = Math.min(MOST_GAP_MS, withinMs / count);
  return Math.max(0, place - random) * gapMs;
}
