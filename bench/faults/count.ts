/** What a receiver saw of numbered messages: one function, for all contenders. */

/** All times are in milliseconds, on one clock that sender and receiver share. */
export interface Arrival {
  /** From 0 on, in the order in which the messages were made. */
  number: number;
  atMs: number;
}

/** The messages of a run: how many there are, and when the first and the last one were made. */
export interface Made {
  sent: number;
  beganMs: number;
  endedMs: number;
}

export interface Count {
  sent: number;
  /** Never arrived, until the receiver stopped waiting. */
  lost: number;
  /** Arrivals of a message that had arrived before. */
  doubled: number;
  /** Messages that arrived for the first time after one that was made later. */
  reordered: number;
  /** Rounded: the longest time without a message that was new, from the first message made until the last one, made or arrived. */
  longestGapMs: number;
  /** Rounded: from when the last message was made to the last arrival of one that was new; 0 if that was before. */
  lateMs: number;
}

/** `arrivals` in the order of their times. */
export function count(arrivals: readonly Arrival[], { sent, beganMs, endedMs }: Made): Count {
  const seen = new Set<number>();
  let doubled = 0;
  let reordered = 0;
  let highest = -1;
  let lastNewMs = beganMs;
  let longestGapMs = 0;
  for (const { number, atMs } of arrivals) {
    if (number < 0 || number >= sent) throw new RangeError(`message ${number} arrived, of ${sent} that were sent`);
    if (seen.has(number)) {
      doubled++;
      continue;
    }
    seen.add(number);
    if (number < highest) reordered++;
    else highest = number;
    longestGapMs = Math.max(longestGapMs, atMs - lastNewMs);
    lastNewMs = atMs;
  }
  longestGapMs = Math.round(Math.max(longestGapMs, endedMs - lastNewMs));
  const lateMs = Math.round(Math.max(0, lastNewMs - endedMs));
  return { sent, lost: sent - seen.size, doubled, reordered, longestGapMs, lateMs };
}
