import { expect, test } from "vitest";
import { ShedPace } from "../../../src/core/overload/shed-pace.ts";

function take(pace: ShedPace, links: number, nowMs: number): number {
  const shed = pace.available(links, nowMs);
  pace.took(shed);
  return shed;
}

test("of many links a hundredth in each second, however often it is asked", () => {
  const pace = new ShedPace(0.01);
  let shed = 0;
  for (let ms = 0; ms < 10_000; ms += 250) shed += take(pace, 1_000, ms);
  // A second's worth at once, then as time passes.
  expect(shed).toBe(10 + 97);
});

test("what was not used for long does not add up", () => {
  const pace = new ShedPace(0.01);
  expect(take(pace, 1_000, 0)).toBe(10);
  expect(take(pace, 1_000, 600_000)).toBe(10);
  expect(take(pace, 1_000, 600_000)).toBe(0);
});

test("of few links one at once, then less than one a second", () => {
  const pace = new ShedPace(0.01);
  const shed = Array.from({ length: 11 }, (_, second) => take(pace, 20, second * 1_000));
  expect(shed).toEqual([1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]);
});

test("what could not be used is there a moment later", () => {
  const pace = new ShedPace(0.01);
  expect(pace.available(1_000, 0)).toBe(10);
  pace.took(4);
  expect(pace.available(1_000, 0)).toBe(6);
});
