/** The connections that a far end carries: how many it may carry, in all and for each identity. */
import { TargetRefused } from "./targets.ts";

/** One identity leaves some of the far end's connections to others. */
const MOST_OF_ONE = 0.9;

export interface BusyOptions {
  /** Of all identities together. */
  readonly most: number;
  /** Of each identity. Undefined: nine tenths of `most`. */
  readonly mostEach: number | undefined;
}

export class Busy {
  readonly #most: number;
  readonly #mostEach: number;
  #count = 0;
  /** Identities with at least one connection. */
  readonly #byIdentity = new Map<string, number>();

  constructor({ most, mostEach }: BusyOptions) {
    this.#most = most;
    this.#mostEach = mostEach ?? Math.max(1, Math.floor(MOST_OF_ONE * most));
  }

  /** Connections that are carried now, and those that are being made. */
  get count(): number {
    return this.#count;
  }

  /** Counts a connection. `identity`: undefined where clients have none; then only the sum counts. Throws TargetRefused. */
  add(identity: string | undefined): void {
    if (this.#count >= this.#most) throw new TargetRefused("too-many-connections", `the far end has ${this.#count}`);
    if (identity !== undefined) {
      const its = this.#byIdentity.get(identity) ?? 0;
      if (its >= this.#mostEach) throw new TargetRefused("too-many-connections", `this client has ${its}`);
      this.#byIdentity.set(identity, its + 1);
    }
    this.#count++;
  }

  /** The connection was not made, or has ended. */
  delete(identity: string | undefined): void {
    this.#count--;
    if (identity === undefined) return;
    const left = (this.#byIdentity.get(identity) ?? 0) - 1;
    if (left > 0) this.#byIdentity.set(identity, left);
    else this.#byIdentity.delete(identity);
  }
}
