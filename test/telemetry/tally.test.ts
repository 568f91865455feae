import { expect, test } from "vitest";
import { Tally } from "../../src/telemetry/tally.ts";

test("counts by word", () => {
  const tally = new Tally();
  for (const word of ["a", "b", "a"]) tally.add(word);
  tally.add("b", 3);
  expect(tally.counts).toEqual({ a: 2, b: 4 });
});

test("a hundred words have a count of their own; all that come later are one", () => {
  const tally = new Tally();
  for (let word = 0; word < 150; word++) tally.add(`word ${word}`);
  tally.add("word 0");
  const { counts } = tally;
  expect(Object.keys(counts)).toHaveLength(101);
  expect([counts["word 0"], counts["word 99"], counts["word 100"], counts["other"]]).toEqual([2, 1, undefined, 50]);
});

test("words that an object has by itself are words as any other", () => {
  const tally = new Tally();
  tally.add("constructor");
  expect(tally.counts["constructor"]).toBe(1);
});
