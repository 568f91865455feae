/** How many descriptors the process may have, beside what its server's limits ask for. */
import { readdirSync, readFileSync } from "node:fs";

export interface Descriptors {
  /** What the process may have. */
  limit: number;
  /** What it has. */
  open: number;
}

/** Undefined where the limit is unknown: not on Linux, or not to be read just now. */
export function descriptors(read: () => Descriptors | undefined = readFromProc): Descriptors | undefined {
  try {
    return read();
  } catch {
    return undefined;
  }
}

function readFromProc(): Descriptors | undefined {
  const limit = parseLimit(readFileSync("/proc/self/limits", "utf8"));
  if (limit === undefined) return undefined;
  // One is of this reading itself.
  return { limit, open: readdirSync("/proc/self/fd").length - 1 };
}

/** The soft limit, which Node has raised to the hard one. */
export function parseLimit(limits: string): number | undefined {
  const soft = /^Max open files\s+(\d+|unlimited)\s/m.exec(limits)?.[1];
  if (soft === undefined) return undefined;
  return soft === "unlimited" ? Infinity : Number(soft);
}
