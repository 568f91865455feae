/** V8's old generation: what is in it, and how much it may hold. Contents of Buffers are outside of it. */
import { PerformanceObserver } from "node:perf_hooks";
import { getHeapSpaceStatistics, type HeapSpaceInfo } from "node:v8";
import { oldGenerationLimit, readHeapSettings } from "../heap-limit.ts";
import type { Observed, Reader } from "./reader.ts";

/** A collection after which the old generation has grown by this share of its limit is a reason to read it. */
const GROWTH = 0.02;

export class Heap implements Reader {
  readonly name = "heap";
  readonly #limit: number;
  readonly #spaces: () => HeapSpaceInfo[];
  #observer: PerformanceObserver | undefined;
  #lastBytes = 0;

  constructor(
    limit: number = oldGenerationLimit(readHeapSettings()),
    spaces: () => HeapSpaceInfo[] = getHeapSpaceStatistics,
  ) {
    this.#limit = limit;
    this.#spaces = spaces;
  }

  read(): Observed {
    this.#lastBytes = this.#usedBytes();
    return { observed: this.#lastBytes, limit: this.#limit };
  }

  /**
   * The old generation grows in collections only, in leaps: one of the young generation may take a quarter of a small
   * heap into the old one, and a server that is flooded fills a small heap in half a second. Where the engine
   * does not tell of its collections, nothing is observed.
   */
  watch(wake: () => void): void {
    this.#observer = new PerformanceObserver(() => {
      if (this.#usedBytes() - this.#lastBytes >= GROWTH * this.#limit) wake();
    });
    this.#observer.observe({ entryTypes: ["gc"] });
  }

  close(): void {
    this.#observer?.disconnect();
  }

  #usedBytes(): number {
    let bytes = 0;
    for (const { space_name: name, space_used_size: used } of this.#spaces())
      if (!name.startsWith("new_")) bytes += used;
    return bytes;
  }
}
