import { expect, test } from "vitest";
import { heardText } from "../../src/link/heard.ts";

test("what was heard, and who speaks so", () => {
  expect(heardText(Buffer.from("HTTP/1.1 400 Bad Request\r\n"))).toBe(
    '"HTTP/1.1 400 Bad Request\\r\\n", which looks like HTTP',
  );
  expect(heardText(Buffer.from("good day"))).toBe('"good day"');
});

test("nothing of it changes the terminal or the line, and it is no longer than it may be", () => {
  expect(heardText(Buffer.from("\x1b[2J\0\t\x7f\xe9", "latin1"))).toBe('"\\x1b[2J\\x00\\x09\\x7f\\xe9"');
  expect(heardText(Buffer.from("x".repeat(40)))).toBe(`"${"x".repeat(40)}"`);
  expect(heardText(Buffer.from("x".repeat(41)))).toBe(`"${"x".repeat(40)}…"`);
});
