import { expect, test } from "vitest";
import { newSums, ratesBetween, roundTrips } from "../../../src/monitor/live/sums.ts";
import { type LinkSample, NO_TOTALS } from "../../../src/telemetry/samples.ts";
import { sampleOf } from "../../telemetry/sample-of.ts";

function sample(over: Partial<LinkSample> = {}): LinkSample {
  return sampleOf({
    rttMs: 2,
    reconnects: 1,
    taken: { messages: 10, bytes: 100 },
    accepted: { messages: 9, bytes: 90 },
    received: { messages: 5, bytes: 50 },
    queue: { messages: 3, bytes: 30 },
    logBytes: 7,
    ...over,
  });
}

test("sums have the links that there are, and what others had moved that have ended", () => {
  const sums = newSums({ ...NO_TOTALS, takenMessages: 1, receivedBytes: 1, reconnects: 2 });
  for (const state of ["connected", "connected", "suspect", "reconnecting", "connecting", "idle"]) {
    sums.add(sample({ state }));
  }
  expect(sums).toMatchObject({
    takenMessages: 61,
    takenBytes: 600,
    receivedMessages: 30,
    receivedBytes: 301,
    reconnects: 8,
    queued: 18,
    inFlightBytes: 42,
    links: 6,
    connected: 2,
    away: 3,
  });
});

test("rates are of a second, and never below 0", () => {
  const [before, after] = [newSums(NO_TOTALS), newSums(NO_TOTALS)];
  after.add(sample());
  expect(ratesBetween(before, after, 500)).toEqual({
    sentPerS: 20,
    sentBytesPerS: 200,
    receivedPerS: 10,
    receivedBytesPerS: 100,
  });
  expect(ratesBetween(after, before, 500).sentPerS).toBe(0);
  expect(ratesBetween(before, after, 0).sentPerS).toBe(10_000);
});

test("round trips are of all sources together; none without any", () => {
  const [one, other] = [newSums(NO_TOTALS), newSums(NO_TOTALS)];
  expect(roundTrips([one, other])).toEqual([null, null]);
  for (const rttMs of [1, 3]) one.add(sample({ rttMs }));
  other.add(sample({ rttMs: 123.456 }));
  other.add(sample({ rttMs: undefined }));
  expect(roundTrips([one, other])).toEqual([3, 123]);
});
