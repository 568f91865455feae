import { expect, test } from "vitest";
import { count } from "../../../bench/faults/count.ts";

const at = (...pairs: [number: number, atMs: number][]) => pairs.map(([number, atMs]) => ({ number, atMs }));
const MADE = { sent: 4, beganMs: 100, endedMs: 130 };

test("each once and in order", () => {
  expect(count(at([0, 101], [1, 111], [2, 121], [3, 131]), MADE)).toEqual({
    sent: 4,
    lost: 0,
    doubled: 0,
    reordered: 0,
    longestGapMs: 10,
    lateMs: 1,
  });
});

test("lost is what never arrived, and the gap goes on until the last one was made", () => {
  expect(count(at([0, 101], [1, 105]), MADE)).toMatchObject({ lost: 2, longestGapMs: 25, lateMs: 0 });
  expect(count([], MADE)).toMatchObject({ lost: 4, longestGapMs: 30 });
});

test("one that comes again is doubled: neither reordered nor the end of a gap", () => {
  expect(count(at([0, 101], [1, 102], [0, 110], [1, 115], [2, 120], [3, 121]), MADE)).toMatchObject({
    lost: 0,
    doubled: 2,
    reordered: 0,
    longestGapMs: 18,
  });
});

test("one that comes after a later one is reordered, once", () => {
  expect(count(at([0, 101], [3, 102], [1, 103], [2, 104], [1, 105]), MADE)).toMatchObject({
    lost: 0,
    doubled: 1,
    reordered: 2,
  });
});

test("the gap before the first message counts, and one that ends after the last was made", () => {
  expect(count(at([0, 120], [1, 121], [2, 122], [3, 123]), MADE).longestGapMs).toBe(20);
  expect(count(at([0, 101], [1, 102], [2, 103], [3, 190]), MADE)).toMatchObject({ longestGapMs: 87, lateMs: 60 });
});

test("a number that was not sent is a mistake of the measurement", () => {
  expect(() => count(at([4, 101]), MADE)).toThrow("message 4 arrived, of 4 that were sent");
});
