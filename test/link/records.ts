/** Events of a link, written down for comparison. */
import type { Link } from "../../src/index.ts";

/** "connecting>connected: opened" and the like, as they come. */
export function watch(link: Link): string[] {
  const seen: string[] = [];
  link.on("state", ({ from, to, reason }) => seen.push(`${from}>${to}: ${reason}`));
  return seen;
}

export function texts(undelivered: ReadonlyArray<{ message: Buffer; delivery: string }>): string[] {
  return undelivered.map(({ message, delivery }) => `${String(message)} ${delivery}`);
}
