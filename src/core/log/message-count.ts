/**
 * Counts the messages of a log that begin below a position, as that position advances. Whole blocks are passed with the
 * number of their messages; only in the block where the position lies are the lengths of messages read.
 */
import { type Block, PREFIX_BYTES } from "./blocks.ts";

export class MessageCount {
  /** Messages that begin below the position that was asked for last. */
  #messages = 0;
  /** The block that was reached, how many of its messages were counted, and where the next of them begins. */
  #block = 0;
  #inBlock = 0;
  #next = 0;

  /**
   * How many messages begin below `position`, which never goes back, those in blocks that were dropped included. `end`:
   * where the last of the blocks ends.
   */
  countTo(position: number, blocks: readonly Block[], end: number): number {
    for (let block = blocks[this.#block]; block !== undefined; block = blocks[this.#block]) {
      if (position < block.start + block.used || this.#block === blocks.length - 1) {
        this.#countWithin(block, position, end);
        break;
      }
      this.#pass(block);
    }
    return this.#messages;
  }

  #countWithin(block: Block, position: number, end: number): void {
    let inBlock = this.#inBlock;
    if (position >= end) {
      inBlock = block.messages;
      this.#next = end;
    } else {
      if (inBlock === 0) this.#next = block.firstMessage;
      while (inBlock < block.messages && this.#next < position) {
        this.#next += PREFIX_BYTES + block.bytes.readUInt32BE(this.#next - block.start);
        inBlock++;
      }
    }
    this.#messages += inBlock - this.#inBlock;
    this.#inBlock = inBlock;
  }

  /** The first `dropped` blocks are about to be removed: all of their messages count as counted. */
  drop(blocks: readonly Block[], dropped: number): void {
    while (this.#block < dropped) this.#pass(blocks[this.#block] as Block);
    this.#block -= dropped;
  }

  #pass(block: Block): void {
    this.#messages += block.messages - this.#inBlock;
    this.#inBlock = 0;
    this.#block++;
  }

  /** All blocks were removed. What was counted stays. */
  clear(): void {
    this.#block = 0;
    this.#inBlock = 0;
  }
}
