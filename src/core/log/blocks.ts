/**
 * Blocks that logs are made of, of the first and of the largest size, kept for whoever needs one next: to make one costs more
 * than to fill it. A link that has little to say needs one of the first size for each message. One pool serves all links of a
 * manager or supervisor.
 */
export const BLOCK_BYTES = 65_536;
/** Of a log that is empty. */
const FIRST_BLOCK_BYTES = 2_048;
/** Of each size. 4 MiB of the largest: what one link has under way at full speed. */
const MOST_KEPT = 64;
export const POOL_BYTES: number = MOST_KEPT * (BLOCK_BYTES + FIRST_BLOCK_BYTES);

export class BlockPool {
  /** Of the largest blocks, and of the first in a log. The simulation makes them small, so that everything lies across several. */
  readonly blockBytes: number;
  readonly firstBytes: number;
  readonly #large: Buffer[] = [];
  readonly #first: Buffer[] = [];

  constructor(blockBytes: number = BLOCK_BYTES) {
    this.blockBytes = blockBytes;
    this.firstBytes = Math.min(FIRST_BLOCK_BYTES, blockBytes);
  }

  /** Of its own memory, and not of Node's pool: all of that would be kept with it. */
  take(bytes: number): Buffer {
    return this.#keptOf(bytes)?.pop() ?? Buffer.allocUnsafeSlow(bytes);
  }

  /** Whether it keeps blocks of that size. */
  keeps(bytes: number): boolean {
    return this.#keptOf(bytes) !== undefined;
  }

  #keptOf(bytes: number): Buffer[] | undefined {
    if (bytes === this.blockBytes) return this.#large;
    return bytes === this.firstBytes ? this.#first : undefined;
  }

  /** Nobody reads it any more. It has a size that is kept. */
  give(block: Buffer): void {
    const kept = this.#keptOf(block.length);
    if (kept !== undefined && kept.length < MOST_KEPT) kept.push(block);
  }
}
