/**
 * The messages of an outbox by their numbers, in a ring. A message that is settled leaves its object to a later one:
 * where very many are kept in doubt, new objects would keep the garbage collector busy.
 */
import { Entry } from "./entry.ts";

const LEAST_SLOTS = 16;
/** A ring with more slots, of which less than this share is used, is halved; without messages it is given up. */
const MOST_IDLE_SLOTS = 1_024;
const LEAST_USED = 1 / 4;

export class Entries {
  /** A power of two. Message `n` is in slot `n` modulo their number; slots without a message may have an old one. */
  #slots: Array<Entry | undefined> = [];
  #mask = -1;
  /** The number of the first message. */
  #first = 0;
  /** The number of the next one. */
  next = 0;

  at(number: number): Entry {
    return this.#slots[number & this.#mask] as Entry;
  }

  /** The message of number `next`, which is not there until `add()`. */
  prepare(needsId: boolean): Entry {
    const { next } = this;
    if (next - this.#first === this.#slots.length) this.#grow();
    const slot = next & this.#mask;
    const old = this.#slots[slot];
    if (old === undefined) return (this.#slots[slot] = new Entry(next, needsId));
    old.begin(next, needsId);
    return old;
  }

  add(): void {
    this.next++;
  }

  /** The messages below `to` are settled, or were reported. */
  forget(to: number): void {
    for (let n = this.#first; n < to; n++) {
      const slot = n & this.#mask;
      if (!this.at(n).isSettled) this.#slots[slot] = undefined;
    }
    this.#first = to;
    this.#shrink();
  }

  /** After a burst of messages their memory is given back. */
  #shrink(): void {
    const slots = this.#slots.length;
    const used = this.next - this.#first;
    if (slots > MOST_IDLE_SLOTS && used < LEAST_USED * slots) this.#take(used === 0 ? 0 : slots / 2);
  }

  #grow(): void {
    this.#take(Math.max(LEAST_SLOTS, 2 * this.#slots.length));
  }

  #take(slots: number): void {
    const larger = Array.from<Entry | undefined>({ length: slots });
    for (let n = this.#first; n < this.next; n++) larger[n & (slots - 1)] = this.at(n);
    this.#slots = larger;
    this.#mask = slots - 1;
  }
}
