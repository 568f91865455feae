/** Memory that many links share. */
import { BlockPool, POOL_BYTES } from "../core/log/blocks.ts";
import { sessionFloorBytes, type SessionLimits, type SharedMemory } from "../core/session/session.ts";
import { HELD_PER_BYTE } from "../core/log/unread.ts";
import type { Budget } from "../link/ports.ts";
import type { Machine } from "./machine.ts";

/**
 * What all links of a manager or supervisor share: half of `bytes` for what comes in, half for what goes out, and blocks.
 * Of what comes in windows count, each byte of which may hold somewhat more.
 */
export class LinkMemory implements SharedMemory {
  readonly windowBudget: SharedBudget;
  readonly logBudget: SharedBudget;
  readonly blocks: BlockPool = new BlockPool();

  constructor(bytes: number) {
    this.windowBudget = new SharedBudget(Math.floor(bytes / 2 / HELD_PER_BYTE));
    this.logBudget = new SharedBudget(Math.floor(bytes / 2));
  }
}

/** What so many sessions may hold at the most, beside what their applications hold. */
export function mayHoldBytes(
  bufferBytes: number,
  sessions: number,
  limits: Pick<SessionLimits, "mode" | "maxMessageBytes" | "maxBatchBytes">,
): number {
  return bufferBytes + POOL_BYTES + sessions * sessionFloorBytes(limits);
}

/** An eighth of the memory there is, at most 1 GiB. */
export function defaultBufferBytes({ memoryBytes }: Machine): number {
  return Math.min(1_073_741_824, Math.floor(memoryBytes / 8));
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
