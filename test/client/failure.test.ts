import { expect, test } from "vitest";
import { asError, explained } from "../../src/client/failure.ts";
import { RespliceError } from "../../src/index.ts";
import { DialError } from "../../src/io/dial-error.ts";
import { certificate } from "../certificate.ts";

const HEARD = (text = "") => ({ first: Buffer.from(text, "latin1") });
const AT = {
  endpoint: { host: "a.example", port: 7 },
  tls: false,
  heard: HEARD(),
  wasConnected: false,
  isPlain: false,
} as const;
const lost = new RespliceError("CONNECTION_LOST", "the attempt failed: closed");
const told = (error: RespliceError, more: object = {}, wallMs = 0): string =>
  explained(error, { ...AT, ...more }, wallMs).message;

test("certificates that time can mend are retried, and no others", () => {
  const of = (kind: DialError["kind"]): object => asError(new DialError(kind, "no"));
  expect(of("certificate-dates")).toMatchObject({ code: "CERTIFICATE_INVALID", retryable: true });
  expect(of("certificate")).toMatchObject({ code: "CERTIFICATE_INVALID", retryable: false });
});

test("the endpoint is named, once", () => {
  expect(told(new RespliceError("OVERLOADED", "no room"))).toBe("a.example:7: no room");
  const named = new RespliceError("OVERLOADED", "connecting to a.example:7 failed");
  expect(explained(named, AT, 0)).toBe(named);
  expect(told(lost, { endpoint: undefined, heard: undefined })).toBe(lost.message);
  expect(told(lost, { endpoint: { path: "/a\nb" }, heard: undefined })).toBe(`/a\\nb: ${lost.message}`);
});

test("all else of the error stays", () => {
  const cause = new Error("why");
  const option = { name: "n", value: 1, allowed: "a" };
  const details = { cause, retryAfterMs: 5, retryable: false, peerCode: "p", delivery: "maybe", option } as const;
  const error = new RespliceError("OVERLOADED", "no", details);
  expect(explained(error, AT, 0)).toMatchObject({ code: "OVERLOADED", ...details });
});

test("an attempt that was taken back, and one that the application has ended, keep their error", () => {
  for (const code of ["ABORTED", "LINK_ENDED", "LOGIN_REFUSED"] as const) {
    const error = new RespliceError(code, "over");
    expect(explained(error, AT, 0)).toBe(error);
  }
});

test("what was heard is shown, unless it is frames or the answer is a refusal", () => {
  const heard = HEARD("SSH-2.0-x");
  expect(told(lost, { heard })).toMatch(/; what was heard is "SSH-2\.0-x", which looks like SSH$/);
  expect(told(lost, { heard: HEARD("\x07\0\0\0\0\0\0\x08") })).toBe(`a.example:7: ${lost.message}`);
  expect(told(new RespliceError("OVERLOADED", "no"), { heard })).toBe("a.example:7: no");
  expect(told(new RespliceError("TIMED_OUT", "late"), { heard })).toContain("SSH");
});

test("a password that was sent back is not shown", () => {
  const echoed = HEARD("*2\r\n$4\r\nAUTH\r\n$6\r\ns3cr3t\r\n");
  for (const isPlain of [false, true])
    expect(told(lost, { heard: echoed, isPlain })).toMatch(/; what was heard looks like Redis$/);
  expect(told(lost, { heard: HEARD("LOGIN me s3cr3t\r\n"), isPlain: true })).toBe(`a.example:7: ${lost.message}`);
  expect(told(lost, { heard: HEARD("SSH-2.0-x"), isPlain: true })).toMatch(/; what was heard looks like SSH$/);
});

test("a server that speaks TLS: the option is named where it is off", () => {
  const heard = HEARD("\x15\x03\x01\0\x02");
  expect(told(lost, { heard })).toMatch(/which looks like TLS: the option `tls` is to be set$/);
  expect(told(lost, { heard, tls: {} })).toMatch(/which looks like TLS$/);
});

test("with TLS: what its code means, else what is wrong with the client's own certificate", async () => {
  const { cert } = await certificate("localhost", {
    notBeforeDate: new Date("2026-01-01T00:00:00Z"),
    notAfterDate: new Date("2026-02-01T00:00:00Z"),
  });
  const shown = (given: unknown, day: string): string => told(lost, { tls: { cert: given } }, Date.parse(day));
  expect(shown(cert, "2025-12-31")).toMatch(/own certificate \(`tls\.cert`\) is not valid yet$/);
  expect(shown(cert, "2026-02-02")).toMatch(/own certificate \(`tls\.cert`\) has expired$/);
  for (const other of [cert, Buffer.from(cert), [cert], "no PEM"])
    expect(shown(other, "2026-01-15")).toMatch(/the server may refuse this client's certificate \(`tls\.cert`\)/);
  expect(told(lost, { tls: {} })).toMatch(
    /; nothing was heard before: the server's log may say why, or another server/,
  );
  const alert = new RespliceError("CONNECTION_LOST", "the attempt failed: ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED");
  expect(told(alert, { tls: { cert } })).toMatch(/; the server requires a certificate of the client/);
});

test("where nothing was heard, what may be wrong is said of a link that was never connected", () => {
  expect(told(lost)).toMatch(
    /; nothing was heard before: the server may speak TLS \(option `tls`\), or another server/,
  );
  expect(told(new RespliceError("TIMED_OUT", "late"))).toMatch(/late; nothing was heard: another server/);
  expect(told(lost, { wasConnected: true })).toBe(`a.example:7: ${lost.message}`);
  expect(told(lost, { endpoint: undefined })).toBe(lost.message);
  expect(told(new RespliceError("CONNECT_FAILED", "no"))).toBe("a.example:7: no");
});

test("a server that closes within the handshake of TLS 1.2 may refuse the client's certificate", () => {
  const cause = Object.assign(new Error("disconnected"), { code: "ECONNRESET" });
  const closed = new RespliceError("CONNECT_FAILED", "disconnected", { cause });
  const at = { heard: undefined, tls: { cert: "c" } };
  expect(told(closed, at)).toMatch(/; the server may refuse this client's certificate/);
  expect(told(new RespliceError("CONNECT_FAILED", "refused"), at)).toBe("a.example:7: refused");
  expect(told(closed, { ...at, tls: {} })).toBe("a.example:7: disconnected");
  expect(told(closed, { ...at, wasConnected: true })).toBe("a.example:7: disconnected");
});
