/** The process's file descriptors: its limit, and how many are open. A server warns if its own limits may need more. */
import { readFileSync } from "node:fs";
import { countDescriptors, LIMITS_FILE, parseLimit } from "../io/resources/descriptors.ts";

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
  const limit = parseLimit(readFileSync(LIMITS_FILE, "utf8"));
  return limit === undefined ? undefined : { limit, open: countDescriptors() };
}
