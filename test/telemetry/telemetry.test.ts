import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { ContainedLogger } from "../../src/telemetry/logger.ts";
import { Telemetry } from "../../src/telemetry/telemetry.ts";
import { logKeeper } from "../support.ts";
import { sampleOf } from "./sample-of.ts";

beforeEach(() => {
  vi.useFakeTimers();
  onTestFinished(() => void vi.useRealTimers());
});

const IDS = { link: "l", session: "s" };
const source = { links: () => [], counts: () => ({}) };

function setUp(metricsIntervalMs: number) {
  const { lines, logger } = logKeeper();
  const options = { logger: new ContainedLogger(logger, () => 0), metricsIntervalMs };
  const telemetry = new Telemetry("server.metrics", options, source, () => 0);
  return { lines, telemetry };
}

test("records go to the log; a recovery only to the next metrics line", () => {
  const { lines, telemetry } = setUp(1_000);
  telemetry.start();
  telemetry.journal.record({ event: "link.recovered", ids: IDS, recoveryMs: 12 });
  telemetry.journal.record({ event: "link.undelivered", ids: IDS, reason: "ended", maybe: 1, notSent: 0 });
  vi.advanceTimersByTime(1_000);
  expect(lines).toMatchObject([
    { event: "link.undelivered", maybe: 1 },
    { event: "server.metrics", recoveryMsMedian: 12, recoveryMsMax: 12 },
  ]);
  telemetry.stop();
  vi.advanceTimersByTime(5_000);
  expect(lines).toHaveLength(2);
  expect(telemetry.lines).toEqual({ written: 2, suppressed: 0, failed: 0 });
});

test("no metrics line where there is no interval, and no link is asked for its numbers at its end", () => {
  const { lines, telemetry } = setUp(0);
  telemetry.start();
  vi.advanceTimersByTime(600_000);
  const stats = vi.fn<() => ReturnType<typeof sampleOf>>(sampleOf);
  telemetry.linkEnded({ stats });
  expect(lines).toEqual([]);
  expect(stats).not.toHaveBeenCalled();
});

test("the totals of a link that has ended are in the next metrics line", () => {
  const { lines, telemetry } = setUp(1_000);
  telemetry.start();
  telemetry.linkEnded({ stats: () => sampleOf({ reconnects: 3 }) });
  vi.advanceTimersByTime(1_000);
  expect(lines).toMatchObject([{ event: "server.metrics", links: {}, reconnects: 3 }]);
  telemetry.stop();
});

test("lines that were left out are said at the end", () => {
  const { lines, telemetry } = setUp(0);
  for (let n = 0; n < 103; n++) {
    telemetry.journal.record({ event: "server.state", from: "created", to: "bound", reason: "again" });
  }
  telemetry.flush();
  expect(lines.slice(100)).toMatchObject([{ event: "log.suppressed", of: "server.state", suppressed: 3 }]);
  expect(telemetry.lines).toMatchObject({ suppressed: 3 });
});

test("without a logger nothing is counted and no timer runs; only failures that nobody hears of are told", () => {
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  onTestFinished(() => warn.mockRestore());
  const options = { logger: undefined, metricsIntervalMs: 1_000 };
  const telemetry = new Telemetry("manager.metrics", options, source, () => 0);
  const { journal } = telemetry;
  telemetry.start();
  expect(vi.getTimerCount()).toBe(0);
  journal.record({ event: "link.undelivered", ids: IDS, reason: "ended", maybe: 1, notSent: 0 });
  journal.record({ event: "link.handler-failed", ids: IDS, thrown: new Error("heard"), isHeard: true });
  journal.record({ event: "server.rejected", reason: "tls", detail: "", remoteAddress: "" });
  telemetry.flush();
  expect(warn).not.toHaveBeenCalled();
  const failure = { hook: "authenticate", thrown: new Error("mine") };
  journal.record({ event: "server.rejected", reason: "authenticate() failed", detail: "", remoteAddress: "", failure });
  journal.record({ event: "link.handler-failed", ids: IDS, thrown: new Error("unheard"), isHeard: false });
  expect(warn.mock.calls.map(([message]) => String(message))).toEqual([
    expect.stringContaining("(authenticate: mine)") as string,
    expect.stringContaining("(unheard)") as string,
  ]);
  expect(telemetry.lines).toEqual({ written: 0, suppressed: 0, failed: 0 });
});
