import { describe, expect, test, vi } from "vitest";
import { lines } from "../../src/plain/lines.ts";
import { chunked, decode, decoded, decodedToEnd, MOST, streamOf } from "./decoding.ts";
import { refusal } from "../support.ts";

describe("received", () => {
  test('without their ends, be they "\\n" or "\\r\\n"; an empty line is a message', () => {
    expect(decoded(lines(), "one\r\ntwo\n\n\r\nfive\n")).toEqual({ messages: ["one", "two", "", "", "five"] });
  });

  test('any other "\\r" belongs to the line', () => {
    expect(decoded(lines(), "a\rb\n\rc\r\r\n")).toEqual({ messages: ["a\rb", "\rc\r"] });
  });

  test("an end that is cut in two is one end", () => {
    expect(decode(lines().decoder({ maxMessageBytes: 3 }), ["abc\r", "\nd", "\r", "\n"].map(Buffer.from))).toEqual({
      messages: ["abc", "d"],
    });
  });

  test("a message is a view of the chunk that it lies in", () => {
    const chunk = Buffer.from("one\ntwo\n");
    const found: Buffer[] = [];
    lines()
      .decoder({ maxMessageBytes: 9 })
      .decode(chunk, (message) => void found.push(message));
    expect(found.map(({ buffer }) => buffer)).toEqual([chunk.buffer, chunk.buffer]);
  });
});

describe("the limit is the line without its end", () => {
  test.each([
    ["abcd\n", { messages: ["abcd"] }],
    ["abcd\r\n", { messages: ["abcd"] }],
    ["abcd", { messages: [] }],
    ["abcd\r", { messages: [] }],
    ["x\nabcde\n", { messages: ["x"], fault: "a message of more than maxMessageBytes, 4 bytes" }],
    ["x\nabcde\r\n", { messages: ["x"], fault: "a message of more than maxMessageBytes, 4 bytes" }],
    ["x\nabcdef", { messages: ["x"], fault: "a message of more than maxMessageBytes, 4 bytes" }],
  ])("%j", (stream, expected) => {
    expect(decoded(lines(), stream, 4)).toEqual(expected);
    expect(decode(lines().decoder({ maxMessageBytes: 4 }), chunked(Buffer.from(stream), 1))).toEqual(expected);
  });

  test("what is too long is refused before any of it is kept", () => {
    const taken = vi.spyOn(Buffer, "allocUnsafeSlow");
    expect(decoded(lines(), "x".repeat(5_000), 4_000).fault).toContain("4000");
    expect(taken).not.toHaveBeenCalled();
    taken.mockRestore();
  });
});

describe("at the peer's end", () => {
  test("a line without its end may be a part of one: a fault", () => {
    const part = { messages: ["one"], fault: "the peer has ended within a message, of which 3 bytes have come" };
    expect(decodedToEnd(lines(), "one\ntwo")).toEqual(part);
    expect(decodedToEnd(lines(), "one\n")).toEqual({ messages: ["one"] });
  });

  test("with allowUnendedLast it counts", () => {
    const each = lines({ allowUnendedLast: true });
    expect(decodedToEnd(each, "one\ntwo")).toEqual({ messages: ["one", "two"] });
    expect(decodedToEnd(each, "one\ntwo\r")).toEqual({ messages: ["one", "two"] });
    expect(decodedToEnd(each, "one\n")).toEqual({ messages: ["one"] });
  });

  test("… unless it is too long", () => {
    const { messages, fault } = decodedToEnd(lines({ allowUnendedLast: true }), "abcde", 4);
    expect([messages, fault]).toEqual([[], "a message of more than maxMessageBytes, 4 bytes"]);
  });
});

describe("sent", () => {
  test("with the ending, and nothing is copied", () => {
    expect(String(streamOf(lines(), ["one"]))).toBe("one\n");
    expect(String(streamOf(lines({ ending: "\r\n" }), ["one"]))).toBe("one\r\n");
    const message = Buffer.from("one");
    expect((lines().encode(message) as Buffer[])[0]).toBe(message);
  });

  test.each([
    ["one\ntwo", 'the message has a line end, "\\n", at byte 3'],
    ["\n", 'the message has a line end, "\\n", at byte 0'],
    ["one\r", 'the message ends with "\\r", which would become a part of its line end'],
  ])("%j is refused: it would not be one line", (message, text) => {
    const { code, message: said } = refusal(() => lines({ ending: "\r\n" }).encode(Buffer.from(message)));
    expect([code, said]).toEqual(["INVALID_ARGUMENT", text]);
  });

  test('a "\\r" in the middle is sent', () => {
    expect(decoded(lines(), streamOf(lines(), ["a\rb"]))).toEqual({ messages: ["a\rb"] });
  });
});

test("a line of 8 MiB in chunks of 1,460 bytes: no byte is looked at twice, few are copied twice", () => {
  const line = Buffer.alloc(8 * MOST, "x");
  const chunks = chunked(Buffer.concat([line, Buffer.from("\n")]), 1_460);
  const taken = vi.spyOn(Buffer, "allocUnsafeSlow");
  let looked = 0;
  const indexOf = vi.spyOn(Buffer.prototype, "indexOf").mockImplementation(function indexOf(this: Buffer, ...given) {
    const [byte, from] = given.map(Number);
    looked += this.length - (from ?? 0);
    return Uint8Array.prototype.indexOf.call(this, byte as number, from ?? 0);
  });
  const decoder = lines().decoder({ maxMessageBytes: 16 * MOST });
  const found: Buffer[] = [];
  for (const chunk of chunks) decoder.decode(chunk, (message) => void found.push(message));
  indexOf.mockRestore();
  const allocated = taken.mock.calls.map(([bytes]) => bytes);
  taken.mockRestore();
  expect(found.map((message) => message.equals(line))).toEqual([true]);
  expect(looked).toBeLessThanOrEqual(line.length + 1);
  expect(allocated.length).toBeLessThan(20);
  expect(allocated.reduce((sum, bytes) => sum + bytes, 0)).toBeLessThan(6 * line.length);
  // The message has no more memory than it needs.
  expect(found[0]?.buffer.byteLength).toBeLessThanOrEqual(line.length + 65_536);
});

test.each([
  [{ ending: "\r" }, "lines.ending"],
  [{ ending: 10 }, "lines.ending"],
  [{ allowUnendedLast: 1 }, "lines.allowUnendedLast"],
  [{ separator: "\n" }, "lines.separator"],
  ["\n", "lines"],
  [null, "lines"],
])("%j is refused", (options, name) => {
  const { code, option } = refusal(() => lines(options as never));
  expect([code, option?.name]).toEqual(["INVALID_OPTION", name]);
  expect(option?.allowed).not.toBe("");
});
