import { expect, test } from "vitest";
import { sourceFrame } from "../../../src/monitor/live/source-frame.ts";
import { newSums } from "../../../src/monitor/live/sums.ts";
import { NO_TOTALS, type ResourceStats } from "../../../src/telemetry/samples.ts";
import { StandInLink, StandInSource } from "./stand-ins.ts";

const HEAP: ResourceStats = {
  state: "overloaded",
  observed: 123_456,
  limit: Infinity,
  low: undefined,
  high: 100_000,
  ageMs: 1,
  costUs: 1,
  holds: ["read-less"],
  steps: { shed: 3, "close-idle": 0 },
};

function frame(source: StandInSource, over: object = {}) {
  const sums = newSums(NO_TOTALS);
  sums.add(new StandInLink("abc").stats());
  const rates = { sentPerS: 1, sentBytesPerS: 2, receivedPerS: 3, receivedBytesPerS: 4 };
  return sourceFrame({ name: "edge", observed: Object.assign(source, over), sums, rates });
}

test("a server has its links' figures, and how many it has refused, turned away and shed", () => {
  expect(frame(new StandInSource())).toEqual({
    kind: "server",
    name: "edge",
    status: "healthy",
    reasons: [],
    figures: {
      links: 1,
      connected: 1,
      sentPerS: 1,
      sentBytesPerS: 2,
      receivedPerS: 3,
      receivedBytesPerS: 4,
      queued: 0,
      inFlightBytes: 0,
      reconnects: 0,
      refused: 3,
      turnedAway: 4,
      shed: 0,
    },
    resources: [],
  });
});

test("recoveries are in classes, since the beginning", () => {
  const source = new StandInSource();
  for (const recoveryMs of [10, 20, 30, 9_000]) {
    source.telemetry.journal.record({ event: "link.recovered", ids: { link: "abc", session: "" }, recoveryMs });
  }
  expect(frame(source).figures).toMatchObject({ recoveryP50Ms: 50, recoveryP99Ms: 10_000 });
});

test("a resource has its thresholds, and what was done; an infinite limit is none", () => {
  const resources = () => ({ heap: HEAP, "my\u202e": { ...HEAP, observed: undefined, notWatched: "no\nfile" } });
  expect(frame(new StandInSource(), { resources }).resources).toEqual([
    { name: "heap", state: "overloaded", observed: 123_000, high: 100_000, holds: ["read-less"], steps: { shed: 3 } },
    {
      name: "my\\u202e",
      state: "overloaded",
      notWatched: "no\\nfile",
      high: 100_000,
      holds: ["read-less"],
      steps: { shed: 3 },
    },
  ]);
});

test("reasons are printable, and not too many", () => {
  const health = () => ({ status: "degraded" as const, reasons: Array.from({ length: 100 }, () => "\u001b[2J") });
  const { status, reasons } = frame(new StandInSource(), { health });
  expect([status, reasons.length, reasons[0]]).toEqual(["degraded", 16, "\\x1b[2J"]);
});

test("a supervised server has connections instead of links", () => {
  const { telemetry } = new StandInSource();
  const observed = Object.assign(new StandInSource(), { kind: "supervised", telemetry, links: undefined });
  Object.defineProperty(telemetry, "levels", { value: { connections: 7, requests: 2 } });
  expect(sourceFrame({ name: "", observed, sums: newSums(NO_TOTALS), rates: undefined }).figures).toEqual({
    connections: 7,
    requests: 2,
    refused: 3,
    turnedAway: 4,
    shed: 0,
  });
});
