import { inspect } from "node:util";
import { expect, test } from "vitest";
import { RespliceError } from "../../src/index.ts";
import type { Outcome } from "../../src/core/session/link-events.ts";
import type { Fault } from "../../src/core/wire/faults.ts";
import type { RefuseCode } from "../../src/core/wire/frames.ts";
import { attemptError, invalidOption, invalidWord, outcomeError, replacedError } from "../../src/link/errors.ts";

test("an error says its code, and what may be tried again", () => {
  const cause = new Error("inner");
  const error = new RespliceError("OVERLOADED", "too many", { cause, retryAfterMs: 5 });
  expect(error).toBeInstanceOf(Error);
  expect(error).toMatchObject({ name: "RespliceError", code: "OVERLOADED", message: "too many", cause });
  expect(error).toMatchObject({ retryable: true, retryAfterMs: 5 });
  expect(new RespliceError("GAVE_UP", "").retryable).toBe(false);
  expect(new RespliceError("GAVE_UP", "", { retryable: true }).retryable).toBe(true);
  expect(new RespliceError("ABORTED", "").name).toBe("AbortError");
  expect("cause" in new RespliceError("GAVE_UP", "")).toBe(false);
});

test("an option that is not valid: a name or a number is shown", () => {
  expect(invalidWord("queue.maxBytes", "a lot", "an integer")).toMatchObject({
    code: "INVALID_OPTION",
    message: 'option queue.maxBytes is "a lot"; allowed: an integer',
    option: { name: "queue.maxBytes", value: "a lot", allowed: "an integer" },
  });
  expect(invalidOption("queue.maxBytes", -1, "an integer").message).toContain("is -1;");
  const forged = invalidWord("mode", `x\n${"y".repeat(1_000)}`, "messages, bytes");
  expect(forged.message).toMatch(/^option mode is "x\\\\ny+…"; allowed/);
  expect(forged.message.length).toBeLessThan(200);
});

test.each([
  ["sk-s3cr3t", "a string of length 9"],
  ["", "an empty string"],
  [{ token: "s3cr3t" }, "an object"],
  [["s3cr3t"], "an array of length 1"],
  [Buffer.from("s3cr3t"), "6 bytes"],
  [Symbol("s3cr3t"), "a symbol"],
  [() => "s3cr3t", "a function"],
  [Object.create(null), "an object"],
  [{ toString: () => 5n }, "an object"],
  [null, null],
  [undefined, undefined],
  [true, true],
  [5n, 5n],
])("an option that is not valid can be anything at all, and shows no secret: %#", (given: unknown, value: unknown) => {
  const error = invalidOption("host", given, "a name");
  expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name: "host", value, allowed: "a name" } });
  expect(error.message).toContain(`option host is ${typeof value === "bigint" ? "5n" : String(value)};`);
  expect(inspect(error, { depth: 10 })).not.toContain("s3cr3t");
});

test("the name of an option that does not exist is somebody's text, too", () => {
  const { option, message } = invalidOption(`a\n${"b".repeat(1_000)}`, 1, "c");
  expect(option?.name).toMatch(/^a\\nb+…$/);
  expect(message.length).toBeLessThan(200);
});

test("why a server refuses is shown in one line, whatever it says", () => {
  const peerCode = "quota\n\u001b[31mused up";
  const error = outcomeError("authentication-refused", "detail", peerCode);
  expect(error).toMatchObject({
    code: "AUTHENTICATION_REFUSED",
    message: "the server refused the credentials: quota\\n\\x1b[31mused up",
    peerCode,
  });
  expect(outcomeError("authentication-refused", "detail", "")).toMatchObject({
    message: "detail",
    peerCode: undefined,
  });
});

test("how a link ended", () => {
  const codes: Record<Outcome, string | undefined> = {
    closed: undefined,
    aborted: undefined,
    "session-lost": "SESSION_LOST",
    expired: "SESSION_EXPIRED",
    "taken-over": "TAKEN_OVER",
    "authentication-refused": "AUTHENTICATION_REFUSED",
    mismatch: "PROTOCOL_MISMATCH",
    "protocol-error": "PROTOCOL_ERROR",
    "peer-aborted": "PEER_ABORTED",
    "peer-handler-failed": "SESSION_LOST",
    "peer-close-timeout": "PEER_ABORTED",
    "handler-failed": "HANDLER_FAILED",
    "close-timeout": "CLOSE_TIMEOUT",
    "gave-up": "GAVE_UP",
    "connection-lost": "CONNECTION_LOST",
  };
  for (const [outcome, code] of Object.entries(codes)) {
    const error = outcomeError(outcome as Outcome, "detail", "quota");
    expect([outcome, error?.code]).toEqual([outcome, code]);
    expect(error?.retryable ?? false).toBe(false);
  }
  expect(outcomeError("peer-aborted", "", "quota")).toMatchObject({ peerCode: "quota" });
  expect(outcomeError("protocol-error", "a bad frame", "")?.message).toBe("the peer broke the protocol: a bad frame");
  expect(outcomeError("protocol-error", "", "")?.message).toBe("the peer says that this end broke the protocol");
  expect(outcomeError("peer-handler-failed", "", "")?.cause).toMatchObject({ code: "HANDLER_FAILED" });
});

test("why an attempt failed", () => {
  const refused = (code: RefuseCode, retryAfterMs = 0): RespliceError =>
    attemptError({ reason: code, refused: code, retryAfterMs, fault: undefined });
  expect(refused("overloaded", 500)).toMatchObject({
    code: "OVERLOADED",
    retryable: true,
    retryAfterMs: 500,
  });
  expect(refused("authentication-unavailable")).toMatchObject({ retryAfterMs: undefined });
  expect(refused("authentication")).toMatchObject({ retryable: false });
  expect(attemptError(lost("ECONNRESET"))).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
  const fault: Fault = { code: "bad-frame", detail: "what?" };
  expect(attemptError({ ...lost("bad-frame"), fault })).toMatchObject({
    code: "CONNECT_FAILED",
    message: expect.stringContaining("what?"),
  });
});

test("a connection is lost for any reason that its transport gives, also one that reads like a refusal", () => {
  expect(attemptError(lost("authentication"))).toMatchObject({ code: "CONNECTION_LOST", retryable: true });
  expect(attemptError(lost("toString"))).toMatchObject({ code: "CONNECTION_LOST" });
});

function lost(reason: string): Parameters<typeof attemptError>[0] {
  return { reason, refused: undefined, retryAfterMs: 0, fault: undefined };
}

test("what the peer says has escapes in the message, and is left as it is for the program", () => {
  const code = "quota\n\u001b[31m\u202e";
  expect(outcomeError("peer-aborted", "", code)).toMatchObject({
    message: "the peer aborted the link: quota\\n\\x1b[31m\\u202e",
    peerCode: code,
  });
  expect(attemptError(lost("HTTP 502\n<html>")).message).toBe("the attempt failed: HTTP 502\\n<html>");
});

test("what became of a message", () => {
  expect(replacedError("session-lost", "maybe")).toMatchObject({ code: "SESSION_LOST", delivery: "maybe" });
  expect(replacedError("too-large", "not-sent")).toMatchObject({ code: "MESSAGE_TOO_LARGE", delivery: "not-sent" });
});
