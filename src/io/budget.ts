/** Bytes that many links share, above what each of them is sure of. */
import type { Budget } from "../link/ports.ts";

export class SharedBudget implements Budget {
  readonly #most: number;
  takenBytes = 0;

  constructor(mostBytes: number) {
    this.#most = mostBytes;
  }

  take(bytes: number): boolean {
    if (this.takenBytes + bytes > this.#most) return false;
    this.takenBytes += bytes;
    return true;
  }

  give(bytes: number): void {
    this.takenBytes -= bytes;
  }
}
