/** Memory that many links share. */
import { BlockPool, POOL_BYTES } from "../core/log/blocks.ts";
import { sessionFloorBytes, type SessionLimits, type SharedMemory } from "../core/session/session.ts";
import { HELD_PER_BYTE } from "../core/log/unread.ts";
import type { Budget } from "../link/ports.ts";
import type { Machine } from "./machine.ts";

/**
 * The memory that all links of a manager or supervisor share: half of `bytes` for receiving, half for sending, and a
 * pool of blocks. For receiving the windows are counted; each of their bytes may hold somewhat more memory than one
 * byte.
 */
export class LinkMemory implements SharedMemory {
  readonly windowBudget: SharedBudget;
  readonly logBudget: SharedBudget;
  readonly blocks: BlockPool = new BlockPool();

  constructor(bytes: number) {
    this.windowBudget = new SharedBudget(Math.floor(bytes / 2 / HELD_PER_BYTE));
    this.logBudget = new SharedBudget(Math.floor(bytes / 2));
  }

  /** Changes the memory. With less, links keep what they hold, and give it back as they can. */
  resize(bytes: number): void {
    this.windowBudget.resize(Math.floor(bytes / 2 / HELD_PER_BYTE));
    this.logBudget.resize(Math.floor(bytes / 2));
  }
}

/** The most memory that so many sessions may hold, besides that of their applications. */
export function mayHoldBytes(
  bufferBytes: number,
  sessions: number,
  limits: Pick<SessionLimits, "mode" | "maxMessageBytes" | "maxBatchBytes">,
): number {
  return bufferBytes + POOL_BYTES + sessions * sessionFloorBytes(limits);
}

/** An eighth of the available memory, at most 1 GiB. */
export function defaultBufferBytes({ memoryBytes }: Machine): number {
  return Math.min(1_073_741_824, Math.floor(memoryBytes / 8));
}

export class SharedBudget implements Budget {
  freeBytes: number;
  #bytes: number;

  constructor(bytes: number) {
    this.freeBytes = this.#bytes = bytes;
  }

  resize(bytes: number): void {
    this.freeBytes += bytes - this.#bytes;
    this.#bytes = bytes;
  }

  borrow(bytes: number): void {
    this.freeBytes -= bytes;
  }

  give(bytes: number): void {
    this.freeBytes += bytes;
  }
}
