/**
 * The accounts of an outbox: how much waits, is in doubt, was delivered, was let go; and for how much more there is
 * room.
 */
import type { Budget } from "../core/log/window.ts";
import { Reserved } from "./reserved.ts";

export interface AccountOptions {
  queue: { maxMessages: number; maxBytes: number };
  maxMessageBytes: number;
  logBudget: Budget;
}

export class Accounts {
  readonly #limits: AccountOptions["queue"];
  protected readonly reserved: Reserved;
  takenBytes = 0;
  /** Messages, and bytes of payload, that were taken and never given to a kernel, or that is to be given again. */
  queuedMessages = 0;
  queuedBytes = 0;
  /** Kept of messages in doubt, those that wait for an answer apart: payload, and `ENTRY_BYTES` for each. */
  doubtBytes = 0;
  /** Messages and bytes that are known to have been delivered. */
  deliveredMessages = 0;
  deliveredBytes = 0;
  /** Messages and bytes in doubt that were let go, since they were last reported. */
  untrackedMessages = 0;
  untrackedBytes = 0;

  constructor({ queue, maxMessageBytes, logBudget }: AccountOptions) {
    this.#limits = queue;
    this.reserved = new Reserved(maxMessageBytes, logBudget);
  }

  /** Payload that no kernel has, or not all of it. */
  get unwrittenBytes(): number {
    return this.reserved.bytes;
  }

  get roomMessages(): number {
    return this.#limits.maxMessages - this.queuedMessages;
  }

  /** The bytes for which there is certainly room: in the queue, and in memory that is reserved already. */
  get roomBytes(): number {
    return Math.max(0, Math.min(this.#queueBytes, this.reserved.freeBytes));
  }

  get #queueBytes(): number {
    return this.#limits.maxBytes - this.queuedBytes;
  }

  hasRoom(payloadBytes: number): boolean {
    if (this.roomMessages <= 0 || payloadBytes > this.#queueBytes) return false;
    return this.reserved.hasRoom(payloadBytes);
  }
}
