import { expect, test, vi } from "vitest";
import { Journal } from "../../src/telemetry/journal.ts";
import { logLines } from "../../src/telemetry/log-line.ts";
import { ContainedLogger } from "../../src/telemetry/logger.ts";
import { PeriodicMetrics, quantile } from "../../src/telemetry/metrics.ts";
import type { MetricsEvent } from "../../src/telemetry/record.ts";
import { type LinkSample, type Numbers, Samples } from "../../src/telemetry/samples.ts";
import { fakeTime } from "../fake-time.ts";
import { logKeeper } from "../support.ts";
import { sampleOf } from "./sample-of.ts";

/** `now.links` and `now.counts` are what an owner would answer. */
function setUp(event: MetricsEvent = "server.metrics") {
  const { lines, logger } = logKeeper();
  const now = { ms: 0, links: [] as LinkSample[], counts: {} as Record<string, Numbers>, levels: {} };
  const broken = { ...logger };
  const log = new ContainedLogger(broken, () => now.ms);
  const journal = new Journal();
  journal.subscribe(logLines(log));
  const samples = new Samples({ links: () => now.links, counts: () => now.counts, levels: () => now.levels });
  const options = { event, intervalMs: 1_000, journal, samples, lines: log, now: () => now.ms };
  return { lines, logger, broken, log, now, journal, samples, metrics: new PeriodicMetrics(options) };
}

test("rates since the last line, and how things stand", () => {
  const { lines, now, metrics } = setUp();
  now.ms = 2_000;
  const queue = { messages: 1, bytes: 5 };
  now.links = [
    sampleOf({ taken: { messages: 100, bytes: 1_000 }, queue, logBytes: 7, windowBytes: 9 }),
    sampleOf({ state: "reconnecting", rttMs: undefined, received: { messages: 50, bytes: 500 }, windowBytes: 1 }),
  ];
  metrics.write();
  expect(lines[0]).toMatchObject({
    level: "info",
    message: "metrics",
    event: "server.metrics",
    links: { connected: 1, reconnecting: 1 },
    sentPerSecond: 50,
    sentBytesPerSecond: 500,
    receivedPerSecond: 25,
    receivedBytesPerSecond: 250,
    queuedMessages: 1,
    queuedBytes: 5,
    logBytes: 7,
    windowBytes: 10,
    rttMsMedian: 1,
    reconnects: 0,
  });
  now.ms = 3_000;
  now.links = [sampleOf({ taken: { messages: 110, bytes: 1_000 }, reconnects: 2 })];
  metrics.write();
  expect(lines[1]).toMatchObject({ sentPerSecond: 10, sentBytesPerSecond: 0, reconnects: 2 });
});

test("a supervised server has no links: its line has its own counts and levels", () => {
  const { lines, now, metrics } = setUp("supervised.metrics");
  now.counts = { accepted: 5 };
  now.levels = { idle: 2 };
  metrics.write();
  now.counts = { accepted: 7 };
  metrics.write();
  const always = { level: "info", message: "metrics", event: "supervised.metrics", idle: 2 };
  expect(lines).toEqual([
    { ...always, accepted: 5, linesSuppressed: 0, linesFailed: 0 },
    { ...always, accepted: 2, linesSuppressed: 0, linesFailed: 0 },
  ]);
});

test("a line at each interval, until it is stopped", () => {
  fakeTime();
  const { lines, now, metrics } = setUp();
  now.links = [sampleOf()];
  metrics.start();
  vi.advanceTimersByTime(2_500);
  metrics.stop();
  vi.advanceTimersByTime(2_500);
  expect(lines).toHaveLength(2);
  expect(lines[0]).toMatchObject({ links: { connected: 1 } });
});

test("the owner's own counts, since the line before", () => {
  const { lines, now, metrics } = setUp();
  for (const turnedAway of [3, 4, 4]) {
    now.counts = { turnedAway };
    metrics.write();
  }
  expect(lines.map((line) => line["turnedAway"])).toEqual([3, 1, 0]);
});

test("counts by word: those that have risen since the line before", () => {
  const { lines, now, metrics } = setUp();
  now.counts = { refused: { stale: 2, draining: 1 } };
  now.links = [sampleOf({ undelivered: { overflow: 0, expired: 3 } })];
  metrics.write();
  now.counts = { refused: { stale: 5, draining: 1, overloaded: 1 } };
  metrics.write();
  expect(lines.map(({ refused }) => refused)).toEqual([
    { stale: 2, draining: 1 },
    { stale: 3, overloaded: 1 },
  ]);
  expect(lines.map(({ undelivered }) => undelivered)).toEqual([{ expired: 3 }, {}]);
});

test("the owner's levels, as they stand", () => {
  const { lines, now, metrics } = setUp();
  now.levels = { connections: 5, sessions: { connected: 3, waiting: 1 } };
  metrics.write();
  metrics.write();
  const level = { connections: 5, sessions: { connected: 3, waiting: 1 } };
  expect(lines).toMatchObject([level, level]);
});

test("what a link did stays counted when it has ended", () => {
  const { lines, now, samples, metrics } = setUp();
  now.ms = 1_000;
  now.links = [sampleOf({ taken: { messages: 10, bytes: 10 } })];
  metrics.write();
  now.links = [];
  samples.ended(sampleOf({ taken: { messages: 15, bytes: 15 } }));
  now.ms = 2_000;
  metrics.write();
  now.ms = 3_000;
  metrics.write();
  expect(lines.map(({ sentPerSecond }) => sentPerSecond)).toEqual([10, 5, 0]);
});

test("recoveries of the interval", () => {
  const { lines, now, journal, metrics } = setUp();
  const ids = { link: "l", session: "s" };
  for (const recoveryMs of [5, 1, 9]) journal.record({ event: "link.recovered", ids, recoveryMs });
  now.ms = 1_000;
  metrics.write();
  metrics.write();
  expect(lines[0]).toMatchObject({ recoveryMsMedian: 5, recoveryMsMax: 9 });
  expect(lines[1]).toMatchObject({ recoveryMsMedian: undefined, recoveryMsMax: undefined });
});

test("says first what was left out, and counts it and the lines that failed since the line before", () => {
  const { lines, logger, broken, log, metrics } = setUp("manager.metrics");
  for (let line = 0; line < 103; line++) log.warn({ event: "server.refused" }, "refused");
  broken.error = () => {
    throw new Error("disk full");
  };
  log.error({ event: "link.state" }, "closed");
  broken.error = logger.error;
  metrics.write();
  metrics.write();
  expect(lines.slice(100)).toMatchObject([
    { event: "log.suppressed", of: "server.refused", suppressed: 3 },
    { event: "log.suppressed", of: "link.state", suppressed: 1 },
    { event: "manager.metrics", linesSuppressed: 3, linesFailed: 1 },
    { event: "manager.metrics", linesSuppressed: 0, linesFailed: 0 },
  ]);
});

test("two lines in the same moment do not divide by zero", () => {
  const { lines, now, metrics } = setUp();
  now.links = [sampleOf({ taken: { messages: 1, bytes: 1 } })];
  metrics.write();
  expect(Number.isFinite(lines[0]?.["sentPerSecond"])).toBe(true);
});

test("quantiles by the nearest rank", () => {
  expect(quantile([], 0.5)).toBeUndefined();
  expect(quantile([3], 0.5)).toBe(3);
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2);
  expect(quantile([4, 1, 3, 2], 1)).toBe(4);
  expect(quantile([4, 1, 3, 2], 0)).toBe(1);
});
