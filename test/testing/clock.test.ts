import fc from "fast-check";
import { expect, test } from "vitest";
import { EventClock } from "../../src/testing/clock.ts";
import { runs } from "../properties.ts";

test("events run in the order of their time, and of their making where that is the same; one taken back does not", () => {
  const delays = fc.array(fc.record({ delayMs: fc.nat({ max: 20 }), isTakenBack: fc.boolean() }), { maxLength: 60 });
  fc.assert(
    fc.property(delays, (events) => {
      const clock = new EventClock();
      const seen: Array<[atMs: number, made: number]> = [];
      const takeBack = events.map(({ delayMs }, made) => clock.schedule(delayMs, () => seen.push([clock.nowMs, made])));
      events.forEach(({ isTakenBack }, made) => isTakenBack && takeBack[made]?.());
      clock.runUntil(100);
      const expected = events.flatMap(({ delayMs, isTakenBack }, made) => (isTakenBack ? [] : [[delayMs, made]]));
      expect(seen).toEqual(expected.toSorted(([a = 0, m = 0], [b = 0, n = 0]) => a - b || m - n));
      expect([clock.nowMs, clock.nextMs]).toEqual([100, Infinity]);
    }),
    { numRuns: runs(100) },
  );
});

test("time stops where it is told to, between events", () => {
  const clock = new EventClock();
  clock.schedule(10, () => clock.schedule(5, () => {}));
  clock.runUntil(12);
  expect([clock.nowMs, clock.nextMs]).toEqual([12, 15]);
  expect([clock.step(14), clock.step(15), clock.nowMs]).toEqual([false, true, 15]);
});

test("a delay below zero is none", () => {
  const clock = new EventClock();
  clock.runUntil(7);
  clock.schedule(-3, () => {});
  expect(clock.nextMs).toBe(7);
});
