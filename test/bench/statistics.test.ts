import { expect, test } from "vitest";
import { centreOf, mostWithin, signedRankOutside } from "../../bench/statistics.ts";
import { seeded } from "../../src/testing/random.ts";

test("the critical rank sums are those of the tables", () => {
  const tabled = { 6: 0, 7: 2, 8: 3, 9: 5, 10: 8, 12: 13, 15: 25, 20: 52, 25: 89, 30: 137 };
  expect(Object.keys(tabled).map((pairs) => signedRankOutside(Number(pairs)))).toEqual(Object.values(tabled));
});

// Hollander and Wolfe, example 3.1: depression before and after a tranquillizer, and what they find of it in 3.2 and 3.3.
test("the estimate and the interval are those of the textbook's example", () => {
  const before = [1.83, 0.5, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.3];
  const after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29];
  const { estimate, low, high } = centreOf(after.map((value, patient) => value - (before[patient] as number)));
  expect(estimate).toBeCloseTo(-0.46);
  expect(low).toBeCloseTo(-0.786);
  expect(high).toBeCloseTo(-0.01);
});

test("six pairs have an interval, from the least to the greatest; five have none", () => {
  expect(centreOf([3, 1, 2, 6, 5, 4])).toEqual({ estimate: 3.5, low: 1, high: 6 });
  expect(() => centreOf([1, 2, 3, 4, 5])).toThrow("5 pairs are too few: 6 at least");
});

test.each([Infinity, Number.NaN])("where a difference is %d there is no centre", (difference) => {
  const none = { estimate: Number.NaN, low: Number.NaN, high: Number.NaN };
  expect(centreOf([3, 1, 2, 6, 5, 4, difference])).toEqual(none);
});

test("one measurement that was spoilt moves it little", () => {
  const quiet = Array.from({ length: 20 }, (_, at) => (at - 9.5) / 1_000);
  const { low, high } = centreOf([...quiet.slice(0, 19), -2]);
  expect(low).toBeGreaterThan(-0.01);
  expect(high).toBeLessThan(0.01);
});

test("of a thousand samples with far outliers about 95 % of the intervals hold the centre", () => {
  const random = seeded(1);
  // Cauchy's distribution has no mean: who averages would not get anywhere.
  const sample = (): number[] => Array.from({ length: 20 }, () => 0.3 + Math.tan(Math.PI * (random() - 0.5)));
  const intervals = Array.from({ length: 1_000 }, () => centreOf(sample()));
  const holding = intervals.filter(({ low, high }) => low <= 0.3 && high >= 0.3).length;
  expect(holding).toBeGreaterThan(930);
  expect(holding).toBeLessThan(970);
});

test.each([
  [0, []],
  [1, [7]],
  [3, [900, 0, 500, 2_000]],
  [2, [0, 1_000, 1_999]],
  [3, [0, 1_000, 1_999, 1_001]],
])("%d of the moments %j lie in one second", (most, moments) => {
  expect(mostWithin(moments, 1_000)).toBe(most);
});
