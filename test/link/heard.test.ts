import { expect, test } from "vitest";
import { heardText } from "../../src/link/heard.ts";

const durable = (bytes: Buffer): string | undefined => heardText(bytes, { isPlain: false });
const plain = (bytes: Buffer): string | undefined => heardText(bytes, { isPlain: true });

test("what was heard, and who speaks so", () => {
  const http = Buffer.from("HTTP/1.1 400 Bad Request\r\n");
  expect(durable(http)).toBe('what was heard is "HTTP/1.1 400 Bad Request\\r\\n", which looks like HTTP');
  expect(durable(Buffer.from("good day"))).toBe('what was heard is "good day"');
});

test("what may quote a password of our own is not shown: a request, and all that comes on a plain link", () => {
  const request = Buffer.from("GET /?token=s3cr3t HTTP/1.1\r\n");
  expect([durable(request), plain(request)]).toEqual(Array(2).fill("what was heard looks like HTTP"));
  expect(plain(Buffer.from("500 'PASS s3cr3t': unknown\r\n"))).toBe("what was heard looks like SMTP or FTP");
  expect(plain(Buffer.from("good day"))).toBeUndefined();
});

test("nothing of it changes the terminal or the line, and it is no longer than it may be", () => {
  const shown = (bytes: Buffer): string | undefined => durable(bytes)?.replace("what was heard is ", "");
  expect(shown(Buffer.from("\x1b[2J\0\t\x7f\xe9", "latin1"))).toBe('"\\x1b[2J\\x00\\x09\\x7f\\xe9"');
  expect(shown(Buffer.from("x".repeat(40)))).toBe(`"${"x".repeat(40)}"`);
  expect(shown(Buffer.from("x".repeat(41)))).toBe(`"${"x".repeat(40)}…"`);
});
