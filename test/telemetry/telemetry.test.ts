import { beforeEach, expect, onTestFinished, test, vi } from "vitest";
import { ContainedLogger } from "../../src/telemetry/logger.ts";
import { Telemetry } from "../../src/telemetry/telemetry.ts";
import { fakeTime } from "../fake-time.ts";
import { logKeeper } from "../support.ts";
import { sampleOf } from "./sample-of.ts";

beforeEach(() => {
  fakeTime();
});

const IDS = { link: "l", session: "s" };
const source = { links: () => [], counts: () => ({}), levels: () => ({}) };

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

test("no metrics line where there is no interval; what links and records did is counted all the same", () => {
  const { lines, telemetry } = setUp(0);
  telemetry.start();
  vi.advanceTimersByTime(600_000);
  telemetry.linkEnded({ stats: () => sampleOf({ reconnects: 3 }) });
  telemetry.journal.record({ event: "link.recovered", ids: IDS, recoveryMs: 12 });
  expect(lines).toEqual([]);
  const { totals, events, recoveryClasses, lines: counted } = telemetry.measure();
  expect([totals.reconnects, events.recoveries, recoveryClasses[0]]).toEqual([3, { count: 1, sumMs: 12 }, 1]);
  expect(telemetry.sinceBeginning).toEqual({ totals, events });
  expect(counted).toEqual(telemetry.lines);
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
  telemetry.close();
  expect(lines.slice(100)).toMatchObject([{ event: "log.suppressed", of: "server.state", suppressed: 3 }]);
  expect(telemetry.lines).toMatchObject({ suppressed: 3 });
});

test("tells when its owner is closed", async () => {
  const { telemetry } = setUp(0);
  const told = vi.fn<() => void>();
  void telemetry.closed.then(told);
  await Promise.resolve();
  expect([telemetry.isClosed, told.mock.calls.length]).toEqual([false, 0]);
  telemetry.close();
  await telemetry.closed;
  expect([telemetry.isClosed, told.mock.calls.length]).toEqual([true, 1]);
});

test("without a logger nothing is counted and no timer runs; only failures that nobody hears of are told", async () => {
  const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
  onTestFinished(() => warn.mockRestore());
  // This process may have been warned by another test.
  vi.resetModules();
  const fresh = await import("../../src/telemetry/telemetry.ts");
  const { realTime } = await import("../../src/real-time.ts");
  const setInterval = vi.spyOn(realTime, "setInterval");
  const options = { logger: undefined, metricsIntervalMs: 1_000 };
  const telemetry = new fresh.Telemetry("manager.metrics", options, source, () => 0);
  const { journal } = telemetry;
  telemetry.start();
  expect(setInterval).not.toHaveBeenCalled();
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
