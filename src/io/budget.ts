/** Bytes that many links share, above what each of them is sure of. */
import { BlockPool } from "../core/blocks.ts";
import type { SharedMemory } from "../core/session.ts";
import type { Budget } from "../link/ports.ts";

/** What all links of a manager or supervisor share: a budget for windows, one for logs, each of so many bytes, and blocks. */
export class LinkMemory implements SharedMemory {
  readonly windowBudget: SharedBudget;
  readonly logBudget: SharedBudget;
  readonly blocks: BlockPool = new BlockPool();

  constructor(mostBytes: number) {
    this.windowBudget = new SharedBudget(mostBytes);
    this.logBudget = new SharedBudget(mostBytes);
  }

  get takenBytes(): number {
    return this.windowBudget.takenBytes + this.logBudget.takenBytes;
  }
}

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
