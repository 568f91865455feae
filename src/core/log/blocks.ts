/**
 * The blocks that logs consist of, and their pool. The pool keeps blocks of the first and of the largest size for the
 * next log that needs one: to allocate a block costs more than to fill it. A link that sends little needs a block of
 * the first size for each message. One pool serves all links of a manager or supervisor.
 */
export const BLOCK_BYTES = 65_536;
/** The first block of an empty log. */
const FIRST_BLOCK_BYTES = 2_048;
/** Blocks kept of each size. Of the largest these are 4 MiB: what one link has in flight at full speed. */
const MOST_KEPT = 64;
export const POOL_BYTES: number = MOST_KEPT * (BLOCK_BYTES + FIRST_BLOCK_BYTES);

/** The length of a message stands in front of it. */
export const PREFIX_BYTES = 4;

/** A block that a log has in use. */
export interface Block {
  /** The log's bytes are `bytes[0, used)`. */
  readonly bytes: Buffer;
  /** The size of the memory that `bytes` is a view of. */
  readonly memoryBytes: number;
  used: number;
  /** The position of `bytes[0]`. */
  readonly start: number;
  /** Only the current connection can still be writing this block, so it may be reused once it is acked and written. */
  isOurs: boolean;
  /** Messages that begin here, and the position of the first. */
  messages: number;
  firstMessage: number;
}

export class BlockPool {
  /**
   * The sizes of the largest block and of the first. The simulation makes them small, so that messages span several
   * blocks.
   */
  readonly blockBytes: number;
  readonly firstBytes: number;
  readonly #large: Buffer[] = [];
  readonly #first: Buffer[] = [];

  constructor(blockBytes: number = BLOCK_BYTES) {
    this.blockBytes = blockBytes;
    this.firstBytes = Math.min(FIRST_BLOCK_BYTES, blockBytes);
  }

  /** A block with memory of its own. Part of Node's pool would keep the whole pool alive. */
  take(bytes: number): Buffer {
    return this.#keptOf(bytes)?.pop() ?? Buffer.allocUnsafeSlow(bytes);
  }

  /** Whether the pool keeps blocks of that size. */
  keeps(bytes: number): boolean {
    return this.#keptOf(bytes) !== undefined;
  }

  #keptOf(bytes: number): Buffer[] | undefined {
    if (bytes === this.blockBytes) return this.#large;
    return bytes === this.firstBytes ? this.#first : undefined;
  }

  /**
   * Takes a block back. Nobody reads it any more, so one too many is freed at once: were it left to V8, blocks that come
   * and go would have it mark its whole heap for every 64 MiB.
   */
  give(block: Buffer): void {
    const kept = this.#keptOf(block.length);
    if (kept !== undefined && kept.length < MOST_KEPT) kept.push(block);
    else (block.buffer as ArrayBuffer).transfer(0);
  }
}
