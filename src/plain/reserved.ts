/** The memory of messages that no kernel has, reserved from the budget that all links share. */
import { Account, type Budget } from "../core/log/window.ts";

/** Memory is reserved in steps, so that not each message asks the shared budget. */
const RESERVED_BYTES = 65_536;

export class Reserved {
  readonly #account: Account;
  /** Bytes that are in use. */
  bytes = 0;

  constructor(floorBytes: number, budget: Budget) {
    this.#account = new Account(floorBytes, budget);
  }

  /** Bytes that are reserved and not in use. */
  get freeBytes(): number {
    return this.#account.heldBytes - this.bytes;
  }

  hasRoom(more: number): boolean {
    const bytes = this.bytes + more;
    return bytes <= this.#account.heldBytes || bytes <= this.#account.mostBytes;
  }

  more(bytes: number): void {
    this.bytes += bytes;
    const account = this.#account;
    const lacking = this.bytes - account.heldBytes;
    if (lacking > 0) account.hold(Math.max(lacking, Math.min(account.mostBytes - account.heldBytes, RESERVED_BYTES)));
  }

  less(bytes: number): void {
    this.bytes -= bytes;
    const unused = this.freeBytes;
    if (this.bytes === 0 || unused >= 2 * RESERVED_BYTES) {
      this.#account.hold(-Math.max(0, unused - (this.bytes === 0 ? 0 : RESERVED_BYTES)));
    }
  }

  /** The link has ended. */
  giveBack(): void {
    this.#account.hold(-this.#account.heldBytes);
  }
}
