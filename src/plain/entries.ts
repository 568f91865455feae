/**
 * The messages of an outbox that have objects, by their numbers, in a ring. A message that is settled leaves its object
 * to a later one: where very many are under way, new objects would keep the garbage collector busy.
 */
import { Entry } from "./entry.ts";

export const LEAST_SLOTS = 16;
/** A ring with more slots, of which less than this share is used, is halved; without messages it is given up. */
const MOST_IDLE_SLOTS = 1_024;
const LEAST_USED = 1 / 4;

export class Entries {
  /** A power of two. Message `n` is in slot `n` modulo their number; slots without a message may have an old one. */
  #slots: Array<Entry | undefined> = [];
  #mask = -1;
  /** Messages below were forgotten. */
  #first = 0;
  /** All that are here are below. */
  #end = 0;
  /** How many are here. While there is none, the messages of an outbox can be looked at without asking for each. */
  count = 0;

  /** Undefined if the message has no object. */
  at(number: number): Entry | undefined {
    if (this.count === 0) return undefined;
    const entry = this.#slots[number & this.#mask];
    return entry !== undefined && entry.number === number ? entry : undefined;
  }

  /** The first message from `from` on that has an object; `to` if none before that has one. */
  firstFrom(from: number, to: number): number {
    if (this.count === 0) return to;
    let n = from;
    while (n < to && this.at(n) === undefined) n++;
    return n;
  }

  /** The object of a new message, which is not here until it is put here. */
  prepare(number: number, needsId: boolean): Entry {
    const old = this.#slots[number & this.#mask];
    if (old === undefined || old.number >= this.#first) return new Entry(needsId);
    old.begin(needsId);
    return old;
  }

  put(number: number, entry: Entry): void {
    while (this.#isTaken(number)) this.#take(Math.max(LEAST_SLOTS, 2 * this.#slots.length));
    entry.number = number;
    this.#slots[number & this.#mask] = entry;
    this.#end = Math.max(this.#end, number + 1);
    this.count++;
  }

  /** The slot has another message, which is not forgotten. */
  #isTaken(number: number): boolean {
    if (this.#slots.length === 0) return true;
    const other = this.#slots[number & this.#mask];
    return other !== undefined && other.number >= this.#first;
  }

  /**
   * Takes out the messages that are for one connection alone, and are not settled. Their places stay, as settled ones.
   */
  takeBound(from: number, to: number): Entry[] {
    const taken: Entry[] = [];
    for (let n = from; n < to; n++) {
      const entry = this.at(n);
      if (entry?.isBound !== true || entry.isSettled) continue;
      taken.push(entry);
      const place = new Entry(false);
      place.number = n;
      place.isSettled = true;
      this.#slots[n & this.#mask] = place;
    }
    return taken;
  }

  /** The messages below `to` are settled, or were reported. */
  forget(to: number): void {
    for (let n = this.#first; n < to && this.count > 0; n++) {
      const entry = this.at(n);
      if (entry === undefined) continue;
      this.count--;
      if (!entry.isSettled) this.#slots[n & this.#mask] = undefined;
    }
    this.#first = to;
    this.#shrink();
  }

  /** After a burst of messages their memory is given back, if those that are left have slots of their own then. */
  #shrink(): void {
    const slots = this.#slots.length;
    const fewer = fewerSlots(slots, this.count === 0 ? 0 : this.#end - this.#first);
    if (fewer < slots) this.#take(fewer);
  }

  #take(slots: number): void {
    const larger = Array.from<Entry | undefined>({ length: slots });
    for (const entry of this.#slots) {
      if (entry !== undefined && entry.number >= this.#first) larger[entry.number & (slots - 1)] = entry;
    }
    this.#slots = larger;
    this.#mask = slots - 1;
  }
}

/** How many slots a ring needs of which so many are used: as many as it has, half of them, or none. */
export function fewerSlots(slots: number, used: number): number {
  if (slots <= MOST_IDLE_SLOTS || used >= LEAST_USED * slots) return slots;
  return used <= 0 ? 0 : slots / 2;
}
