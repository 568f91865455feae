import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { ContainedLogger, type Logger } from "../../src/telemetry/logger.ts";
import { type LogLine, logKeeper } from "../support.ts";

function setUp(logger?: Logger) {
  const kept = logKeeper();
  const time = { ms: 0 };
  return { ...kept, time, log: new ContainedLogger(logger ?? kept.logger, () => time.ms) };
}

/** A logger that does `wrong`, for as long as `broken.is`. */
function breakable(wrong: () => unknown) {
  const { lines, logger } = logKeeper();
  const broken = { is: true };
  const at = (level: keyof Logger) => (fields: object, message: string) => {
    if (broken.is) return wrong() as undefined;
    return logger[level](fields, message);
  };
  return { lines, broken, logger: { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") } };
}

const counted = (lines: readonly LogLine[]): number =>
  lines.reduce((sum, { event, suppressed = 0 }) => sum + Number(suppressed) + (event === "log.suppressed" ? 0 : 1), 0);

describe("what repeats", () => {
  test("13,500 lines a second of one kind: 100 at once, 10 a second, and the next says how many were left out", () => {
    const { lines, time, log } = setUp();
    const perSecond: number[] = [];
    for (let second = 0; second < 10; second++) {
      const before = lines.length;
      for (let line = 0; line < 13_500; line++) {
        time.ms = second * 1_000 + (line * 1_000) / 13_500;
        log.warn({ event: "server.rejected" }, "closed");
      }
      perSecond.push(lines.length - before);
    }
    expect(perSecond[0]).toBeLessThanOrEqual(110);
    for (const written of perSecond.slice(1)) expect(written).toBeLessThanOrEqual(11);
    log.flush();
    expect(counted(lines)).toBe(135_000);
    expect(log.counts).toEqual({ written: lines.length, suppressed: 135_000 - lines.length + 1, failed: 0 });
  });

  test("every kind at once stays below the bound that docs/metrics.md states", () => {
    const { lines, time, log } = setUp();
    const events = [
      "link.state",
      "link.undelivered",
      "link.handler-failed",
      "server.state",
      "server.listening",
      "server.descriptors",
      "server.listener-failed",
      "server.refused",
      "server.rejected",
    ] as const;
    for (let ms = 0; ms <= 60_000; ms += 5) {
      time.ms = ms;
      for (const event of events) log.warn({ event }, "again");
      for (const level of ["info", "error"] as const) log[level]({ event: "link.state" }, "again");
    }
    // 3 levels of link.state, and 8 others.
    expect(lines.length).toBeLessThanOrEqual(3 * 1_000 + 8 * 100 + 60 * (3 * 100 + 8 * 10));
  });

  test("one kind does not use up what another has, and neither a level of the same event", () => {
    const { lines, log } = setUp();
    for (let line = 0; line < 5_000; line++) log.warn({ event: "link.state" }, "reconnecting");
    log.error({ event: "link.state" }, "closed");
    log.warn({ event: "server.refused" }, "refused");
    expect(lines.slice(-2).map(({ level, event }) => `${level} ${event}`)).toEqual([
      "error link.state",
      "warn server.refused",
    ]);
    expect(lines.at(-1)).not.toHaveProperty("suppressed");
  });

  test("a line that comes after a pause says what was left out before it, once", () => {
    const { lines, time, log } = setUp();
    for (let line = 0; line < 103; line++) log.warn({ event: "server.refused" }, "refused");
    time.ms = 1_000;
    log.warn({ event: "server.refused", code: "stale" }, "refused");
    log.warn({ event: "server.refused" }, "refused");
    expect(lines.slice(-2)).toEqual([
      { level: "warn", message: "refused", event: "server.refused", code: "stale", suppressed: 3 },
      { level: "warn", message: "refused", event: "server.refused" },
    ]);
  });

  test("flush() says it where no line came, once", () => {
    const { lines, log } = setUp();
    for (let line = 0; line < 150; line++) log.warn({ event: "server.refused" }, "closed");
    log.flush();
    log.flush();
    expect(lines).toHaveLength(101);
    expect(lines.at(-1)).toEqual({
      level: "warn",
      message: "50 lines left out: server.refused",
      event: "log.suppressed",
      of: "server.refused",
      suppressed: 50,
    });
  });

  test("metrics lines come at the application's own pace", () => {
    const { lines, log } = setUp();
    for (let line = 0; line < 5_000; line++) log.info({ event: "server.metrics" }, "metrics");
    expect(lines).toHaveLength(5_000);
  });
});

// oxlint-disable-next-line unicorn/no-thenable
const hostile: object = Object.defineProperty({}, "then", {
  get: () => {
    throw new Error("then");
  },
});
const wrongs: Array<[string, () => unknown]> = [
  [
    "throws",
    () => {
      throw new Error("disk full");
    },
  ],
  [
    "throws undefined",
    () => {
      // oxlint-disable-next-line typescript/only-throw-error
      throw undefined;
    },
  ],
  ["answers something with a getter that throws", () => hostile],
  ["answers a promise that rejects", () => Promise.reject(new Error("disk full"))],
  [
    "answers a promise of a library's own that throws",
    () => ({
      // oxlint-disable-next-line unicorn/no-thenable
      then: () => {
        throw new Error("then()");
      },
    }),
  ],
];

describe("a logger that fails", () => {
  test.each(wrongs)("%s: contained, counted, and tried again later", async (_, wrong) => {
    const { lines, broken, logger } = breakable(wrong);
    const { log, time } = setUp(logger);
    log.warn({ event: "server.refused" }, "one");
    await turn();
    expect(log.counts).toEqual({ written: 0, suppressed: 0, failed: 1 });
    broken.is = false;
    log.warn({ event: "server.refused" }, "two, left out: too soon");
    expect(lines).toEqual([]);
    time.ms = 100;
    log.warn({ event: "server.refused" }, "three");
    expect(lines).toMatchObject([{ message: "three", suppressed: 2 }]);
    expect(log.counts).toEqual({ written: 1, suppressed: 1, failed: 1 });
  });

  test("the pause doubles up to 10 s, and is over with the first line that is taken", () => {
    let calls = 0;
    const { broken, logger } = breakable(() => {
      calls++;
      throw new Error("disk full");
    });
    const { log, time } = setUp(logger);
    const triedAtMs: number[] = [];
    for (time.ms = 0; time.ms < 60_000; time.ms += 50) {
      const before = calls;
      log.info({ event: "server.metrics" }, "metrics");
      if (calls > before) triedAtMs.push(time.ms);
    }
    const pauses = triedAtMs.slice(1).map((ms, at) => ms - (triedAtMs[at] ?? 0));
    expect(pauses.slice(0, 9)).toEqual([100, 200, 400, 800, 1_600, 3_200, 6_400, 10_000, 10_000]);
    expect(Math.max(...pauses)).toBe(10_000);
    broken.is = false;
    time.ms += 10_000;
    log.info({ event: "server.metrics" }, "metrics");
    broken.is = true;
    log.info({ event: "server.metrics" }, "metrics");
    time.ms += 100;
    log.info({ event: "server.metrics" }, "metrics");
    expect(log.counts).toMatchObject({ written: 1, failed: triedAtMs.length + 2 });
  });

  test("many promises that reject at once make one pause", async () => {
    const { broken, lines, logger } = breakable(() => Promise.reject(new Error("disk full")));
    const { log, time } = setUp(logger);
    for (let line = 0; line < 50; line++) log.warn({ event: "server.refused" }, "refused");
    await turn();
    expect(log.counts.failed).toBe(50);
    broken.is = false;
    time.ms = 100;
    log.warn({ event: "server.refused" }, "refused");
    expect(lines).toMatchObject([{ suppressed: 50 }]);
  });

  test("flush() tries it at once: what could not be said before is said at the end", () => {
    const { broken, lines, logger } = breakable(() => {
      throw new Error("disk full");
    });
    const { log } = setUp(logger);
    for (let line = 0; line < 5; line++) log.warn({ event: "server.refused" }, "refused");
    log.flush();
    expect(log.counts.failed).toBe(2);
    broken.is = false;
    log.flush();
    expect(lines).toMatchObject([{ event: "log.suppressed", of: "server.refused", suppressed: 5 }]);
  });

  test("a method that is missing later, and a getter that throws", () => {
    const { lines, logger } = logKeeper();
    const losing: Partial<Logger> = { ...logger };
    const { log } = setUp(losing as Logger);
    delete losing.warn;
    log.warn({ event: "server.refused" }, "refused");
    Object.defineProperty(losing, "error", {
      get: () => {
        throw new Error("gone");
      },
    });
    const other = setUp(losing as Logger).log;
    other.error({ event: "link.state" }, "closed");
    expect([log.counts.failed, other.counts.failed, lines.length]).toEqual([1, 1, 0]);
  });
});

test("the same is written once an hour, and counted in between; a line that was left out was not told", () => {
  let nowMs = 0;
  const lines: Array<[string, object]> = [];
  const keep =
    (level: string) =>
    (fields: object): void =>
      void lines.push([level, fields]);
  const contained = new ContainedLogger(
    { debug: keep("debug"), info: keep("info"), warn: keep("warn"), error: keep("error") },
    () => nowMs,
  );
  const rejected = (same: string): void => contained.warn({ event: "server.rejected" }, "closed", same);
  for (const same of ["a", "a", "b", "a"]) rejected(same);
  expect(lines).toEqual([
    ["warn", { event: "server.rejected" }],
    ["warn", { event: "server.rejected", suppressed: 1 }],
  ]);
  contained.flush();
  expect(lines[2]).toEqual(["info", { event: "log.suppressed", of: "server.rejected", suppressed: 1 }]);
  nowMs = 3_600_000;
  rejected("a");
  expect(lines[3]).toEqual(["warn", { event: "server.rejected" }]);
  expect(contained.counts).toEqual({ written: 4, suppressed: 2, failed: 0 });
  for (let n = 0; n < 200; n++) rejected(`of ${n}`);
  nowMs += 60_000;
  const before = lines.length;
  rejected("of 199");
  expect(lines.length).toBe(before + 1);
});
