import { expect, test } from "vitest";
import { RespliceError } from "../../src/index.ts";
import type { ErrorCode } from "../../src/link/errors.ts";
import { socketError } from "../../src/link/socket-error.ts";

test.each<[ErrorCode, string, string]>([
  ["PEER_ABORTED", "ECONNRESET", "read"],
  ["SESSION_LOST", "ECONNRESET", "read"],
  ["SESSION_EXPIRED", "ECONNRESET", "read"],
  ["GAVE_UP", "ETIMEDOUT", "connect"],
  ["LINK_ENDED", "EPIPE", "write"],
])("%s is %s, with the error as its cause", (code, told, syscall) => {
  const error = new RespliceError(code, "why");
  expect(socketError(error)).toMatchObject({ code: told, syscall, message: `${syscall} ${told}: why` });
  expect(socketError(error).cause).toBe(error);
});

test("what is written after the end is told with the code of that end", () => {
  const aborted = new RespliceError("PEER_ABORTED", "the peer aborted the link");
  const late = new RespliceError("LINK_ENDED", "the link has ended", { cause: aborted });
  expect(socketError(late)).toMatchObject({ code: "ECONNRESET", cause: late });
});

test.each<ErrorCode>(["CERTIFICATE_INVALID", "AUTHENTICATION_REFUSED", "CLOSE_TIMEOUT", "PROTOCOL_MISMATCH"])(
  "%s has no code in TCP, and stays as it is",
  (code) => {
    const error = new RespliceError(code, "why");
    expect(socketError(error)).toBe(error);
    const late = new RespliceError("LINK_ENDED", "the link has ended", { cause: error });
    expect(socketError(late)).toBe(late);
  },
);

test("an error of somebody else stays as it is", () => {
  const error = new TypeError("mine");
  expect(socketError(error)).toBe(error);
});
