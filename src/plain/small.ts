/**
 * The messages of an outbox that need no object: small ones that nobody waits for and that are not to be answered. Of
 * each only four numbers are kept, in a ring, as very many may be in doubt: objects would not stay in the processor's
 * cache. A block counts all of its small messages as one user, as they are settled in order.
 */
import { fewerSlots, LEAST_SLOTS } from "./entries.ts";
import type { Block, Storage, Stored } from "./storage.ts";

/** Of each message: the place of its bytes in the block, their count, and the same of its payload. */
const FIELDS = 4;
const NOTHING: Int32Array = new Int32Array(0);

export class SmallMessages {
  readonly #storage: Storage;
  /** A power of two of slots. Message `n` is in slot `n` modulo their number. */
  #ring: Int32Array = NOTHING;
  #mask = -1;
  /** All that are here are at or above `#first` and below `#end`. Between them may be messages that have objects. */
  #first = 0;
  #end = 0;
  /** The blocks that the messages lie in, oldest first. */
  readonly #blocks: Block[] = [];
  /** The block that was asked for last, and the number from which on the messages lie in it. */
  #found: Block | undefined;
  #foundFrom = 0;

  constructor(storage: Storage) {
    this.#storage = storage;
  }

  /** For how many messages the ring has memory. */
  get slots(): number {
    return this.#mask + 1;
  }

  /** Whether the message can be kept here: its payload lies in its block, unchanged. */
  static fits({ wire, payloadIn }: Stored): boolean {
    return wire !== undefined && wire === payloadIn;
  }

  /** `stored` can be used for another message then. */
  add(number: number, stored: Stored): void {
    if (number - this.#first > this.#mask) this.#grow(number);
    const at = (number & this.#mask) * FIELDS;
    const ring = this.#ring;
    ring[at] = stored.wireFrom;
    ring[at + 1] = stored.wireBytes;
    ring[at + 2] = stored.payloadFrom;
    ring[at + 3] = stored.payloadBytes;
    this.#end = number + 1;
    const block = stored.wire as Block;
    if (block.smallTo === 0) this.#begin(block);
    block.smallTo = number + 1;
  }

  #begin(block: Block): void {
    block.users++;
    this.#blocks.push(block);
  }

  wireFrom(number: number): number {
    return this.#ring[(number & this.#mask) * FIELDS] as number;
  }

  wireBytes(number: number): number {
    return this.#ring[(number & this.#mask) * FIELDS + 1] as number;
  }

  payloadBytes(number: number): number {
    return this.#ring[(number & this.#mask) * FIELDS + 3] as number;
  }

  blockOf(number: number): Block {
    const found = this.#found;
    if (found !== undefined && number < found.smallTo && number >= this.#foundFrom) return found;
    return this.#find(number);
  }

  #find(number: number): Block {
    const blocks = this.#blocks;
    let low = 0;
    let high = blocks.length - 1;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((blocks[middle] as Block).smallTo > number) high = middle;
      else low = middle + 1;
    }
    this.#foundFrom = number;
    return (this.#found = blocks[low] as Block);
  }

  /** Writes where the message is into `stored`, which shares its block. */
  describe(number: number, stored: Stored): void {
    stored.wire = stored.payloadIn = this.blockOf(number);
    stored.wireFrom = this.wireFrom(number);
    stored.wireBytes = this.wireBytes(number);
    stored.payloadFrom = this.#ring[(number & this.#mask) * FIELDS + 2] as number;
    stored.payloadBytes = this.payloadBytes(number);
    this.#storage.keep(stored);
  }

  /** Nobody needs the messages below `to` any more, or they have objects. */
  forget(to: number): void {
    const blocks = this.#blocks;
    for (let block = blocks[0]; block !== undefined && block.smallTo <= to; block = blocks[0]) {
      blocks.shift();
      block.smallTo = 0;
      this.#storage.leave(block);
      this.#found = undefined;
    }
    this.#first = Math.max(this.#first, to);
    this.#shrink();
  }

  /** After a burst of messages their memory is given back. */
  #shrink(): void {
    const { slots } = this;
    const fewer = fewerSlots(slots, this.#end - this.#first);
    if (fewer === slots) return;
    const ring = new Int32Array(fewer * FIELDS);
    const mask = fewer - 1;
    for (let n = this.#first; n < this.#end; n++) {
      const from = (n & this.#mask) * FIELDS;
      ring.set(this.#ring.subarray(from, from + FIELDS), (n & mask) * FIELDS);
    }
    this.#use(ring);
  }

  #grow(number: number): void {
    let slots = Math.max(LEAST_SLOTS, this.slots);
    while (number - this.#first >= slots) slots *= 2;
    const ring = new Int32Array(slots * FIELDS);
    // A message is then in the slot of before, or in one that is a multiple of the old size further on.
    for (let at = 0; at < ring.length && this.slots > 0; at += this.#ring.length) ring.set(this.#ring, at);
    this.#use(ring);
  }

  #use(ring: Int32Array): void {
    this.#ring = ring;
    this.#mask = ring.length / FIELDS - 1;
  }
}
