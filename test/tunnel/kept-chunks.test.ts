import { expect, test } from "vitest";
import { keep, letGo } from "../../src/tunnel/kept-chunks.ts";
import { CHUNK_BYTES } from "../../src/tunnel/read-memory.ts";

test("what is kept does not change with what was copied, nor with what is kept besides", () => {
  const bytes = Buffer.from("first");
  const first = keep(bytes);
  bytes.fill(0);
  const second = keep(Buffer.from("second"));
  expect([first, second].map(({ bytes: kept }) => String(kept))).toEqual(["first", "second"]);
  for (const kept of [first, second]) letGo(kept);
});

test("memory is used again, also for the largest chunk, and 2 MiB of it at most wait for that", () => {
  const chunk = Buffer.alloc(CHUNK_BYTES, 7);
  const all = Array.from({ length: 40 }, () => keep(chunk));
  expect(all.every(({ bytes }) => bytes.equals(chunk))).toBe(true);
  const memories = new Set(all.map(({ memory }) => memory));
  expect(memories.size).toBe(40);
  for (const kept of all) letGo(kept);
  const again = Array.from({ length: 40 }, () => keep(chunk));
  expect(again.filter(({ memory }) => memories.has(memory))).toHaveLength(32);
  for (const kept of again) letGo(kept);
});
