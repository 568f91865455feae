/**
 * The links and handshakes that an act takes first. Each function goes through the candidates once and keeps a
 * selection of at most `most`, so that a server with many links needs no sorted list of them. The caller leaves out
 * candidates that are exempt, such as a link that is closing already. Of equal candidates the earlier one goes first.
 */

/** A connection that can be shed: its client resumes the session. */
export interface Resumable {
  /** Bytes that were sent and not accepted yet: they are sent again, unless they have arrived. */
  logBytes: number;
  /** Bytes that were received and not accepted yet. */
  receivedBytes: number;
  /** When it was connected. */
  connectedMs: number;
}

/** A link or a session with all the memory that it holds. */
export interface Holding {
  heldBytes: number;
}

export interface Writing {
  /** Bytes that wait to be written. */
  pendingBytes: number;
  /** When some were last written, or the first of these began to wait. */
  progressMs: number;
}

export interface Begun {
  beganMs: number;
}

/** Those that have least to send again. Of equal ones, the longest connected: who was shed lately is shed last. */
export function cheapestToResume<T extends Resumable>(links: Iterable<T>, most: number): T[] {
  return select(links, most, (a, b) => costOf(a) - costOf(b) || a.connectedMs - b.connectedMs);
}

const costOf = ({ logBytes, receivedBytes }: Resumable): number => logBytes + receivedBytes;

/** Those that hold most, and no more of them than hold `bytes` together. One that holds nothing is none of them. */
export function biggest<T extends Holding>(holders: Iterable<T>, most: number, bytes: number = Infinity): T[] {
  const holding = filtered(holders, ({ heldBytes }) => heldBytes > 0);
  let found = 0;
  return select(holding, most, (a, b) => b.heldBytes - a.heldBytes).filter(({ heldBytes }) => {
    const isNeeded = found < bytes;
    found += heldBytes;
    return isNeeded;
  });
}

/** Those with most bytes to write, also if there are none. */
export function fullest<T extends Pick<Writing, "pendingBytes">>(writers: Iterable<T>, most: number): T[] {
  return select(writers, most, (a, b) => b.pendingBytes - a.pendingBytes);
}

/** Those that have bytes to write and have written none for `writeStallMs`, however many; the longest stalled first. */
export function hopeless<T extends Writing>(
  writers: Iterable<T>,
  most: number,
  writeStallMs: number,
  nowMs: number,
): T[] {
  const stalled = filtered(
    writers,
    ({ pendingBytes, progressMs }) => pendingBytes > 0 && nowMs - progressMs >= writeStallMs,
  );
  return select(stalled, most, (a, b) => a.progressMs - b.progressMs);
}

/** Those that began first: handshakes, of which an honest one is soon over. */
export function oldest<T extends Begun>(handshakes: Iterable<T>, most: number): T[] {
  return select(handshakes, most, (a, b) => a.beganMs - b.beganMs);
}

function* filtered<T>(candidates: Iterable<T>, isOne: (candidate: T) => boolean): Iterable<T> {
  for (const candidate of candidates) if (isOne(candidate)) yield candidate;
}

interface Ranked<T> {
  candidate: T;
  /** Its place among the candidates. */
  place: number;
}

/**
 * The first `most` candidates in the order of `compare`, in that order. A heap of so many has the last of them on top,
 * which gives way to each candidate that goes before it.
 */
function select<T>(candidates: Iterable<T>, most: number, compare: (a: T, b: T) => number): T[] {
  const goesAfter = (a: Ranked<T>, b: Ranked<T>): boolean => {
    const order = compare(a.candidate, b.candidate);
    return order > 0 || (order === 0 && a.place > b.place);
  };
  const heap: Array<Ranked<T>> = [];
  let place = 0;
  for (const candidate of candidates) {
    const last = heap[0];
    if (heap.length < most) rise(heap, { candidate, place }, goesAfter);
    else if (last !== undefined && compare(last.candidate, candidate) > 0) sink(heap, { candidate, place }, goesAfter);
    place++;
  }
  return heap.toSorted((a, b) => (goesAfter(a, b) ? 1 : -1)).map(({ candidate }) => candidate);
}

/** Adds an entry at the end of the heap, and moves it up to its place. */
function rise<T>(heap: T[], entry: T, goesAfter: (a: T, b: T) => boolean): void {
  let at = heap.length;
  while (at > 0) {
    const above = (at - 1) >> 1;
    const parent = heap[above] as T;
    if (!goesAfter(entry, parent)) break;
    heap[at] = parent;
    at = above;
  }
  heap[at] = entry;
}

/** Puts an entry in place of the one on top, and moves it down to its place. */
function sink<T>(heap: T[], entry: T, goesAfter: (a: T, b: T) => boolean): void {
  let at = 0;
  for (;;) {
    const left = 2 * at + 1;
    const right = left + 1;
    if (left >= heap.length) break;
    const child = right < heap.length && goesAfter(heap[right] as T, heap[left] as T) ? right : left;
    if (!goesAfter(heap[child] as T, entry)) break;
    heap[at] = heap[child] as T;
    at = child;
  }
  heap[at] = entry;
}
