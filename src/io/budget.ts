/** Memory that many links share. */
import { BlockPool } from "../core/blocks.ts";
import type { SharedMemory } from "../core/session.ts";
import type { Budget } from "../link/ports.ts";

/** What all links of a manager or supervisor share: `bytes`, half of them for windows and half for logs, and blocks. */
export class LinkMemory implements SharedMemory {
  readonly windowBudget: SharedBudget;
  readonly logBudget: SharedBudget;
  readonly blocks: BlockPool = new BlockPool();

  constructor(bytes: number) {
    this.windowBudget = new SharedBudget(Math.floor(bytes / 2));
    this.logBudget = new SharedBudget(Math.floor(bytes / 2));
  }
}

export class SharedBudget implements Budget {
  freeBytes: number;

  constructor(bytes: number) {
    this.freeBytes = bytes;
  }

  borrow(bytes: number): void {
    this.freeBytes -= bytes;
  }

  give(bytes: number): void {
    this.freeBytes += bytes;
  }
}
