/** Things by whose they are: whoever has most of them gives way first, so that nobody's many push out somebody's one. */
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

  /** What the owner with most of them has, oldest first; empty if there is nothing. */
  get largest(): ReadonlySet<T> {
    let largest: ReadonlySet<T> = new Set();
    for (const items of this.#byOwner.values()) if (items.size > largest.size) largest = items;
    return largest;
  }

  /** One of those whose owners have most, each as likely: whoever comes often gains nothing by coming early or late. */
  pick(random: number): T | undefined {
    const most = this.largest.size;
    const largest = [...this.#byOwner.values()].filter(({ size }) => size === most);
    const at = Math.floor(random * largest.length * most);
    return [...(largest[Math.floor(at / most)] ?? [])][at % most];
  }

  /** Takes the oldest of the owner whose turn it is: one from each, then the next from each. Of owners that `may`. */
  takeInTurn(may: (owner: string) => boolean = () => true): T | undefined {
    for (const [owner, items] of this.#byOwner) {
      if (!may(owner)) continue;
      for (const item of items) {
        this.delete(owner, item);
        // Behind the others, if it has more.
        if (this.#byOwner.delete(owner)) this.#byOwner.set(owner, items);
        return item;
      }
    }
    return undefined;
  }
}
