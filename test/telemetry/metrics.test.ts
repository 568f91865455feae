import { expect, onTestFinished, test, vi } from "vitest";
import { ContainedLogger } from "../../src/telemetry/logger.ts";
import { type LinkSample, MetricsLine, metricsLine, quantile } from "../../src/telemetry/metrics.ts";
import { logKeeper } from "../support.ts";

const sample = (given: Partial<LinkSample> = {}): LinkSample => ({
  state: "connected",
  rttMs: 1,
  reconnects: 0,
  recoveryMs: undefined,
  taken: { messages: 0, bytes: 0 },
  received: { messages: 0, bytes: 0 },
  queue: { messages: 0, bytes: 0 },
  logBytes: 0,
  windowBytes: 0,
  ...given,
});

function setUp() {
  const { lines, logger } = logKeeper();
  const time = { ms: 0 };
  return {
    lines,
    time,
    metrics: new MetricsLine(new ContainedLogger(logger, () => time.ms), "server.metrics", 1_000, () => time.ms),
  };
}

test("rates since the last line, and how things stand", () => {
  const { lines, time, metrics } = setUp();
  time.ms = 2_000;
  metrics.write([
    sample({ taken: { messages: 100, bytes: 1_000 }, queue: { messages: 1, bytes: 5 }, logBytes: 7, windowBytes: 9 }),
    sample({ state: "reconnecting", rttMs: undefined, received: { messages: 50, bytes: 500 }, windowBytes: 1 }),
  ]);
  expect(lines[0]).toMatchObject({
    level: "info",
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
  time.ms = 3_000;
  metrics.write([sample({ taken: { messages: 110, bytes: 1_000 }, reconnects: 2 })]);
  expect(lines[1]).toMatchObject({ sentPerSecond: 10, sentBytesPerSecond: 0, reconnects: 2 });
});

test("a line at each interval, until it is stopped", () => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
  const { lines, metrics } = setUp();
  let turnedAway = 0;
  metrics.start(
    () => [sample()],
    () => ({ turnedAway: ++turnedAway }),
  );
  vi.advanceTimersByTime(2_500);
  metrics.stop();
  vi.advanceTimersByTime(2_500);
  expect(lines.map((line) => line["turnedAway"])).toEqual([1, 2]);
  expect(lines[0]).toMatchObject({ links: { connected: 1 } });
});

test("no line where there is no logger, or no interval", () => {
  const logger = new ContainedLogger(logKeeper().logger);
  expect(metricsLine("server.metrics", { logger: undefined, metricsIntervalMs: 1_000 }, () => 0)).toBeUndefined();
  expect(metricsLine("server.metrics", { logger, metricsIntervalMs: 0 }, () => 0)).toBeUndefined();
  expect(metricsLine("server.metrics", { logger, metricsIntervalMs: 1_000 }, () => 0)).toBeInstanceOf(MetricsLine);
});

test("what a link did stays counted when it has ended", () => {
  const { lines, time, metrics } = setUp();
  time.ms = 1_000;
  metrics.write([sample({ taken: { messages: 10, bytes: 10 } })]);
  metrics.ended(sample({ taken: { messages: 15, bytes: 15 } }));
  time.ms = 2_000;
  metrics.write([]);
  time.ms = 3_000;
  metrics.write([]);
  expect(lines.map(({ sentPerSecond }) => sentPerSecond)).toEqual([10, 5, 0]);
});

test("recoveries of the interval", () => {
  const { lines, time, metrics } = setUp();
  for (const ms of [5, 1, 9]) metrics.recovered(ms);
  time.ms = 1_000;
  metrics.write([]);
  metrics.write([]);
  expect(lines[0]).toMatchObject({ recoveryMsMedian: 5, recoveryMsMax: 9 });
  expect(lines[1]).toMatchObject({ recoveryMsMedian: undefined, recoveryMsMax: undefined });
});

test("says first what was left out, and counts it and the lines that failed since the line before", () => {
  const { lines, logger } = logKeeper();
  const time = { ms: 0 };
  const broken = { ...logger };
  const log = new ContainedLogger(broken, () => time.ms);
  const metrics = new MetricsLine(log, "manager.metrics", 1_000, () => time.ms);
  for (let line = 0; line < 103; line++) log.warn({ event: "server.refused" }, "refused");
  broken.error = () => {
    throw new Error("disk full");
  };
  log.error({ event: "link.state" }, "closed");
  broken.error = logger.error;
  metrics.write([]);
  metrics.write([]);
  expect(lines.slice(100)).toMatchObject([
    { event: "log.suppressed", of: "server.refused", suppressed: 3 },
    { event: "log.suppressed", of: "link.state", suppressed: 1 },
    { event: "manager.metrics", linesSuppressed: 3, linesFailed: 1 },
    { event: "manager.metrics", linesSuppressed: 0, linesFailed: 0 },
  ]);
});

test("two lines in the same moment do not divide by zero", () => {
  const { lines, metrics } = setUp();
  metrics.write([sample({ taken: { messages: 1, bytes: 1 } })]);
  expect(Number.isFinite(lines[0]?.["sentPerSecond"])).toBe(true);
});

test("quantiles by the nearest rank", () => {
  expect(quantile([], 0.5)).toBeUndefined();
  expect(quantile([3], 0.5)).toBe(3);
  expect(quantile([4, 1, 3, 2], 0.5)).toBe(2);
  expect(quantile([4, 1, 3, 2], 1)).toBe(4);
  expect(quantile([4, 1, 3, 2], 0)).toBe(1);
});
