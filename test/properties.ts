/**
 * How properties are run: the same cases each time, so that `npm test` says the same of the same code. `FC_SEED=N` draws
 * others, and `FC_RUNS=N` draws N times as many. What fails prints its seed and path, as fast-check does.
 */
import fc from "fast-check";

const SEED = 1;

fc.configureGlobal({
  seed: wholeNumber("FC_SEED", SEED),
  numRuns: runs(100),
  // Beside being the cause: reports have room for messages only, and `npm run mutants` wants to know what was thrown.
  includeErrorInReport: true,
});

/** How often a property is tried that wants `times` of them. */
export function runs(times: number): number {
  return times * wholeNumber("FC_RUNS", 1);
}

function wholeNumber(name: string, byDefault: number): number {
  const given = process.env[name];
  if (given === undefined || given === "") return byDefault;
  if (!/^\d{1,9}$/u.test(given) || given === "0") throw new Error(`${name}=${given}: a whole number above 0`);
  return Number(given);
}
