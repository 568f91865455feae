import fc from "fast-check";
import { expect, test } from "vitest";
import { backoffDelayMs, type BackoffOptions, FIRST_RETRY_WITHIN_MS } from "../../src/core/backoff.ts";

const OPTIONS: BackoffOptions = { minDelayMs: 500, maxDelayMs: 30_000 };

const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const outageMs = fc.oneof(fc.nat({ max: 10_000 }), fc.nat({ max: 100_000_000 }));
const failures = fc.integer({ min: 1, max: 1_000 });
const options = fc
  .tuple(fc.integer({ min: 1, max: 60_000 }), fc.nat({ max: 600_000 }))
  .map(([minDelayMs, above]) => ({ minDelayMs, maxDelayMs: minDelayMs + above }));

test("a first retry comes within a quarter of a second, or sooner where the least delay is shorter", () => {
  fc.assert(
    fc.property(outageMs, options, random, (outage, given, drawn) => {
      const delayMs = backoffDelayMs(1, outage, 0, given, drawn);
      expect(delayMs).toBeGreaterThanOrEqual(0);
      expect(delayMs).toBeLessThanOrEqual(FIRST_RETRY_WITHIN_MS);
      expect(delayMs).toBeLessThanOrEqual(given.minDelayMs);
    }),
  );
});

test("a later retry comes between half of the least delay and the most, and within a tenth of the outage", () => {
  fc.assert(
    fc.property(failures, outageMs, options, random, (failed, outage, given, drawn) => {
      const delayMs = backoffDelayMs(failed + 1, outage, 0, given, drawn);
      expect(delayMs).toBeGreaterThanOrEqual(given.minDelayMs / 2);
      expect(delayMs).toBeLessThanOrEqual(given.maxDelayMs);
      expect(delayMs).toBeLessThanOrEqual(Math.max(given.minDelayMs, outage / 10));
    }),
  );
});

test("the longer the outage, the longer the delay", () => {
  fc.assert(
    fc.property(failures, outageMs, outageMs, options, random, (failed, one, other, given, drawn) => {
      const [shorter, longer] = [Math.min(one, other), Math.max(one, other)];
      const delayMs = (outage: number): number => backoffDelayMs(failed + 1, outage, 0, given, drawn);
      expect(delayMs(longer)).toBeGreaterThanOrEqual(delayMs(shorter));
    }),
  );
});

test.each([
  [2, 0, 0, 250],
  [2, 0, 1, 500],
  [2, 100_000, 0, 5_000],
  [2, 100_000, 1, 10_000],
  [50, 100_000, 1, 10_000],
  [2, 300_000, 1, 30_000],
  [2, 10_000_000, 1, 30_000],
])("failure %d after %d ms of outage, drawn at %d: %d ms", (failed, outage, drawn, delayMs) => {
  expect(backoffDelayMs(failed, outage, 0, OPTIONS, drawn)).toBeCloseTo(delayMs);
});

test("no two links that lost the same server dial again at the same moment", () => {
  fc.assert(
    fc.property(failures, outageMs, fc.nat({ max: 60_000 }), random, random, (failed, outage, askedMs, one, other) => {
      fc.pre(Math.abs(one - other) > 0.01);
      const delayMs = (drawn: number): number => backoffDelayMs(failed, outage, askedMs, OPTIONS, drawn);
      expect(delayMs(one)).not.toBe(delayMs(other));
    }),
  );
});

test("a server that asks for patience gets what it asked for, and at most a tenth more", () => {
  fc.assert(
    fc.property(failures, outageMs, fc.integer({ min: 1, max: 600_000 }), random, (failed, outage, askedMs, drawn) => {
      const delayMs = backoffDelayMs(failed, outage, askedMs, OPTIONS, drawn);
      expect(delayMs).toBeGreaterThanOrEqual(askedMs);
      expect(delayMs).toBeLessThanOrEqual(askedMs * 1.1);
    }),
  );
});
