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

  /** False: no link is lent any more, and windows become smaller as they drain. True: as before. */
  lend(isOn: boolean): void {
    this.windowBudget.lend(isOn);
    this.logBudget.lend(isOn);
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

/** More than any budget: taken out of one, it leaves every account with its minimum. */
const EVERYTHING_BYTES = 2 ** 50;

export class SharedBudget implements Budget {
  /** Far below 0 while nothing is lent. */
  freeBytes: number;
  #bytes: number;
  #lends = true;

  constructor(bytes: number) {
    this.freeBytes = this.#bytes = bytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** What is borrowed stays so: with less there may be nothing free. */
  resize(bytes: number): void {
    this.freeBytes += bytes - this.#bytes;
    this.#bytes = bytes;
  }

  /** Bytes that accounts have borrowed. */
  get lentBytes(): number {
    return this.bytes - this.freeBytes - (this.#lends ? 0 : EVERYTHING_BYTES);
  }

  /** False: accounts may hold their minimum, and what they have already. */
  lend(isOn: boolean): void {
    if (isOn === this.#lends) return;
    this.#lends = isOn;
    this.freeBytes += isOn ? EVERYTHING_BYTES : -EVERYTHING_BYTES;
  }

  borrow(bytes: number): void {
    this.freeBytes -= bytes;
  }

  give(bytes: number): void {
    this.freeBytes += bytes;
  }
}
