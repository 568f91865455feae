import { expect, test } from "vitest";
import { Repeats } from "../../src/telemetry/repeats.ts";

const HOUR_MS = 3_600_000;

test("told once an hour, each by itself", () => {
  const repeats = new Repeats();
  expect(repeats.isTold("a", 0)).toBe(false);
  repeats.tell("a", 5);
  expect([5, HOUR_MS + 4, HOUR_MS + 5].map((ms) => repeats.isTold("a", ms))).toEqual([true, true, false]);
  expect(repeats.isTold("b", 5)).toBe(false);
});

test("a thousand are remembered: what was told first is forgotten", () => {
  const repeats = new Repeats();
  for (let n = 0; n < 1_000; n++) repeats.tell(String(n), n);
  repeats.tell("0", 1_000);
  repeats.tell("one more", 1_000);
  expect(["1", "0", "2"].map((what) => repeats.isTold(what, 1_001))).toEqual([false, true, true]);
});
