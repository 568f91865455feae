import { expect, test } from "vitest";
import { ownChunk, releaseChunk } from "../../../src/core/wire/own-chunks.ts";

test("a chunk of our own is given back, once", () => {
  const memory = new ArrayBuffer(64);
  const view = Buffer.from(memory);
  ownChunk(memory);
  releaseChunk(memory);
  expect([memory.byteLength, view.length]).toEqual([0, 0]);
  expect(() => releaseChunk(memory)).not.toThrow();
});

test("any other stays as it is", () => {
  const memory = new ArrayBuffer(64);
  releaseChunk(memory);
  expect(memory.byteLength).toBe(64);
});
