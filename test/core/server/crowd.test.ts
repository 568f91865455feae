import { expect, test } from "vitest";
import { Crowd } from "../../../src/core/server/crowd.ts";

function crowdOf(items: Record<string, readonly number[]>): Crowd<number> {
  const crowd = new Crowd<number>();
  for (const [owner, numbers] of Object.entries(items)) for (const number of numbers) crowd.add(owner, number);
  return crowd;
}

test("counts what it holds, each thing once", () => {
  const crowd = crowdOf({ a: [1, 1, 2], b: [3] });
  expect([crowd.size, crowd.countOf("a"), crowd.countOf("b"), crowd.countOf("c")]).toEqual([3, 2, 1, 0]);
  expect([crowd.delete("a", 1), crowd.delete("a", 1), crowd.delete("c", 1)]).toEqual([true, false, false]);
  expect([crowd.size, crowd.countOf("a")]).toEqual([2, 1]);
});

test("one of whoever has most is picked, each as likely; nobody's only one while others have more", () => {
  const crowd = crowdOf({ a: [1], b: [2, 3, 4, 5], c: [6, 7] });
  expect([0, 0.25, 0.5, 0.99].map((random) => crowd.pick(random))).toEqual([2, 3, 4, 5]);
  expect([...crowd.largest]).toEqual([2, 3, 4, 5]);
  for (const item of [2, 3, 4, 5]) crowd.delete("b", item);
  expect(crowd.pick(0)).toBe(6);
});

test("of owners that have as many as each other any may be picked, and not only the first that came", () => {
  const crowd = crowdOf({ a: [1, 2], b: [3], c: [4, 5] });
  expect([0, 0.25, 0.5, 0.99].map((random) => crowd.pick(random))).toEqual([1, 2, 4, 5]);
});

test("of nothing there is nothing to pick", () => {
  const crowd = crowdOf({ a: [1] });
  crowd.delete("a", 1);
  expect([crowd.pick(0.5), crowd.takeInTurn(), crowd.largest.size]).toEqual([undefined, undefined, 0]);
});

test("each owner has its turn, whatever others have", () => {
  const crowd = crowdOf({ a: [1, 2, 3], b: [4], c: [5, 6] });
  const taken = Array.from({ length: 7 }, () => crowd.takeInTurn());
  expect(taken).toEqual([1, 4, 5, 2, 6, 3, undefined]);
  expect(crowd.size).toBe(0);
});

test("one of a certain owner is picked, each as likely", () => {
  const crowd = crowdOf({ a: [1], b: [2, 3, 4, 5] });
  expect([0, 0.5, 0.99].map((random) => crowd.pickOf("b", random))).toEqual([2, 4, 5]);
  expect([crowd.pickOf("a", 0.99), crowd.pickOf("c", 0)]).toEqual([1, undefined]);
});
