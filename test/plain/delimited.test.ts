import { describe, expect, test, vi } from "vitest";
import { withoutSecrets } from "../../src/link/errors.ts";
import { delimited } from "../../src/plain/delimited.ts";
import { chunked, decode, decoded, decodedToEnd, streamOf } from "./decoding.ts";
import { refusal } from "../support.ts";

test("messages are what stands before each delimiter, also nothing", () => {
  expect(decoded(delimited("\0"), "one\0\0three\0")).toEqual({ messages: ["one", "", "three"] });
  expect(decoded(delimited(Buffer.from("--")), "one--two\r\n--")).toEqual({ messages: ["one", "two\r\n"] });
  expect(decoded(delimited("→"), Buffer.from("eins→zwei→")).messages).toHaveLength(2);
});

test("the first delimiter counts, where two overlap and wherever they are cut", () => {
  const stream = Buffer.from("xaabaabcaaabaab!");
  const whole = decoded(delimited("aab"), stream);
  expect(whole).toEqual({ messages: ["x", "", "ca", ""] });
  for (let bytes = 1; bytes < stream.length; bytes++) {
    expect(decode(delimited("aab").decoder({ maxMessageBytes: 9 }), chunked(stream, bytes))).toEqual(whole);
  }
});

test("a delimiter that comes byte by byte, and the beginning of one that does not go on", () => {
  const chunks = ["a", "-", "b-", "-", "-", "-c"].map((text) => Buffer.from(text));
  expect(decode(delimited("--").decoder({ maxMessageBytes: 9 }), chunks)).toEqual({ messages: ["a-b", ""] });
});

test.each([
  ["abcd--", { messages: ["abcd"] }],
  ["abcd-", { messages: [] }],
  ["abcde--", { messages: [], fault: "a message of more than maxMessageBytes, 4 bytes" }],
  ["abcdef", { messages: [], fault: "a message of more than maxMessageBytes, 4 bytes" }],
])("the limit is the message without its delimiter: %s", (stream, expected) => {
  expect(decoded(delimited("--"), stream, 4)).toEqual(expected);
  expect(decode(delimited("--").decoder({ maxMessageBytes: 4 }), chunked(Buffer.from(stream), 1))).toEqual(expected);
});

test("what is too long is refused before it is kept, also behind a part that is", () => {
  const taken = vi.spyOn(Buffer, "allocUnsafeSlow");
  const decoder = delimited("\0").decoder({ maxMessageBytes: 1_000 });
  const chunks = ["abc", "x".repeat(5_000), "\0"];
  expect(decode(decoder, [Buffer.from(chunks[0] as string), Buffer.from(chunks.slice(1).join(""))]).fault).toContain(
    "1000",
  );
  for (const [bytes] of taken.mock.calls) expect(bytes).toBeLessThanOrEqual(64);
  taken.mockRestore();
});

test("a rest at the peer's end is not delivered", () => {
  const fault = "the peer has ended within a message, of which 4 bytes have come";
  expect(decodedToEnd(delimited("--"), "one--two-")).toEqual({ messages: ["one"], fault });
});

describe("sent", () => {
  test("with the delimiter, which is a copy of what was given", () => {
    const delimiter = Buffer.from("--");
    const framing = delimited(delimiter);
    delimiter.fill("x");
    expect(String(streamOf(framing, ["one"]))).toBe("one--");
  });

  test.each([
    ["\0", "a\0b", 1],
    ["--", "a--", 1],
    // The delimiter would begin before the message ends.
    ["--", "a-", 1],
    ["aba", "xab", 1],
    ["abab", "xxab", 2],
  ])("with %j %j would end early", (delimiter, message, at) => {
    const { code, message: text } = refusal(() => delimited(delimiter).encode(Buffer.from(message)));
    expect([code, text]).toEqual([
      "INVALID_ARGUMENT",
      `the message would end at its byte ${at}, where the delimiter begins`,
    ]);
  });

  test.each([
    ["aab", "xaa"],
    ["-=", "a-"],
    ["abc", "ab"],
  ])("with %j %j does not: the first delimiter is the one behind it", (delimiter, message) => {
    const framing = delimited(delimiter);
    expect(decoded(framing, streamOf(framing, [message, message]))).toEqual({ messages: [message, message] });
  });
});

test.each([
  ["", "delimiter"],
  [Buffer.alloc(0), "delimiter"],
  [Buffer.alloc(257), "delimiter"],
  [10, "delimiter"],
  [undefined, "delimiter"],
])("%j is no delimiter", (delimiter, name) => {
  const { code, option } = refusal(() => delimited(delimiter as never));
  expect([code, option]).toEqual([
    "INVALID_OPTION",
    { name, value: withoutSecrets(delimiter), allowed: "a string or bytes, of 1 to 256 bytes" },
  ]);
});

test("a delimiter of 256 bytes", () => {
  const framing = delimited(Buffer.alloc(256, "ab"));
  const stream = streamOf(framing, ["one", "two"]);
  expect(decode(framing.decoder({ maxMessageBytes: 9 }), chunked(stream, 100))).toEqual({ messages: ["one", "two"] });
});
