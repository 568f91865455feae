import { expect, test } from "vitest";
import {
  logHookFailed,
  logRefusal,
  logRejected,
  logServer,
  logTransition,
  logUndelivered,
} from "../../src/telemetry/events.ts";
import { logKeeper } from "../support.ts";

test("a transition: one line, louder the worse it is", () => {
  const { lines, logger } = logKeeper();
  const ids = { link: "l", session: "s" };
  const error = { code: "GAVE_UP", message: "gave up after 3 attempts" };
  logTransition(logger, ids, { from: "connecting", to: "connected", reason: "opened", attempt: 1, session: "new" });
  logTransition(logger, ids, { from: "connected", to: "suspect", reason: "no evidence" });
  logTransition(logger, ids, { from: "connected", to: "reconnecting", reason: "ECONNRESET", nextDelayMs: 5 });
  logTransition(logger, ids, { from: "draining", to: "closed", reason: "closed" });
  logTransition(logger, ids, { from: "reconnecting", to: "closed", reason: "gave-up", error });
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

test("the session's id stays in a line about a link that is connected", () => {
  const { lines, logger } = logKeeper();
  const change = { from: "connecting", to: "connected", reason: "opened", attempt: 1, session: "new" };
  logTransition(logger, { link: "l", session: "0123" }, change);
  expect(JSON.stringify(lines[0])).toContain("0123");
});

test("the other lines", () => {
  const { lines, logger } = logKeeper();
  logUndelivered(logger, { link: "l" }, "session-lost", { maybe: 2, notSent: 1 });
  logRefusal(logger, { code: "stale", reason: "old", sessionId: "s", remoteAddress: "::1", retryAfterMs: 0 });
  logRejected(logger, { reason: "bad-frame", detail: "what?", remoteAddress: "::1" });
  logServer(logger, "server.listening", { port: 1 }, "listening on :1");
  expect(lines).toMatchObject([
    { level: "warn", event: "link.undelivered", link: "l", reason: "session-lost", maybe: 2, notSent: 1 },
    { level: "warn", event: "server.refused", code: "stale", sessionId: "s", remoteAddress: "::1" },
    { level: "warn", event: "server.rejected", reason: "bad-frame", detail: "what?" },
    { level: "info", event: "server.listening", port: 1, message: "listening on :1" },
  ]);
});

test("what somebody else wrote begins no line of its own, and is not longer than a line", () => {
  const { lines, logger } = logKeeper();
  const forged = `\u001b[2K\n{"level":"info"}${"x".repeat(10_000)}`;
  const error = { code: "PEER_ABORTED", message: forged };
  logTransition(logger, { link: "l", identity: forged }, { from: "connected", to: "closed", reason: forged, error });
  logUndelivered(logger, { identity: forged }, "session-lost", { maybe: 2, notSent: 1 });
  logRefusal(logger, { code: "stale", reason: forged, sessionId: "s", remoteAddress: forged, retryAfterMs: 0 });
  logRejected(logger, { reason: forged, detail: forged, remoteAddress: forged });
  logHookFailed(logger, { link: "l", hook: "tls", detail: forged });
  const printed = lines.flatMap((line) => Object.values(line)).filter((value) => typeof value === "string");
  for (const text of printed) {
    expect(text).not.toMatch(/\p{Cc}/u);
    expect(text.length).toBeLessThan(1_100);
  }
  expect(printed.filter((text) => text.includes("\\x1b[2K\\n"))).toHaveLength(11);
});
