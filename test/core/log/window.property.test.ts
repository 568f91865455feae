/** What holds of a flight on any path: the bound is one, it follows what the path carries, and it never starves it. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Flight, RoundTrip } from "../../../src/core/log/window.ts";
import { runs } from "../../properties.ts";

const LEAST_BYTES = 65_536;
const MOST_BYTES = 16 * 1_048_576;
const STANDING_QUEUE_MS = 500;

test("whatever is written and reported, the bound stays one, and grows only by doubling when it was in the way", () => {
  const step = fc.record({
    write: fc.nat({ max: 300_000 }),
    afterMs: fc.nat({ max: 1_500 }),
    receive: fc.nat(),
    tight: fc.boolean(),
  });
  let grew = 0;
  let shrank = 0;
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60, size: "max" }), (steps) => {
      const roundTrip = new RoundTrip();
      const flight = new Flight(roundTrip);
      let [sent, received, nowMs] = [0, 0, 0];
      let filled = false;
      for (const { write, afterMs, receive, tight } of steps) {
        const room = Math.max(0, received + flight.limitBytes - sent);
        const bytes = tight ? room : Math.min(write, room);
        if (bytes > 0) {
          sent += bytes;
          flight.onWritten(sent, received, nowMs);
          filled ||= sent - received >= flight.limitBytes;
        }
        nowMs += afterMs;
        const before = flight.limitBytes;
        received += tight ? sent - received : receive % (sent - received + 1);
        flight.onReceived(received, nowMs);
        const after = flight.limitBytes;
        expect(after).toBeGreaterThanOrEqual(LEAST_BYTES);
        expect(after).toBeLessThanOrEqual(MOST_BYTES);
        if (after > before) {
          expect(filled).toBe(true);
          expect(after).toBe(Math.min(2 * before, MOST_BYTES));
          filled = false;
          grew++;
        } else if (after < before) shrank++;
        if (roundTrip.smoothedMs !== undefined)
          expect(roundTrip.leastMs).toBeLessThanOrEqual(roundTrip.smoothedMs + 1e-6);
      }
    }),
    { numRuns: runs(300) },
  );
  expect(Math.min(grew, shrank)).toBeGreaterThan(20);
});

describe("on a path of any rate and round trip, with a sender that always has more", () => {
  /** Bytes a millisecond, from a modem to a gigabit; one way's delay twice. */
  const path = fc.record({ rate: fc.integer({ min: 10, max: 125_000 }), tripMs: fc.integer({ min: 1, max: 2_000 }) });

  /** A queue without end at the path's entry, and a peer that reports at once. */
  function saturate(rate: number, tripMs: number, trips: number): { limits: number[]; tookMs: number[] } {
    const roundTrip = new RoundTrip();
    roundTrip.sample(tripMs);
    const flight = new Flight(roundTrip);
    const limits: number[] = [];
    const tookMs: number[] = [];
    let [sent, nowMs] = [0, 0];
    for (let trip = 0; trip < trips; trip++) {
      const bytes = flight.limitBytes;
      flight.onWritten(sent + bytes, sent, nowMs);
      sent += bytes;
      tookMs.push(tripMs + bytes / rate);
      nowMs += tookMs.at(-1) as number;
      flight.onReceived(sent, nowMs);
      limits.push(flight.limitBytes);
    }
    return { limits, tookMs };
  }

  test("what waits in its buffers is soon no more than half a second and a doubling", () => {
    fc.assert(
      fc.property(path, ({ rate, tripMs }) => {
        const { tookMs } = saturate(rate, tripMs, 40);
        const slowestBytes = 2 * Math.max(rate * (tripMs + STANDING_QUEUE_MS), LEAST_BYTES);
        for (const ms of tookMs.slice(20)) expect(ms).toBeLessThanOrEqual(tripMs + slowestBytes / rate + 1);
      }),
      { numRuns: runs(200) },
    );
  });

  test("the bound comes to what it carries in a round trip, or in half a second if that is less", () => {
    fc.assert(
      fc.property(path, ({ rate, tripMs }) => {
        const { limits } = saturate(rate, tripMs, 40);
        const fills = Math.min(rate * Math.min(tripMs, STANDING_QUEUE_MS), MOST_BYTES);
        for (const limit of limits.slice(20)) expect(limit).toBeGreaterThanOrEqual(Math.floor(fills / 2));
        expect(Math.max(...limits)).toBeGreaterThanOrEqual(Math.floor(fills));
        expect(Math.max(...limits)).toBeLessThanOrEqual(MOST_BYTES);
      }),
      { numRuns: runs(200) },
    );
  });
});
