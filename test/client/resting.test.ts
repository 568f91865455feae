import { expect, test } from "vitest";
import { Resting } from "../../src/client/resting.ts";

test("what failed rests for 30 s, counted from its last failure", () => {
  const resting = new Resting();
  expect(resting.rests("a", 0)).toBe(false);
  expect(resting.lastFailureMs("a")).toBe(-Infinity);
  resting.failed("a", 0);
  resting.failed("a", 10_000);
  expect(resting.lastFailureMs("a")).toBe(10_000);
  expect(resting.rests("a", 39_999)).toBe(true);
  expect(resting.rests("a", 40_000)).toBe(false);
});

test("until it is connected to", () => {
  const resting = new Resting();
  resting.failed("a", 0);
  resting.connected("a");
  expect(resting.rests("a", 1)).toBe(false);
});

test("of more than a thousand, those that failed longest ago are forgotten", () => {
  const resting = new Resting();
  for (let i = 0; i < 1_000; i++) resting.failed(String(i), i);
  resting.failed("0", 1_000);
  resting.failed("new", 1_001);
  expect(resting.rests("1", 1_001)).toBe(false);
  expect(["0", "2", "999", "new"].every((name) => resting.rests(name, 1_001))).toBe(true);
});
