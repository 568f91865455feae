/** Addresses and endpoints that have failed of late: each rests for a while, if there is another. */
import { setNewest } from "./newest.ts";

const REST_MS = 30_000;
const MOST_PLACES = 1_000;

export class Resting {
  /** When each failed last, the oldest first. Made for the first that fails: most links never meet one. */
  #failedMs: Map<string, number> | undefined;

  failed(name: string, nowMs: number): void {
    setNewest((this.#failedMs ??= new Map()), name, nowMs, MOST_PLACES);
  }

  connected(name: string): void {
    this.#failedMs?.delete(name);
  }

  rests(name: string, nowMs: number): boolean {
    return nowMs - this.lastFailureMs(name) < REST_MS;
  }

  /** -Infinity if it has not failed, or that was too long ago to be known. */
  lastFailureMs(name: string): number {
    return this.#failedMs?.get(name) ?? -Infinity;
  }
}
