/**
 * Items grouped by owner. The owner with most items gives way first, so that its many do not push out another's only
 * one.
 */
export class Crowd<T> {
  readonly #byOwner = new Map<string, Set<T>>();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  countOf(owner: string): number {
    return this.#byOwner.get(owner)?.size ?? 0;
  }

  add(owner: string, item: T): void {
    const items = this.#byOwner.get(owner);
    if (items?.has(item) === true) return;
    if (items === undefined) this.#byOwner.set(owner, new Set([item]));
    else items.add(item);
    this.#size++;
  }

  delete(owner: string, item: T): boolean {
    const items = this.#byOwner.get(owner);
    if (items?.delete(item) !== true) return false;
    if (items.size === 0) this.#byOwner.delete(owner);
    this.#size--;
    return true;
  }

  /** All items, grouped by owner. */
  *items(): IterableIterator<T> {
    for (const items of this.#byOwner.values()) yield* items;
  }

  /** The items of the owner with most, oldest first; empty if there are none. */
  get largest(): ReadonlySet<T> {
    let largest: ReadonlySet<T> = new Set();
    for (const items of this.#byOwner.values()) if (items.size > largest.size) largest = items;
    return largest;
  }

  /** A random item of the owners with most, each equally likely: to come early or late gains nothing. */
  pick(random: number): T | undefined {
    const most = this.largest.size;
    let owners = 0;
    for (const { size } of this.#byOwner.values()) if (size === most) owners++;
    let before = Math.floor(random * owners * most);
    for (const items of this.#byOwner.values()) {
      if (items.size !== most) continue;
      if (before < most) return nth(items, before);
      before -= most;
    }
    return undefined;
  }

  /** A random item of that owner. */
  pickOf(owner: string, random: number): T | undefined {
    const items = this.#byOwner.get(owner);
    return items && nth(items, Math.floor(random * items.size));
  }

  /**
   * Takes the oldest item of the owner whose turn it is, one from each in turn. Only owners for which `may` is true
   * count.
   */
  takeInTurn(may: (owner: string) => boolean = () => true): T | undefined {
    for (const [owner, items] of this.#byOwner) {
      if (!may(owner)) continue;
      for (const item of items) {
        this.delete(owner, item);
        // An owner that has more items goes behind the others.
        if (this.#byOwner.delete(owner)) this.#byOwner.set(owner, items);
        return item;
      }
    }
    return undefined;
  }
}

function nth<T>(items: ReadonlySet<T>, at: number): T | undefined {
  let before = at;
  for (const item of items) if (before-- === 0) return item;
  return undefined;
}
