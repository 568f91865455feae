import { describe, expect, test } from "vitest";
import { EventCounter, RECOVERY_CLASSES_MS } from "../../src/telemetry/event-counts.ts";
import type { LinkChange, TelemetryRecord } from "../../src/telemetry/record.ts";

const ids = { link: "l", session: "s" };
const error = { code: "TIMED_OUT", message: "" };

function after(...records: TelemetryRecord[]): EventCounter {
  const counter = new EventCounter();
  for (const record of records) counter.read(record);
  return counter;
}

function change(
  from: LinkChange["from"],
  to: LinkChange["to"],
  reason: string,
  more: Partial<LinkChange> = {},
): TelemetryRecord {
  return { event: "link.state", ids, change: { from, to, reason, ...more } };
}

describe("link.state", () => {
  test("ends, by reason", () => {
    const { counts } = after(change("connected", "closed", "expired"), change("draining", "closed", "closed"));
    expect(counts.ended).toEqual({ expired: 1, closed: 1 });
  });

  test.each(["connected", "suspect", "idle"] as const)("a connection that is lost in state %s, by reason", (from) => {
    const { connectionsLost, attemptsFailed } = after(change(from, "reconnecting", "EPIPE", { error })).counts;
    expect([connectionsLost, attemptsFailed]).toEqual([{ EPIPE: 1 }, {}]);
  });

  test("an attempt that failed, by the code of its error; one that hold() has taken back is none", () => {
    const { connectionsLost, attemptsFailed } = after(
      change("connecting", "reconnecting", "CONNECT_FAILED", { error }),
      change("connecting", "reconnecting", "held"),
    ).counts;
    expect([connectionsLost, attemptsFailed]).toEqual([{}, { TIMED_OUT: 1 }]);
  });

  test("other changes are not counted", () => {
    const none = after().counts;
    expect(after(change("created", "connecting", "opened"), change("connected", "draining", "x")).counts).toEqual(none);
  });
});

test("messages in the reports of links that have ended, and of no others", () => {
  const { unfinished } = after(
    { event: "link.undelivered", ids, reason: "ended", maybe: 1, notSent: 2, untracked: 3 },
    { event: "link.undelivered", ids, reason: "ended", maybe: 10, notSent: 20 },
    { event: "link.undelivered", ids, reason: "session-lost", maybe: 100, notSent: 100 },
  ).counts;
  expect(unfinished).toEqual({ maybe: 11, notSent: 22, untracked: 3 });
});

test("functions of the application's that have thrown", () => {
  const { handlersFailed, hooksFailed } = after(
    { event: "link.handler-failed", ids, thrown: 1, isHeard: true },
    { event: "link.hook-failed", link: "l", failure: { hook: "reconnect.shouldRetry", thrown: 1 } },
    { event: "server.rejected", reason: "r", detail: "", remoteAddress: "", failure: { hook: "login", thrown: 1 } },
    { event: "server.hook-failed", failure: { hook: "onDrain", thrown: 1 } },
    { event: "server.rejected", reason: "tls", detail: "", remoteAddress: "" },
  ).counts;
  expect([handlersFailed, hooksFailed]).toEqual([1, { "reconnect.shouldRetry": 1, login: 1, onDrain: 1 }]);
});

test("recoveries: each is in all classes that are at least as long", () => {
  const counter = after(
    ...[50, 51, 400_000].map((recoveryMs) => ({ event: "link.recovered", ids, recoveryMs }) as const),
  );
  expect(counter.counts.recoveries).toEqual({ count: 3, sumMs: 400_101 });
  expect(counter.recoveryClasses).toEqual(RECOVERY_CLASSES_MS.map((ms) => (ms === 50 ? 1 : 2)));
});

test("an answer stays as it is when more is counted", () => {
  const counter = after();
  const { counts, recoveryClasses } = counter;
  counter.read({ event: "link.recovered", ids, recoveryMs: 1 });
  counter.read(change("connected", "closed", "closed"));
  expect([counts, recoveryClasses]).toEqual([after().counts, after().recoveryClasses]);
});
