import { expect, test } from "vitest";
import { GapFinder } from "../../../src/cli/demo/gaps.ts";

test("has the times of 20 ms or more in which nothing came", () => {
  const finder = new GapFinder();
  for (const atMs of [100, 119, 139, 140, 1_000]) finder.arrived(atMs);
  expect(finder.gaps).toEqual({
    all: [
      { fromMs: 119, ms: 20 },
      { fromMs: 140, ms: 860 },
    ],
    leastMs: 20,
  });
});

test("silence until the end is one, if more should have come; nothing before the first is none", () => {
  const finder = new GapFinder();
  finder.ended(50);
  expect(finder.gaps.all).toEqual([]);
  finder.arrived(100);
  finder.ended(400);
  finder.arrived(1_000);
  expect(finder.gaps.all).toEqual([{ fromMs: 100, ms: 300 }]);
});

test("at most 10,000 are kept, the longest, and those that come are no shorter than what was forgotten", () => {
  const finder = new GapFinder();
  let atMs = 0;
  for (let count = 0; count <= 10_001; count++) {
    finder.arrived(atMs);
    atMs += 20 + (count % 100);
  }
  const { all, leastMs } = finder.gaps;
  expect(all).toHaveLength(5_000);
  expect(Math.min(...all.map(({ ms }) => ms))).toBe(leastMs);
  expect(leastMs).toBeGreaterThanOrEqual(69);
  expect(all.toSorted((a, b) => a.fromMs - b.fromMs)).toEqual(all);
  finder.arrived(atMs + 1_000);
  finder.arrived(atMs + 1_000 + leastMs - 1);
  expect(finder.gaps.all.filter(({ fromMs }) => fromMs >= atMs + 1_000)).toEqual([]);
});
