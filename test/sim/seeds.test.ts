/** Seeds 1 to 2,000, one after the other. `npm run sim` runs more of them, and one by itself with its trace. */
import { expect, test } from "vitest";
import { addCounts, type Counts, coverageTable, missing } from "./coverage.ts";
import { draw } from "./draw.ts";
import { Failure, runSeed, runTwice } from "./run.ts";

const SEEDS = 2_000;
const PER_TEST = 100;
/** So many are run a second time. */
const TWICE = 50;

const counts: Counts = new Map();
let tookMs = 0;

function run(seed: number): void {
  try {
    addCounts(counts, (seed <= TWICE ? runTwice(draw(seed)) : runSeed(seed)).counts);
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    const replay = `npm run sim -- --seed ${seed} --trace`;
    throw new Error(`seed ${seed}: ${error.message}\n${error.trace.slice(-60).join("\n")}\n${replay}`, {
      cause: error,
    });
  }
}

for (let first = 1; first <= SEEDS; first += PER_TEST) {
  const last = first + PER_TEST - 1;
  test(`seeds ${first} to ${last}`, () => {
    const beganMs = performance.now();
    for (let seed = first; seed <= last; seed++) run(seed);
    tookMs += performance.now() - beganMs;
  });
}

test("everything that can happen has happened", () => {
  console.log(coverageTable(counts));
  console.log(`${SEEDS} seeds, ${((1_000 * SEEDS) / tookMs).toFixed(0)} seeds a second`);
  expect(missing(counts)).toEqual([]);
});
