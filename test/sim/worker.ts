/** A thread that runs seeds. What fails is shrunk here, while the others go on. */
import { parentPort } from "node:worker_threads";
import { addCounts, type Counts } from "./coverage.ts";
import { Failure, runSeed, runTwice } from "./run.ts";
import { draw } from "./draw.ts";
import type { Schedule } from "./schedule.ts";
import { shrink } from "./shrink.ts";

export interface Work {
  first: number;
  last: number;
  twice: boolean;
  /** In these ways others have failed already. */
  known: readonly string[];
}

export interface WorkDone {
  first: number;
  last: number;
  counts: Array<[string, number]>;
  failures: FailureFound[];
}

export interface FailureFound {
  seed: number;
  violation: string;
  message: string;
  /** Shrunk; undefined if others have failed in the same way. */
  schedule: Schedule | undefined;
  runs: number;
  trace: readonly string[];
}

const SHRINKS_FOR_MS = 60_000;
const NOTES = 60;

if (parentPort !== null) {
  const port = parentPort;
  port.on("message", (work: Work) => port.postMessage(run(work)));
}

function run({ first, last, twice, known }: Work): WorkDone {
  const counts: Counts = new Map();
  const failures: FailureFound[] = [];
  const seen = new Set(known);
  for (let seed = first; seed <= last; seed++) {
    try {
      addCounts(counts, (twice ? runTwice(draw(seed)) : runSeed(seed)).counts);
    } catch (error) {
      if (!(error instanceof Failure)) throw error;
      failures.push(found(seed, error, seen.has(error.violation)));
      seen.add(error.violation);
    }
  }
  return { first, last, counts: [...counts], failures };
}

function found(seed: number, failure: Failure, isKnown: boolean): FailureFound {
  const { violation } = failure;
  if (isKnown) return { seed, violation, message: failure.message, schedule: undefined, runs: 0, trace: [] };
  const untilMs = performance.now() + SHRINKS_FOR_MS;
  const shrunk = shrink(failure, 2_000, () => performance.now() > untilMs);
  const { message, schedule, trace } = shrunk.failure;
  return { seed, violation, message, schedule, runs: shrunk.runs, trace: trace.slice(-NOTES) };
}
