/** Addresses and endpoints that have failed of late: each rests for a while, if there is another. */

const REST_MS = 30_000;
const MOST_PLACES = 1_000;

export class Resting {
  /** When each failed last, the oldest first. */
  readonly #failedMs = new Map<string, number>();

  failed(name: string, nowMs: number): void {
    this.#failedMs.delete(name);
    this.#failedMs.set(name, nowMs);
    if (this.#failedMs.size <= MOST_PLACES) return;
    const [oldest = name] = this.#failedMs.keys();
    this.#failedMs.delete(oldest);
  }

  connected(name: string): void {
    this.#failedMs.delete(name);
  }

  rests(name: string, nowMs: number): boolean {
    return nowMs - this.lastFailureMs(name) < REST_MS;
  }

  /** -Infinity if it has not failed, or that was too long ago to be known. */
  lastFailureMs(name: string): number {
    return this.#failedMs.get(name) ?? -Infinity;
  }
}
