import { expect, test } from "vitest";
import { Happenings, MOST_HAPPENINGS, MOST_IN_A_SECOND } from "../../../src/monitor/live/happenings.ts";
import type { LinkChange, TelemetryRecord } from "../../../src/telemetry/record.ts";

const ids = { link: "abc", session: "5e55", identity: "" };

function change(made: LinkChange): TelemetryRecord {
  return { event: "link.state", ids, change: made };
}

const CUT = change({ from: "connected", to: "reconnecting", reason: "ECONNRESET" });

function told(record: TelemetryRecord): unknown {
  const happenings = new Happenings();
  happenings.record(record, 0, 1_000.4);
  return Object.values(happenings.shown)[0];
}

test.each<[TelemetryRecord, string, string]>([
  [CUT, "warn", "connection lost: ECONNRESET"],
  [change({ from: "connected", to: "suspect", reason: "no evidence" }), "warn", "suspect: no evidence"],
  [change({ from: "draining", to: "closed", reason: "closed" }), "info", "closed: closed"],
  [
    change({
      from: "connected",
      to: "closed",
      reason: "expired",
      error: { code: "SESSION_LOST", message: "\u001b[2J the session" },
    }),
    "error",
    "closed: expired: \\x1b[2J the session",
  ],
  [{ event: "link.recovered", ids, recoveryMs: 12.4 }, "info", "connected again after 12 ms"],
  [{ event: "link.recovered", ids, recoveryMs: 0.1 }, "info", "connected again after 1 ms"],
  [{ event: "server.shed", ids, reason: "heap", retryAfterMs: 5 }, "warn", "link shed: heap"],
])("%#: of a link", (record, level, text) => {
  expect(told(record)).toEqual({ atMs: 1_000, level, source: 0, link: "abc", text });
});

test("of a server", () => {
  expect(
    told({
      event: "server.refused",
      code: "overloaded",
      reason: "too many connections",
      sessionId: "",
      remoteAddress: "10.0.0.7",
      retryAfterMs: 0,
    }),
  ).toEqual({ atMs: 1_000, level: "warn", source: 0, text: "refused: overloaded: too many connections" });
});

test.each([
  change({ from: "created", to: "connecting", reason: "opened", attempt: 1 }),
  change({ from: "connecting", to: "connected", reason: "new", attempt: 1, session: "new" }),
  change({ from: "connecting", to: "reconnecting", reason: "failed", attempt: 1, nextDelayMs: 1 }),
  { event: "server.unwatched", resource: "memory", reason: "none" } as const,
])("%#: in order, and not told", (record) => {
  expect(told(record)).toBeUndefined();
});

test("of very much in a second only the number is told, and in the next one it is told again", () => {
  const happenings = new Happenings();
  const answers = Array.from({ length: 10_000 }, () => happenings.record(CUT, 0, 0));
  expect(answers.filter(Boolean)).toHaveLength(MOST_IN_A_SECOND);
  happenings.nextSecond(1_000);
  const all = Object.values(happenings.shown);
  expect([all.length, all.at(-1)?.text]).toEqual([MOST_IN_A_SECOND + 1, "and 9970 more in this second"]);
  expect(happenings.record(CUT, 0, 1_500)).toBe(true);
  happenings.nextSecond(2_000);
  expect(Object.values(happenings.shown)).toHaveLength(MOST_IN_A_SECOND + 2);
});

test("the newest are kept, under numbers that rise; another object says that there is something new", () => {
  const happenings = new Happenings();
  const before = happenings.shown;
  for (let second = 0; second < 200; second++) {
    happenings.record(CUT, 0, second);
    happenings.nextSecond(second);
  }
  expect(Object.keys(happenings.shown).map(Number)).toEqual(
    Array.from({ length: MOST_HAPPENINGS }, (_, at) => 200 - MOST_HAPPENINGS + 1 + at),
  );
  expect([before, happenings.shown === before]).toEqual([{}, false]);
});
