import fc from "fast-check";
import { expect, test } from "vitest";
import { departureDelayMs, MOST_GAP_MS } from "../../../src/core/server/departures.ts";

const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const row = fc.tuple(fc.integer({ min: 1, max: 60_000 }), fc.array(random, { minLength: 1, maxLength: 500 }));

test("the first leaves at once, the others one by one within the time, each within the gap before its place", () => {
  fc.assert(
    fc.property(row, ([withinMs, draws]) => {
      const count = draws.length;
      const gapMs = Math.min(MOST_GAP_MS, withinMs / count);
      const delays = draws.map((drawn, place) => departureDelayMs(place, count, withinMs, drawn));
      expect(delays[0]).toBe(0);
      for (const [place, delayMs] of delays.entries()) {
        expect(delayMs).toBeLessThanOrEqual(place * gapMs);
        expect(delayMs).toBeGreaterThanOrEqual((place - 1) * gapMs);
        expect(delayMs).toBeLessThan(withinMs);
      }
    }),
  );
});

test("many fill the time evenly, and a few do not keep the server up", () => {
  const last = (count: number): number => departureDelayMs(count - 1, count, 10_000, 0);
  expect(last(1_000)).toBe(9_990);
  expect(last(10)).toBe(450);
});

test("without time all leave at once, and without a deadline each has its gap", () => {
  expect([0, 1, 2].map((place) => departureDelayMs(place, 3, 0, 0.5))).toEqual([0, 0, 0]);
  expect([0, 1, 2].map((place) => departureDelayMs(place, 3, Infinity, 0.5))).toEqual([0, 25, 75]);
});
