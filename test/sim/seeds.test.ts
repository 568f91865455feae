/** Seeds 1 to 2,000 (`SIM_SEEDS=N` for others), or the one of `SIM_SEED`, whose trace is then printed. */
import { expect, test } from "vitest";
import { runSeed } from "./run.ts";

const one = process.env["SIM_SEED"];
const seeds = Number(process.env["SIM_SEEDS"] ?? 2_000);
const PER_TEST = 100;

if (one === undefined) {
  const counts = new Map<string, number>();
  for (let first = 1; first <= seeds; first += PER_TEST) {
    const last = Math.min(seeds, first + PER_TEST - 1);
    test(`seeds ${first} to ${last}`, () => {
      for (let seed = first; seed <= last; seed++) {
        for (const [what, times] of runSeed(seed).counts) counts.set(what, (counts.get(what) ?? 0) + times);
      }
    });
  }
  test("everything that can happen has happened", () => {
    const rows = [...counts].toSorted(([a], [b]) => a.localeCompare(b));
    console.log(`${seeds} seeds\n${rows.map(([what, times]) => `${String(times).padStart(9)} ${what}`).join("\n")}`);
    const expected = [
      "client connected new opened",
      "client connected resumed resumed",
      "client connected resumed standby",
      "client recovered",
      "client replaced",
      "forgot",
    ];
    expect(expected.filter((what) => !counts.has(what))).toEqual([]);
  });
} else {
  test(`seed ${one}`, () => {
    console.log(runSeed(Number(one)).trace.join("\n"));
  });
}
