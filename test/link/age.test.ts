import { expect, test } from "vitest";
import { AgeClock } from "../../src/link/age.ts";

function setUp() {
  const time = { nowMs: 1_000, wallMs: 500_000 };
  const age = new AgeClock({ now: () => time.nowMs, wallMs: () => time.wallMs });
  const pass = (nowMs: number, wallMs: number): number => {
    time.nowMs += nowMs;
    time.wallMs += wallMs;
    return age.now();
  };
  return { age, pass };
}

test("is the monotonic clock while nobody sleeps", () => {
  const { age, pass } = setUp();
  expect(pass(0, 0)).toBe(1_000);
  expect(pass(250, 250)).toBe(1_250);
  expect(age.sleptMs).toBe(0);
});

test("adds the time that the machine was asleep, each time it was", () => {
  const { age, pass } = setUp();
  expect(pass(10, 60_010)).toBe(61_010);
  expect(pass(10, 10)).toBe(61_020);
  expect(pass(0, 1_001)).toBe(62_021);
  expect(age.sleptMs).toBe(61_001);
});

test("a wall clock that is corrected by a second, or set back, changes nothing", () => {
  const { pass } = setUp();
  expect(pass(10, 1_010)).toBe(1_010);
  expect(pass(10, 1_010)).toBe(1_020);
  expect(pass(10, -3_600_000)).toBe(1_030);
  expect(pass(10, 10)).toBe(1_040);
});
