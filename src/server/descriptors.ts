/** The process's file descriptors: its limit, and how many are open. A server warns if its own limits may need more. */
import { readdirSync, readFileSync } from "node:fs";

export interface Descriptors {
  /** The most that the process may have. */
  limit: number;
  /** Those that are open. */
  open: number;
}

/** Descriptors that are open for a moment only: of a refused connection, a file, a name that is looked up. */
const SPARE_DESCRIPTORS = 32;

/** How many descriptors the process may need with so many connections, beside those that are `open` now. */
export function descriptorsNeeded(connections: number, open: number): number {
  return connections + open + SPARE_DESCRIPTORS;
}

/** Undefined where the limit is unknown: the system is not Linux, or /proc cannot be read now. */
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
  // One descriptor belongs to this read of the folder.
  return { limit, open: readdirSync("/proc/self/fd").length - 1 };
}

/** The soft limit, which Node has raised to the hard one. */
export function parseLimit(limits: string): number | undefined {
  const soft = /^Max open files\s+(\d+|unlimited)\s/m.exec(limits)?.[1];
  if (soft === undefined) return undefined;
  return soft === "unlimited" ? Infinity : Number(soft);
}
