import { expect, test } from "vitest";
import { Sweep } from "../../../src/core/server/sweep.ts";

function tableOf(size: number, untilMs = Infinity): { table: Map<string, number>; sweep: Sweep<number> } {
  const table = new Map(Array.from({ length: size }, (_, at) => [String(at), untilMs]));
  return { table, sweep: new Sweep(table, (entryUntilMs, nowMs) => entryUntilMs <= nowMs) };
}

test("what is over goes, up to the first that is not", () => {
  const { table, sweep } = tableOf(0);
  for (const [who, untilMs] of [
    ["a", 1_000],
    ["b", 2_000],
    ["c", 5_000],
    ["d", 2_000],
  ] as const) {
    table.set(who, untilMs);
  }
  sweep.run(2_000);
  expect([...table.keys()]).toEqual(["c", "d"]);
});

test("once a second at the most", () => {
  const { table, sweep } = tableOf(0);
  sweep.run(1_000);
  table.set("a", 1_001);
  sweep.run(1_999);
  expect(table.size).toBe(1);
  sweep.run(2_000);
  expect(table.size).toBe(0);
});

test("of a full table the oldest eighth goes at once, over or not", () => {
  const { table, sweep } = tableOf(4_096);
  sweep.run(1);
  expect(table.size).toBe(3_584);
  expect(table.has("511")).toBe(false);
  expect(table.has("512")).toBe(true);
});
