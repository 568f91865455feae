import { expect, test } from "vitest";
import { setNewest } from "../../src/client/newest.ts";

test("of more entries than are remembered, the one is forgotten that was set longest ago", () => {
  const map = new Map<string, number>();
  for (const [key, value] of [
    ["a", 1],
    ["b", 2],
    ["a", 3],
    ["c", 4],
    ["d", 5],
  ] as const)
    setNewest(map, key, value, 3);
  expect([...map]).toEqual([
    ["a", 3],
    ["c", 4],
    ["d", 5],
  ]);
});
