/** V8's old generation: what is in it, and how much it may hold. Contents of Buffers are outside of it. */
import { getHeapSpaceStatistics, type HeapSpaceInfo } from "node:v8";
import { oldGenerationLimit, readHeapSettings } from "../heap-limit.ts";
import type { Observed, Reader } from "./reader.ts";

export class Heap implements Reader {
  readonly name = "heap";
  readonly #limit: number;
  readonly #spaces: () => HeapSpaceInfo[];

  constructor(
    limit: number = oldGenerationLimit(readHeapSettings()),
    spaces: () => HeapSpaceInfo[] = getHeapSpaceStatistics,
  ) {
    this.#limit = limit;
    this.#spaces = spaces;
  }

  read(): Observed {
    let observed = 0;
    for (const { space_name: name, space_used_size: bytes } of this.#spaces()) {
      if (!name.startsWith("new_")) observed += bytes;
    }
    return { observed, limit: this.#limit };
  }

  close(): void {}
}
