/**
 * The messages of an outbox that need no object: small ones that nobody waits for and that are not to be answered. Of
 * each only five numbers are kept, in rings, as very many may be in doubt: objects would not stay in the processor's
 * cache. One of them is a sum over all messages before it, so that many that follow one another are counted without
 * being looked at one by one. A block counts all of its small messages as one user, as they are settled in order.
 */
import { fewerSlots, LEAST_SLOTS } from "./entries.ts";
import type { Block, Run, Storage, Stored } from "./storage.ts";

/** Of each message: the place of its bytes in the block, their count, and the same of its payload. */
const FIELDS = 4;
const NOTHING: Int32Array = new Int32Array(0);
const NO_SUMS: Float64Array = new Float64Array(0);

export class SmallMessages {
  readonly #storage: Storage;
  /** A power of two of slots. Message `n` is in slot `n` modulo their number. */
  #ring: Int32Array = NOTHING;
  /** Of each message the bytes of payload of all messages before it, those that have objects among them. */
  #sums: Float64Array = NO_SUMS;
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

  /** `before`: the bytes of payload of all messages before it. `stored` can be used for another message then. */
  add(number: number, stored: Stored, before: number): void {
    if (number - this.#first > this.#mask) this.#grow(number);
    const slot = number & this.#mask;
    this.#sums[slot] = before;
    const at = slot * FIELDS;
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

  /** The payload of the messages from `from` to before `to`, all of which are here. */
  payloadOf(from: number, to: number): number {
    if (from === to) return 0;
    const sums = this.#sums;
    const last = to - 1;
    const ofLast = this.#ring[(last & this.#mask) * FIELDS + 3] as number;
    return (sums[last & this.#mask] as number) - (sums[from & this.#mask] as number) + ofLast;
  }

  /**
   * The number behind the fewest messages from `from` on that make up `bytes`: their payload, and `each` for each. At
   * most `to`. All before that are here.
   */
  behind(from: number, to: number, bytes: number, each: number): number {
    const sums = this.#sums;
    const mask = this.#mask;
    const before = sums[from & mask] as number;
    const most = Math.min(to, from + Math.max(0, Math.ceil(bytes / each)));
    return behindLast(from, most, (n) => (sums[n & mask] as number) - before + (n - from) * each < bytes);
  }

  /**
   * Adds the messages from `from` to before `to` to the run, all of which are here, as far as there are bytes left for
   * them; the first one in any case if `atLeastOne`. Answers the number behind the last one.
   */
  addTo(run: Run, from: number, to: number, atLeastOne: boolean): number {
    const ring = this.#ring;
    const mask = this.#mask;
    const endOf = (n: number): number => {
      const at = (n & mask) * FIELDS;
      return (ring[at] as number) + (ring[at + 1] as number);
    };
    let n = from;
    while (n < to) {
      const block = this.#blockOf(n);
      const inBlock = Math.min(to, block.smallTo);
      const at = ring[(n & mask) * FIELDS] as number;
      const most = at + run.left;
      const least = atLeastOne && n === from ? from + 1 : n;
      const end = endOf(inBlock - 1) <= most ? inBlock : behindLast(least, inBlock, (m) => endOf(m) <= most);
      if (end > n) run.add(block, at, endOf(end - 1));
      n = end;
      if (end < inBlock) break;
    }
    return n;
  }

  #blockOf(number: number): Block {
    const found = this.#found;
    if (found !== undefined && number < found.smallTo && number >= this.#foundFrom) return found;
    return this.#find(number);
  }

  #find(number: number): Block {
    const blocks = this.#blocks;
    const at = behindLast(0, blocks.length - 1, (n) => (blocks[n] as Block).smallTo <= number);
    this.#foundFrom = number;
    return (this.#found = blocks[at] as Block);
  }

  /** Writes where the message is into `stored`, which shares its block. */
  describe(number: number, stored: Stored): void {
    const at = (number & this.#mask) * FIELDS;
    stored.wire = stored.payloadIn = this.#blockOf(number);
    stored.wireFrom = this.#ring[at] as number;
    stored.wireBytes = this.#ring[at + 1] as number;
    stored.payloadFrom = this.#ring[at + 2] as number;
    stored.payloadBytes = this.#ring[at + 3] as number;
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
    const sums = new Float64Array(fewer);
    const mask = fewer - 1;
    for (let n = this.#first; n < this.#end; n++) {
      const from = (n & this.#mask) * FIELDS;
      ring.set(this.#ring.subarray(from, from + FIELDS), (n & mask) * FIELDS);
      sums[n & mask] = this.#sums[n & this.#mask] as number;
    }
    this.#use(ring, sums);
  }

  #grow(number: number): void {
    let slots = Math.max(LEAST_SLOTS, this.slots);
    while (number - this.#first >= slots) slots *= 2;
    const ring = new Int32Array(slots * FIELDS);
    // A message is then in the slot of before, or in one that is a multiple of the old size further on.
    const sums = new Float64Array(slots);
    for (let slot = 0; slot < slots && this.slots > 0; slot += this.slots) {
      ring.set(this.#ring, slot * FIELDS);
      sums.set(this.#sums, slot);
    }
    this.#use(ring, sums);
  }

  #use(ring: Int32Array, sums: Float64Array): void {
    this.#ring = ring;
    this.#sums = sums;
    this.#mask = ring.length / FIELDS - 1;
  }
}

/** Of the numbers from `from` to before `to` some hold, and none behind one that does not: the first that does not. */
function behindLast(from: number, to: number, holds: (number: number) => boolean): number {
  let low = from;
  let high = to;
  while (low < high) {
    const middle = low + Math.floor((high - low) / 2);
    if (holds(middle)) low = middle + 1;
    else high = middle;
  }
  return low;
}
