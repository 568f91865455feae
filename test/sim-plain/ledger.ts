/** What became of each message, as the client was told. A message that is told of twice is a violation. */

export class Violation extends Error {}

export function check(holds: boolean, what: () => string): void {
  if (!holds) throw new Violation(what());
}

export type Fate = "delivered" | "maybe" | "not-sent";

export class Ledger {
  taken = 0;
  readonly fates = new Map<number, Fate>();
  untracked = 0;
  /** The messages that were begun on the wire, on any connection. */
  readonly begun = new Set<number>();
  /** The beginning of a line, on the newest connection, that does not show its number yet. */
  part = "";

  settle(number: number, fate: Fate): void {
    const before = this.fates.get(number);
    check(before === undefined, () => `message ${number} is ${fate}, and was ${before} before`);
    this.fates.set(number, fate);
    const isBegun = this.begun.has(number);
    const mayBeBegun = this.part !== "" && [`q${number}:`, `s${number}:`].some((line) => line.startsWith(this.part));
    const isRight = fate === "not-sent" ? !isBegun : isBegun || (fate === "maybe" && mayBeBegun);
    check(isRight, () => `message ${number} is ${fate}, and was ${isBegun ? "" : "not "}begun`);
  }

  with(fate: Fate): number[] {
    return [...this.fates].flatMap(([number, each]) => (each === fate ? [number] : []));
  }
}

export function checkAscending(numbers: readonly number[], what: string): void {
  for (const [n, number] of numbers.entries()) {
    check(n === 0 || number > (numbers[n - 1] as number), () => `${what}: out of order: ${numbers.join(" ")}`);
  }
}
