import { expect, test } from "vitest";
import { histogram } from "../../bench/histogram.ts";

test("a line for each bin, also for those between that are empty; the longest bar is sixty wide", () => {
  const values = [990, ...Array.from({ length: 30 }, () => 1_000), 1_099.9, 1_250];
  expect(histogram(values, 100).split("\n")).toEqual([
    "  900   1  ##",
    `1,000  31  ${"#".repeat(60)}`,
    "1,100   0",
    "1,200   1  ##",
  ]);
});

test("values below zero", () => {
  expect(histogram([-1, 0], 100).split("\n")).toEqual([`-100  1  ${"#".repeat(60)}`, `   0  1  ${"#".repeat(60)}`]);
});

test("without values", () => {
  expect(histogram([], 100)).toBe("none");
});
