/**
 * Blocks of the largest size that logs are made of, kept for whoever needs one next: to make one costs more than to fill it.
 * One pool serves all links of a manager or supervisor.
 */
export const BLOCK_BYTES = 65_536;
/** 4 MiB: what one link has under way at full speed. */
const MOST_KEPT = 64;
export const POOL_BYTES: number = MOST_KEPT * BLOCK_BYTES;

export class BlockPool {
  /** Of the largest blocks. The simulation makes them small, so that everything lies across several. */
  readonly blockBytes: number;
  readonly #kept: Buffer[] = [];

  constructor(blockBytes: number = BLOCK_BYTES) {
    this.blockBytes = blockBytes;
  }

  take(): Buffer {
    return this.#kept.pop() ?? Buffer.allocUnsafeSlow(this.blockBytes);
  }

  /** Nobody reads it any more. */
  give(block: Buffer): void {
    if (this.#kept.length < MOST_KEPT) this.#kept.push(block);
  }
}
