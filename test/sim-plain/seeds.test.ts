/** Some seeds of the plain simulation, in every test run. `npm run sim:plain` runs more. */
import { describe, expect, test } from "vitest";
import { draw, FAULTS } from "./draw.ts";
import { runSeed, shrink } from "./run.ts";

const SEEDS = 300;

describe("a simulated plain server", () => {
  test("the report is never wrong", { timeout: 60_000 }, () => {
    for (let seed = 1; seed <= SEEDS; seed++) {
      const failure = runSeed(seed);
      if (failure === undefined) continue;
      const { message, schedule, trace } = shrink(failure);
      throw new Error(`seed ${seed}: ${message}\n${JSON.stringify(schedule)}\n${trace.slice(-40).join("\n")}`);
    }
  });

  test("each fault and each protocol is drawn", () => {
    const drawn = Array.from({ length: SEEDS }, (_, n) => draw(n + 1));
    expect(new Set(drawn.flatMap(({ faults }) => faults.map(({ kind }) => kind)))).toEqual(new Set(FAULTS));
    expect(new Set(drawn.map(({ options }) => `${options.protocol}, ${options.isServed}`)).size).toBe(8);
  });
});
