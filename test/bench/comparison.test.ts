import { expect, test } from "vitest";
import { pairsOf, toComparisonCells, toComparisons } from "../../bench/comparison.ts";
import { type RowName, ROWS } from "../../bench/rows.ts";
import { idle } from "../../bench/idle.ts";
import { roundTrip } from "../../bench/round-trip.ts";

/** Six pairs, alike but for one part in a thousand. */
const around = (figure: number): number[] => [0, 1, 2, 3, 4, 5].map((n) => figure * (1 + n / 1_000));
const compared = (name: RowName, now: number, before: number): ReturnType<typeof toComparisons> => {
  const measured = new Map([[name, { "this tree": around(now), before: around(before) }]]);
  return toComparisons({ measured, failures: new Map() }, () => true);
};

test("a rate: now through before. What something takes: before through now", () => {
  expect(compared("one way, 64 B", 90, 100)[0]?.ratio).toBeCloseTo(0.9);
  expect(compared("one way, 64 B, CPU", 100, 90)[0]?.ratio).toBeCloseTo(0.9);
  expect(compared("round trip, 64 B, one in flight, p50", 90, 100)[0]?.ratio).toBeCloseTo(100 / 90);
});

test("each row says whether more of it is better", () => {
  const least = (Object.keys(ROWS) as RowName[]).filter((name) => (compared(name, 2, 1)[0]?.ratio ?? 0) > 1);
  const costs =
    /CPU|sampler|round trip|one in flight|first message|RSS|held|delay|resumed after|recovery|decoded in|^herd/u;
  expect(least).toEqual((Object.keys(ROWS) as RowName[]).filter((name) => !costs.test(name)));
  expect(least.length).toBeGreaterThan(10);
});

test("it is met when the interval reaches 0.97, though the estimate does not", () => {
  const name = "one way, 1 KiB";
  const pairs = (ratios: number[]): ReturnType<typeof toComparisons> => {
    const measured = new Map([[name, { "this tree": ratios, before: ratios.map(() => 1) }]] as const);
    return toComparisons({ measured, failures: new Map() }, () => true);
  };
  const wide = pairs([0.9, 0.91, 0.92, 0.93, 0.94, 0.971]);
  expect(wide[0]).toMatchObject({ met: true, pairs: 6, now: 0.925, before: 1, unit: "messages/s" });
  expect(wide[0]?.interval.high).toBeCloseTo(0.971);
  expect(pairs([0.9, 0.91, 0.92, 0.93, 0.94, 0.969])[0]?.met).toBe(false);
  expect(toComparisonCells(wide)[1]).toEqual([
    "one way, 1 KiB, messages/s",
    "0.93",
    "1.00",
    "0.925",
    "0.900 to 0.971",
    "6",
    "met",
  ]);
});

test("only rows that are selected and have figures; what takes long less often", () => {
  const measured = new Map([["one way, 64 B", { "this tree": around(1), before: around(1) }]] as const);
  expect(toComparisons({ measured, failures: new Map() }, (name) => name !== "one way, 64 B")).toEqual([]);
  expect(toComparisons({ measured, failures: new Map() }, () => true)).toHaveLength(1);
  const exchange = roundTrip[0] as (typeof roundTrip)[0];
  expect([pairsOf(exchange, 20), pairsOf(idle, 20)]).toEqual([20, 6]);
});
