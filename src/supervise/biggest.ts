/** Picks those with most bytes to write, without sorting the others. */

export interface Sized {
  readonly pendingBytes: number;
}

/** At most `most`, the biggest first; of equals those that come first. */
export function biggest<T extends Sized>(all: Iterable<T>, most: number): T[] {
  const picked: Array<{ of: T; bytes: number }> = [];
  if (most <= 0) return [];
  for (const of of all) {
    const { pendingBytes: bytes } = of;
    if (picked.length === most && bytes <= (picked.at(-1)?.bytes ?? 0)) continue;
    let at = picked.length;
    while (at > 0 && (picked[at - 1]?.bytes ?? 0) < bytes) at--;
    picked.splice(at, 0, { of, bytes });
    if (picked.length > most) picked.pop();
  }
  return picked.map(({ of }) => of);
}
