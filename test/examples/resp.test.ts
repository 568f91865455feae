import { expect, test } from "vitest";
import { command, parse, RedisError, type Reply, resp } from "../../examples/support/resp.ts";

const LIMITS = { maxMessageBytes: 100 };
/** A reply of each type, and what it says. */
const REPLIES: Array<[string, Reply]> = [
  ["+OK\r\n", "OK"],
  ["+\r\n", ""],
  ["-WRONGTYPE not a list\r\n", new RedisError("WRONGTYPE not a list")],
  [":-12\r\n", -12],
  [":9223372036854775807\r\n", 9_223_372_036_854_775_807n],
  ["$5\r\nhello\r\n", "hello"],
  ["$0\r\n\r\n", ""],
  ["$6\r\n\r\nüx\r\r\n", "\r\nüx\r"],
  ["$-1\r\n", null],
  ["*2\r\n$1\r\na\r\n*2\r\n:1\r\n:2\r\n", ["a", [1, 2]]],
  ["*0\r\n", []],
  ["*-1\r\n", null],
  ["_\r\n", null],
  ["#t\r\n", true],
  ["#f\r\n", false],
  [",1.5\r\n", 1.5],
  [",-inf\r\n", -Infinity],
  ["(12345678901234567890\r\n", 12_345_678_901_234_567_890n],
  ["!9\r\nSYNTAX no\r\n", new RedisError("SYNTAX no")],
  ["=8\r\ntxt:some\r\n", "some"],
  ["%1\r\n+key\r\n*1\r\n#t\r\n", new Map<Reply, Reply>([["key", [true]]])],
  ["~2\r\n:1\r\n:2\r\n", [1, 2]],
  [">2\r\n+invalidate\r\n*1\r\n+key\r\n", ["invalidate", ["key"]]],
  ["|1\r\n+ttl\r\n:5\r\n$3\r\nabc\r\n", "abc"],
];
const STREAM = Buffer.from(REPLIES.map(([text]) => text).join(""));
/** A multi-byte character counts as its bytes. */
const BYTES = REPLIES.map(([text]) => Buffer.from(text));

function decode(chunks: readonly Buffer[], limits = LIMITS): Buffer[] {
  const found: Buffer[] = [];
  const decoder = resp.decoder(limits);
  for (const chunk of chunks) decoder.decode(chunk, (message) => void found.push(message));
  decoder.end(() => {});
  return found;
}

test.each(REPLIES)("%j", (text, value) => {
  expect(parse(Buffer.from(text))).toEqual(value);
});

test("wherever the stream is cut, the same replies come out", () => {
  for (let at = 0; at <= STREAM.length; at++) {
    expect(decode([STREAM.subarray(0, at), STREAM.subarray(at)])).toEqual(BYTES);
  }
  expect(decode(Array.from(STREAM, (byte) => Buffer.of(byte)))).toEqual(BYTES);
});

test.each([
  ["no type of RESP3", "HTTP/1.1 400 Bad Request\r\n", /unknown type: "H"/],
  ["a count that is none", "$x\r\n", /"x" is no count/],
  ["a count below -1", "*-2\r\n", /"-2" is no count/],
  ["a string above the limit, before it has come", "$1000\r\n", /too large/],
  ["a line above the limit, without an end", `+${"x".repeat(100)}`, /too large/],
  ["a list above the limit", "*20\r\n".repeat(21), /too large/],
  ["a part of a string at the end", "$5\r\nhel", /ended within/],
  ["a part of a list at the end", "*2\r\n:1\r\n", /ended within/],
])("%s is a fault", (_, text, fault) => {
  expect(() => decode([Buffer.from(text)])).toThrow(fault);
});

test("a string of 8 MiB in chunks of 1,460 bytes takes no longer than its bytes", () => {
  const reply = Buffer.from(`$8388608\r\n${"x".repeat(8_388_608)}\r\n`);
  const chunks: Buffer[] = [];
  for (let at = 0; at < reply.length; at += 1_460) chunks.push(Buffer.from(reply.subarray(at, at + 1_460)));
  const fromMs = performance.now();
  const [found] = decode(chunks, { maxMessageBytes: reply.length });
  // Searching or joining everything again at each chunk takes ten seconds and more.
  expect(performance.now() - fromMs).toBeLessThan(2_000);
  expect(found?.equals(reply)).toBe(true);
});

test("a command counts bytes, not characters", () => {
  expect(command(["SET", "ü", ""])).toBe("*3\r\n$3\r\nSET\r\n$2\r\nü\r\n$0\r\n\r\n");
});
