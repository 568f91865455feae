import { expect, test } from "vitest";
import { ownChunk } from "../../src/core/wire/own-chunks.ts";
import { LentMemory } from "../../src/tunnel/lent-memory.ts";

/** Memory of the library's own chunks; freed memory has no bytes. */
function chunks(): ArrayBuffer[] {
  const made = Array.from({ length: 3 }, () => new ArrayBuffer(16));
  for (const memory of made) ownChunk(memory);
  return made;
}

const sizes = (memory: readonly ArrayBuffer[]): number[] => memory.map(({ byteLength }) => byteLength);

test("what was written is freed, but for the last, of which more may come", () => {
  const lent = new LentMemory();
  const made = chunks();
  for (const memory of made) lent.use(memory);
  expect(sizes(made)).toEqual([16, 16, 16]);
  lent.written(false);
  expect(sizes(made)).toEqual([0, 0, 16]);
  lent.use(made[2] as ArrayBuffer);
  lent.written(true);
  expect(sizes(made)).toEqual([0, 0, 0]);
  lent.written(true);
});

test("what is forgotten is left to the garbage collector", () => {
  const lent = new LentMemory();
  const made = chunks();
  for (const memory of made) lent.use(memory);
  lent.forget();
  lent.written(true);
  expect(sizes(made)).toEqual([16, 16, 16]);
});

test("memory that is not the library's own is left as it is", () => {
  const lent = new LentMemory();
  const memory = new ArrayBuffer(16);
  lent.use(memory);
  lent.written(true);
  expect(memory.byteLength).toBe(16);
});
