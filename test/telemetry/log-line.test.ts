import { expect, test } from "vitest";
import { logLines } from "../../src/telemetry/log-line.ts";
import type { LinkChange, LinkIds, TelemetryRecord } from "../../src/telemetry/record.ts";
import { logKeeper } from "../support.ts";

const IDS: LinkIds = { link: "l", session: "s" };

function setUp() {
  const { lines, logger } = logKeeper();
  const write = logLines(logger);
  return {
    lines,
    write: (...records: TelemetryRecord[]) => records.forEach(write),
    changed: (change: LinkChange, ids = IDS) => write({ event: "link.state", ids, change }),
  };
}

test("a transition: one line, louder the worse it is", () => {
  const { lines, changed } = setUp();
  const error = { code: "GAVE_UP", message: "gave up after 3 attempts" };
  changed({ from: "connecting", to: "connected", reason: "opened", attempt: 1, session: "new" });
  changed({ from: "connected", to: "suspect", reason: "no evidence" });
  changed({ from: "connected", to: "reconnecting", reason: "ECONNRESET", nextDelayMs: 5 });
  changed({ from: "draining", to: "closed", reason: "closed" });
  changed({ from: "reconnecting", to: "closed", reason: "gave-up", error });
  expect(lines.map(({ level }) => level)).toEqual(["info", "warn", "warn", "info", "error"]);
  expect(lines[0]).toEqual({
    level: "info",
    message: "link connected",
    event: "link.state",
    link: "l",
    from: "connecting",
    to: "connected",
    reason: "opened",
    attempt: 1,
    session: "s",
    resumed: false,
  });
  expect(lines[4]).toMatchObject({ code: "GAVE_UP", message: "link closed: gave up after 3 attempts" });
  expect(lines[4]).not.toHaveProperty("error");
});

test("a link that moves to another server, or is held, is no trouble; an attempt that fails is", () => {
  const { lines, changed, write } = setUp();
  const error = { code: "OVERLOADED", message: "draining" };
  changed({ from: "draining", to: "connecting", reason: "moved", attempt: 1 });
  changed({ from: "connecting", to: "reconnecting", reason: "moved", attempt: 1, nextDelayMs: 5 });
  changed({ from: "connecting", to: "reconnecting", reason: "held", attempt: 1, nextDelayMs: Infinity });
  changed({ from: "connecting", to: "reconnecting", reason: "OVERLOADED", attempt: 1, nextDelayMs: 5, error });
  for (const code of ["draining", "overloaded"] as const) {
    write({ event: "server.refused", code, reason: code, sessionId: "", remoteAddress: "::1", retryAfterMs: 0 });
  }
  expect(lines.map(({ level }) => level)).toEqual(["info", "info", "info", "warn", "info", "warn"]);
});

test("the logger is told what is the same: of what strangers do, not of a function of the application's", () => {
  const told: Array<string | undefined> = [];
  const keep = (_: object, __: string, same?: string): void => void told.push(same);
  const write = logLines({ debug: keep, info: keep, warn: keep, error: keep });
  const rejected = {
    event: "server.rejected",
    reason: "tls",
    detail: "ECONNRESET",
    remoteAddress: "10.0.0.1",
  } as const;
  write(rejected);
  write({ ...rejected, failure: { hook: "authenticate", thrown: new Error("mine") } });
  write({ event: "server.unwatched", resource: "heap", reason: "none" });
  expect(told).toEqual(["10.0.0.1 tls ECONNRESET", undefined, undefined]);
});

test("an address is shown as in a URL", () => {
  const { lines, write } = setUp();
  const lost = { event: "server.listener", host: "::", port: 7000, reason: "EMFILE", downMs: 0 } as const;
  write({ ...lost, type: "lost" }, { ...lost, type: "restored" }, { event: "monitor.listening", host: "::1", port: 9 });
  expect(lines.map(({ message }) => message)).toEqual([
    "not listening on [::]:7000: EMFILE",
    "listening again on [::]:7000",
    "the monitor listens on [::1]:9",
  ]);
});

test("the delay before the next attempt, and none where a link is held", () => {
  const { lines, changed } = setUp();
  for (const nextDelayMs of [0, 5, Infinity]) {
    changed({ from: "connected", to: "reconnecting", reason: "ECONNRESET", attempt: 1, nextDelayMs });
  }
  expect(lines.map((line) => ("nextDelayMs" in line ? line["nextDelayMs"] : "none"))).toEqual([0, 5, "none"]);
});

test("the session's id stays in a line about a link that is connected", () => {
  const { lines, changed } = setUp();
  const ids = { link: "l", session: "0123" };
  changed({ from: "connecting", to: "connected", reason: "opened", attempt: 1, session: "new" }, ids);
  expect(JSON.stringify(lines[0])).toContain("0123");
});

