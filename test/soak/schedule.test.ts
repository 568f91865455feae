import { expect, test } from "vitest";
import { BREAKS, describe as inWords, Schedule, SHAPES, type Step } from "./schedule.ts";

const steps = (seed: number, count: number): Step[] => {
  const schedule = new Schedule(seed);
  return Array.from({ length: count }, () => schedule.next());
};

test("the same seed makes the same faults, another one others", () => {
  expect(steps(7, 200)).toEqual(steps(7, 200));
  expect(steps(7, 200)).not.toEqual(steps(8, 200));
});

test("in a while everything comes, alone and one after the other", () => {
  const seen = steps(1, 1_000);
  expect(new Set(seen.map((step) => step.break?.kind))).toEqual(new Set([undefined, ...BREAKS]));
  expect(new Set(seen.map((step) => step.shape?.kind))).toEqual(new Set([undefined, ...SHAPES]));
  expect(seen.every((step) => step.break !== undefined || step.shape !== undefined)).toBe(true);
  expect(seen.some((step) => step.break !== undefined && step.shape !== undefined)).toBe(true);
});

test("nothing that Toxiproxy cannot undo is done to what it holds back", () => {
  for (const { shape, afterMs, break: broken } of steps(2, 2_000)) {
    if (shape?.kind === "stall") expect(broken).toBeUndefined();
    if (shape?.kind === "slow") expect([undefined, "cut", "down"]).toContain(broken?.kind);
    // A chunk is lost after 5 s.
    expect(afterMs).toBeLessThanOrEqual(2_000);
  }
});

test("a step is told in a line", () => {
  const step: Step = {
    calmMs: 100,
    shape: { kind: "slow", way: "both", kilobytesPerSecond: 20 },
    afterMs: 700,
    break: { kind: "down", holdMs: 300 },
  };
  expect(inWords(step)).toBe("slow both 20 KB/s for 700 ms, then down for 300 ms");
});
