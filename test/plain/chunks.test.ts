import { expect, test } from "vitest";
import { ownChunk } from "../../src/core/wire/own-chunks.ts";
import { bytes } from "../../src/plain/bytes.ts";
import { release, view } from "../../src/plain/chunks.ts";
import { delimited } from "../../src/plain/delimited.ts";
import { fixed } from "../../src/plain/fixed.ts";
import { lengthPrefixed } from "../../src/plain/length-prefixed.ts";
import { lines } from "../../src/plain/lines.ts";

function owned(text: string): Buffer {
  const memory = new ArrayBuffer(text.length);
  const chunk = Buffer.from(memory);
  chunk.write(text);
  ownChunk(memory);
  return chunk;
}

test("a view", () => {
  const chunk = Buffer.from("one two");
  const found = view(chunk.buffer, chunk.byteOffset + 4, 3);
  expect([String(found), found.buffer === chunk.buffer, Buffer.isBuffer(found)]).toEqual(["two", true, true]);
});

test("memory is freed if the chunk is all of it", () => {
  const whole = owned("one");
  release(whole);
  expect(whole.length).toBe(0);
  const part = owned("one");
  release(part.subarray(0, 2));
  expect(String(part)).toBe("one");
});

test.each([
  ["lines", lines(), "abc", "d\n", "e\nf"],
  ["delimited", delimited("--"), "abc", "d--", "e--f"],
  ["lengthPrefixed", lengthPrefixed({ bytes: 1 }), "\u0004abc", "d", "\u0001ef"],
  ["fixed", fixed(4), "abc", "d", "efghi"],
])("%s: a chunk is freed when all of it was copied, and not when a message is a view of it", (_, framing, ...texts) => {
  const decoder = framing.decoder({ maxMessageBytes: 200 });
  const found: Buffer[] = [];
  const left = texts.map((text) => {
    const chunk = owned(text);
    decoder.decode(chunk, (message) => void found.push(message));
    return chunk.length;
  });
  expect(left).toEqual([0, 0, texts[2]?.length]);
  expect(String(found[0])).toBe("abcd");
  expect(String(found[1])).toMatch(/^e/u);
});

test("… and where messages are copied out of it because of their header", () => {
  const chunk = owned("t\u0001a");
  const found: Buffer[] = [];
  const framing = lengthPrefixed({ bytes: 1, headerBytes: 1 });
  framing.decoder({ maxMessageBytes: 9 }).decode(chunk, (message) => void found.push(message));
  expect([chunk.length, found.map(String)]).toEqual([0, ["ta"]]);
});

test("bytes() hands out all chunks", () => {
  const chunk = owned("one");
  bytes()
    .decoder({ maxMessageBytes: 9 })
    .decode(chunk, () => {});
  expect(chunk.length).toBe(3);
});
