import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { MOST_RETRY_MS } from "../../../src/core/server/come-back-times.ts";
import { ShedTimes } from "../../../src/core/server/shed-times.ts";
import { runs } from "../../properties.ts";

const LONG_MS = 300_000;
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

/** The most that come within `windowMs`. */
function busiest(times: readonly number[], windowMs: number): number {
  const sorted = times.toSorted((a, b) => a - b);
  let [first, most] = [0, 0];
  for (const [index, ms] of sorted.entries()) {
    while (ms - (sorted[first] as number) >= windowMs) first++;
    most = Math.max(most, index - first + 1);
  }
  return most;
}

describe("those that are shed", () => {
  test("come back one by one: of any number, few in the busiest tenth of a second", () => {
    fc.assert(
      fc.property(random, fc.integer({ min: 1, max: 3_000 }), (start, count) => {
        const times = new ShedTimes(start);
        const all = Array.from({ length: count }, () => times.next(LONG_MS));
        expect(busiest(all, 100)).toBeLessThanOrEqual(3 + count / 100);
        expect(Math.min(...all)).toBeGreaterThanOrEqual(MOST_RETRY_MS / 2);
        expect(Math.max(...all)).toBeLessThanOrEqual(MOST_RETRY_MS);
      }),
      { numRuns: runs(50) },
    );
  });

  test("a thousand at once, with the jitter of the clients: at most 3 % in a tenth of a second", () => {
    fc.assert(
      fc.property(random, fc.array(random, { minLength: 1_000, maxLength: 1_000 }), (start, jitter) => {
        const times = new ShedTimes(start);
        const dials = jitter.map((drawn) => Math.min(MOST_RETRY_MS, times.next(LONG_MS) * (1 + 0.1 * drawn)));
        // Those that would come after the longest time come at it, but for the jitter of the client: backoff.ts.
        const early = dials.filter((ms) => ms < MOST_RETRY_MS);
        expect(busiest(early, 100)).toBeLessThanOrEqual(30);
      }),
      { numRuns: runs(20) },
    );
  });

  test("a hundred each second: the same", () => {
    const times = new ShedTimes(0.3);
    const all = Array.from({ length: 1_000 }, (_, index) => Math.floor(index / 100) * 1_000 + times.next(LONG_MS));
    expect(busiest(all, 100)).toBeLessThanOrEqual(20);
  });

  test("while their session is still here", () => {
    const times = new ShedTimes(0.5);
    for (let n = 0; n < 100; n++) {
      expect(times.next(10_000)).toBeLessThanOrEqual(5_000);
      expect(times.next(0)).toBe(1);
      expect(times.next(Infinity)).toBeLessThanOrEqual(MOST_RETRY_MS);
    }
  });

  test("elsewhere at other times", () => {
    expect(new ShedTimes(0.1).next(LONG_MS)).not.toBe(new ShedTimes(0.2).next(LONG_MS));
  });
});