test("the other lines", () => {
  const { lines, write } = setUp();
  const refusal = { reason: "old", sessionId: "s", remoteAddress: "::1", retryAfterMs: 0 };
  const rejection = { reason: "bad-frame", detail: "huh?", remoteAddress: "::1" };
  const limits = { connections: 3, sessions: 4 };
  write(
    { event: "link.undelivered", ids: IDS, reason: "session-lost", maybe: 2, notSent: 1 },
    { event: "server.refused", code: "stale", ...refusal },
    { event: "server.rejected", ...rejection },
    {
      event: "server.listening",
      host: "::",
      port: 1,
      addresses: ["[::]:1", "/run/b.sock"],
      limits,
      sessionsMayHoldBytes: 5,
      descriptorLimit: 6,
    },
    { event: "server.state", from: "created", to: "bound", reason: "listen() was called" },
    { event: "server.listener-failed", code: "LISTEN_FAILED", message: "the listener failed: EMFILE" },
    { event: "server.limits", limits, sessionsMayHoldBytes: 5 },
  );
  expect(lines).toMatchObject([
    { level: "warn", event: "link.undelivered", link: "l", reason: "session-lost", maybe: 2, notSent: 1 },
    { level: "warn", event: "server.refused", code: "stale", sessionId: "s", remoteAddress: "::1" },
    { level: "warn", event: "server.rejected", reason: "bad-frame", detail: "huh?" },
    { level: "info", event: "server.listening", port: 1, connections: 3, message: "listening on [::]:1, /run/b.sock" },
    { level: "info", event: "server.state", from: "created", to: "bound", message: "server bound" },
    { level: "error", event: "server.listener-failed", code: "LISTEN_FAILED", message: "the listener failed: EMFILE" },
    { level: "info", event: "server.limits", connections: 3, sessions: 4, message: "limits changed" },
  ]);
  expect(lines[2]).not.toHaveProperty("err");
  expect(Object.keys(lines[3] ?? {})).toEqual([
    "event",
    "host",
    "port",
    "addresses",
    "connections",
    "sessions",
    "sessionsMayHoldBytes",
    "descriptorLimit",
    "level",
    "message",
  ]);
});

test("a warning that memory or descriptors may be too few says what to do", () => {
  const { lines, write } = setUp();
  const memory = { sessions: 50, fitting: 7, sessionsMayHoldBytes: 1, memoryBytes: 2, oldGenerationBytes: 3 };
  const descriptors = { connections: 90, open: 20, needed: 142, descriptorLimit: 128 };
  write({ event: "server.memory", ...memory }, { event: "server.descriptors", ...descriptors });
  const advice = "with half of the memory and of V8's heap for them, 7 are sure to fit";
  const needed = "limits.connections is 90, which may need 142 descriptors, and this process may have 128";
  expect(lines).toEqual([
    { level: "warn", message: `limits.sessions is 50: ${advice}`, event: "server.memory", ...memory },
    {
      level: "warn",
      message: `${needed}: raise ulimit -n, or lower the limit`,
      event: "server.descriptors",
      ...descriptors,
    },
  ]);
});

test("a thrown error is in the line itself, with its stack; of another value an Error tells", () => {
  const { lines, write } = setUp();
  const thrown = new Error("mine\n");
  const rejection = { reason: "authenticate() failed", detail: "mine", remoteAddress: "::1" };
  write(
    { event: "link.handler-failed", ids: IDS, thrown, isHeard: true },
    { event: "server.rejected", ...rejection, failure: { hook: "authenticate", thrown } },
    { event: "link.handler-failed", ids: IDS, thrown: undefined, isHeard: false },
    { event: "link.hook-failed", link: "l", failure: { hook: "reconnect.shouldRetry", thrown } },
  );
  expect(lines[0]).toMatchObject({ level: "error", link: "l", message: "a handler has failed: mine\\n" });
  expect([lines[0]?.["err"], lines[1]?.["err"]]).toEqual([thrown, thrown]);
  expect(lines[0]?.["err"]).toBe(thrown);
  expect(lines[2]?.["err"]).toMatchObject({ message: "what was thrown is no Error: undefined" });
  expect(lines[3]).toEqual({
    level: "warn",
    message: "the function reconnect.shouldRetry failed",
    event: "link.hook-failed",
    link: "l",
    hook: "reconnect.shouldRetry",
    detail: "mine\\n",
  });
});

test("a recovery has no line of its own: the metrics count it", () => {
  const { lines, write } = setUp();
  write({ event: "link.recovered", ids: IDS, recoveryMs: 5 });
  expect(lines).toEqual([]);
});

test("what somebody else wrote begins no line of its own, and is not longer than a line", () => {
  const { lines, write, changed } = setUp();
  const forged = `\u001b[2K\n{"level":"info"}${"x".repeat(10_000)}`;
  const error = { code: "PEER_ABORTED", message: forged };
  const ids = { ...IDS, identity: forged };
  changed({ from: "connected", to: "closed", reason: forged, error }, ids);
  write(
    { event: "link.undelivered", ids, reason: "session-lost", maybe: 2, notSent: 1 },
    { event: "server.refused", code: "stale", reason: forged, sessionId: "s", remoteAddress: forged, retryAfterMs: 0 },
    { event: "server.rejected", reason: forged, detail: forged, remoteAddress: forged },
    { event: "link.hook-failed", link: "l", failure: { hook: "tls", thrown: forged } },
  );
  const printed = lines.flatMap((line) => Object.values(line)).filter((value) => typeof value === "string");
  for (const text of printed) {
    expect(text).not.toMatch(/\p{Cc}/u);
    expect(text.length).toBeLessThan(1_100);
  }
  expect(printed.filter((text) => text.includes("\\x1b[2K\\n"))).toHaveLength(11);
});
