/**
 * A file of the kernel's that is opened once and read again and again from its beginning. Reading takes no new file
 * descriptor, so it works while the process has none left.
 */
import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import type { System } from "./reader.ts";

/** Several times the longest of the files, memory.stat. What is longer is cut off. */
const MOST_BYTES = 16_384;
/** Reads are synchronous, so all files share one chunk. */
const chunk = Buffer.allocUnsafeSlow(MOST_BYTES);

export class HeldFile {
  #descriptor: number | undefined;

  /** Throws where the file cannot be opened, or cannot be read. */
  constructor({ root }: System, path: string) {
    this.#descriptor = openSync(join(root, path), "r");
    try {
      this.#read();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Undefined where the file cannot be read now, and after close(). */
  read(): string | undefined {
    try {
      return this.#read();
    } catch {
      return undefined;
    }
  }

  close(): void {
    const descriptor = this.#descriptor;
    // The number may soon be that of another file.
    this.#descriptor = undefined;
    if (descriptor !== undefined) closeSync(descriptor);
  }

  #read(): string | undefined {
    if (this.#descriptor === undefined) return undefined;
    return chunk.toString("latin1", 0, readSync(this.#descriptor, chunk, 0, MOST_BYTES, 0));
  }
}

/** All of the files, or none: throws where one cannot be opened, and holds no other then. */
export function holdAll<N extends string>(system: System, paths: Readonly<Record<N, string>>): Record<N, HeldFile> {
  const held = new Map<string, HeldFile>();
  try {
    for (const [name, path] of Object.entries<string>(paths)) held.set(name, new HeldFile(system, path));
    return Object.fromEntries(held) as Record<N, HeldFile>;
  } catch (error) {
    for (const file of held.values()) file.close();
    throw error;
  }
}
