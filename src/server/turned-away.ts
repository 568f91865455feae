/** Counts the clients that a limit has turned away, by the limit's name, and tells whether one did so just now. */
import type { LimitName } from "../core/server/handshake-table.ts";
import type { PlainLimitName } from "./plain-options.ts";

/** The last is a limit of servers that the application has made. */
export type AnyLimitName = LimitName | PlainLimitName | "acceptsPerSecond";

/** A server is degraded for so long after it has turned a client away. */
const LATELY_MS = 10_000;

export class TurnedAway {
  readonly #limits = new Map<AnyLimitName, { times: number; lastMs: number }>();

  add(limit: AnyLimitName, nowMs: number): void {
    this.#limits.set(limit, { times: (this.#limits.get(limit)?.times ?? 0) + 1, lastMs: nowMs });
  }

  /** Since the beginning. */
  get counts(): Record<string, number> {
    return Object.fromEntries(Array.from(this.#limits, ([limit, { times }]) => [limit, times]));
  }

  get total(): number {
    let total = 0;
    for (const { times } of this.#limits.values()) total += times;
    return total;
  }

  /** The limits that have turned clients away lately, in words, for `health()`. */
  reasons(nowMs: number): string[] {
    return [...this.#limits]
      .filter(([, { lastMs }]) => nowMs - lastMs < LATELY_MS)
      .map(([limit, { times }]) => `limits.${limit} turns clients away: ${times} so far`);
  }
}
