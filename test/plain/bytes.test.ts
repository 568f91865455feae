import { expect, test } from "vitest";
import { bytes } from "../../src/plain/bytes.ts";
import { decode, decodedToEnd } from "./decoding.ts";

test("chunks as they come, without copies", () => {
  const chunk = Buffer.from("one");
  const found: Buffer[] = [];
  bytes()
    .decoder({ maxMessageBytes: 3 })
    .decode(chunk, (message) => void found.push(message));
  expect(found[0]).toBe(chunk);
});

test("a chunk above the limit comes in pieces, one without bytes not at all", () => {
  const chunks = ["abcdefgh", "", "ij"].map((text) => Buffer.from(text));
  expect(decode(bytes().decoder({ maxMessageBytes: 3 }), chunks, true)).toEqual({
    messages: ["abc", "def", "gh", "ij"],
  });
});

test("the peer may end anywhere", () => {
  expect(decodedToEnd(bytes(), "ab")).toEqual({ messages: ["ab"] });
});

test("sent as they are", () => {
  const message = Buffer.from("one");
  expect(bytes().encode(message)).toBe(message);
});
