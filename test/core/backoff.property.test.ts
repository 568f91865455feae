/** A backoff through any history of outages: its delays are bounded, and so is how many dials they let through. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { Backoff, type BackoffOptions, QUICK_RETRY_WITHIN_MS } from "../../src/core/backoff.ts";
import { runs } from "../properties.ts";

const QUICK_RETRIES = 10;
/** Of `resetAfterMs`: what lasts for less earns nothing, and ends no outage. */
const HELD_SHARE = 0.05;

const options: fc.Arbitrary<BackoffOptions> = fc
  .record({
    minDelayMs: fc.integer({ min: 1, max: 5_000 }),
    aboveMs: fc.nat({ max: 60_000 }),
    resetAfterMs: fc.integer({ min: 100, max: 60_000 }),
  })
  .map(({ minDelayMs, aboveMs, resetAfterMs }) => ({ minDelayMs, maxDelayMs: minDelayMs + aboveMs, resetAfterMs }));
const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

/** After each delay the dial fails, or there is a connection for so long. */
const attempts = fc.constantFrom(20, 2_000, 30_000).chain((mostMs) =>
  fc.array(fc.record({ connectedMs: fc.option(fc.nat({ max: mostMs }), { nil: undefined }), drawn: random }), {
    maxLength: 80,
    size: "max",
  }),
);

test("a delay is quick or within its bounds, and quick ones never outrun what time spent connected has earned", () => {
  let quickInAll = 0;
  fc.assert(
    fc.property(options, attempts, (given, history) => {
      const backoff = new Backoff(given, 0);
      let [nowMs, heldInAllMs, quickAfterLoss] = [0, 0, 0];
      let [outageSinceMs, failures] = [0, 0];
      let lost = false;
      for (const { connectedMs: heldMs, drawn } of history) {
        const outageMs = backoff.outageMs(nowMs);
        expect(outageMs).toBeGreaterThanOrEqual(0);
        expect(outageMs).toBeLessThanOrEqual(nowMs);
        const delayMs = backoff.delayMs(0, nowMs, drawn);
        if (backoff.failures === 0) {
          expect(delayMs).toBeLessThanOrEqual(Math.min(QUICK_RETRY_WITHIN_MS, given.minDelayMs));
          if (lost) quickAfterLoss++;
        } else {
          expect(delayMs).toBeGreaterThanOrEqual(given.minDelayMs / 2);
          expect(delayMs).toBeLessThanOrEqual(given.maxDelayMs);
          expect(delayMs).toBeLessThanOrEqual(Math.max(given.minDelayMs, outageMs / 10));
        }
        const earned = (QUICK_RETRIES * heldInAllMs) / given.resetAfterMs;
        expect(quickAfterLoss).toBeLessThanOrEqual(QUICK_RETRIES + earned + 1e-9);
        nowMs += delayMs;
        lost = heldMs !== undefined;
        if (heldMs === undefined) {
          backoff.onFailed();
          failures++;
        } else {
          backoff.onConnected(nowMs);
          nowMs += heldMs;
          backoff.onLost(nowMs);
          const hasHeld = heldMs / given.resetAfterMs >= HELD_SHARE;
          if (hasHeld) heldInAllMs += heldMs;
          // Held for long enough, it has earned a quick retry, whatever was before.
          if (heldMs >= given.resetAfterMs / QUICK_RETRIES) expect(backoff.failures).toBe(0);
          if (backoff.failures > 0) failures++;
          else [outageSinceMs, failures] = [hasHeld ? nowMs : outageSinceMs, 0];
        }
        expect(backoff.failures).toBe(failures);
        expect(backoff.outageMs(nowMs)).toBe(nowMs - outageSinceMs);
      }
      quickInAll += quickAfterLoss;
    }),
    { numRuns: runs(300) },
  );
  expect(quickInAll).toBeGreaterThan(500);
});

test("an outage, however long, takes as many dials as thin out with it", () => {
  fc.assert(
    fc.property(options, fc.integer({ min: 1, max: 5_000 }), fc.infiniteStream(random), (given, times, drawn) => {
      const lastsMs = times * given.minDelayMs;
      const backoff = new Backoff(given, 0);
      let dials = 0;
      let nowMs = backoff.delayMs(0, 0, drawn.next().value);
      for (; nowMs < lastsMs; nowMs += backoff.delayMs(0, nowMs, drawn.next().value)) {
        backoff.onFailed();
        dials++;
      }
      // Each delay is at least half of the least; at least a twentieth of the outage while that is below the most; then
      // at least half of the most.
      const { minDelayMs, maxDelayMs } = given;
      const [growsFromMs, growsToMs] = [10 * minDelayMs, 10 * maxDelayMs];
      const constant = Math.min(lastsMs, growsFromMs) / (minDelayMs / 2);
      const growing = Math.max(0, Math.log(Math.min(lastsMs, growsToMs) / growsFromMs)) / Math.log(1.05);
      const last = Math.max(0, lastsMs - growsToMs) / (maxDelayMs / 2);
      expect(dials).toBeLessThanOrEqual(constant + growing + last + 3);
      // And the path is not left alone for longer than a tenth of the outage once it is back.
      expect(nowMs - lastsMs).toBeLessThanOrEqual(Math.min(maxDelayMs, Math.max(minDelayMs, lastsMs / 10)));
    }),
    { numRuns: runs(60) },
  );
});
