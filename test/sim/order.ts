/**
 * In which order the messages of a link were taken into its log. That is the order of their numbers, unless they wait
 * under a policy before: then some are dropped, some overtake others, and some have the place of older ones.
 */
export class Order {
  readonly #numbers: number[] = [];
  readonly #ranks = new Map<number, number>();

  /** Answers whether the message has overtaken an older one, or has its place. */
  took(number: number): boolean {
    const before = this.#numbers.at(-1) ?? -1;
    this.#ranks.set(number, this.#numbers.length);
    this.#numbers.push(number);
    return number < before;
  }

  /** Infinity for a message that was never taken. */
  rankOf(number: number): number {
    return this.#ranks.get(number) ?? Infinity;
  }

  numberAt(rank: number): number {
    return this.#numbers[rank] as number;
  }
}

/** The order of numbers. */
export const AS_NUMBERED: Pick<Order, "rankOf" | "numberAt"> = {
  rankOf: (number) => number,
  numberAt: (rank) => rank,
};
