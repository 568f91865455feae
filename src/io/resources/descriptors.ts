/** The process's file descriptors: how many are open, and how many there may be. */
import { readdirSync, statSync } from "node:fs";
import { HeldFile } from "./held-file.ts";
import { KeptLimit } from "./kept-limit.ts";
import type { Observed, Reader, System } from "./reader.ts";

const FOLDER = "/proc/self/fd";
export const LIMITS_FILE = "/proc/self/limits";

/**
 * How many descriptors are open. Since Linux 6.2 the size of the folder says it. Before, the folder is listed, which
 * needs a descriptor of its own, and takes milliseconds for thousands. Throws EMFILE where that one is missing.
 */
export function countDescriptors(): number {
  const { size } = statSync(FOLDER);
  return size > 0 ? size : listDescriptors();
}

/** One of the entries is the descriptor with which the folder is read. */
export function listDescriptors(): number {
  return readdirSync(FOLDER).length - 1;
}

/** The soft limit, which Node has raised to the hard one. Infinity: unlimited. */
export function parseLimit(limits: string): number | undefined {
  const soft = /^Max open files\s+(\d+|unlimited)\s/m.exec(limits)?.[1];
  if (soft === undefined) return undefined;
  return soft === "unlimited" ? Infinity : Number(soft);
}

export class Descriptors implements Reader {
  readonly name = "descriptors";
  readonly #limits: HeldFile;
  readonly #count: () => number;
  readonly #limit: KeptLimit = new KeptLimit(() => parseLimit(this.#limits.read() ?? ""));

  /** Throws where the limit or the number of descriptors cannot be read. */
  constructor(system: System, count: () => number = countDescriptors) {
    count();
    this.#limits = new HeldFile(system, LIMITS_FILE);
    this.#count = count;
  }

  read(nowMs: number): Observed | undefined {
    const limit = this.#limit.at(nowMs);
    if (limit === undefined) return undefined;
    try {
      return { observed: this.#count(), limit };
    } catch (error) {
      // The folder could not be opened, as every descriptor is in use.
      return (error as NodeJS.ErrnoException).code === "EMFILE" ? { observed: limit, limit } : undefined;
    }
  }

  close(): void {
    this.#limits.close();
  }
}
