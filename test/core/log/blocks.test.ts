import { expect, test } from "vitest";
import { BlockPool, POOL_BYTES } from "../../../src/core/log/blocks.ts";

test.each([
  ["the largest", 65_536],
  ["the first", 2_048],
])("a block of %s size that was given back is the next one taken", (_, bytes) => {
  const pool = new BlockPool();
  const block = pool.take(bytes);
  expect(block).toHaveLength(bytes);
  expect(pool.take(bytes)).not.toBe(block);
  pool.give(block);
  expect(pool.take(bytes)).toBe(block);
  expect(pool.keeps(bytes)).toBe(true);
});

test("blocks of other sizes are not kept", () => {
  const pool = new BlockPool();
  const block = pool.take(4_096);
  pool.give(block);
  expect(pool.take(4_096)).not.toBe(block);
  expect(pool.keeps(4_096)).toBe(false);
});

test("a block has memory of its own", () => {
  expect(new BlockPool().take(2_048).buffer.byteLength).toBe(2_048);
});

test("no more is kept than is counted for it", () => {
  const pool = new BlockPool();
  const given = [65_536, 2_048].flatMap((bytes) => Array.from({ length: 100 }, () => pool.take(bytes)));
  for (const block of given) pool.give(block);
  const taken = [65_536, 2_048].flatMap((bytes) => Array.from({ length: 100 }, () => pool.take(bytes)));
  const kept = taken.filter((block) => given.includes(block));
  expect(kept.reduce((sum, { length }) => sum + length, 0)).toBe(POOL_BYTES);
  // The others were freed.
  expect(given.filter(({ length }) => length === 0)).toHaveLength(given.length - kept.length);
});
