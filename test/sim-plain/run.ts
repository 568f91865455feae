/** Runs schedules, and makes a failing one simpler. */
import { draw, type Schedule, simpler } from "./draw.ts";
import { World } from "./world.ts";

export interface Failure {
  schedule: Schedule;
  message: string;
  trace: readonly string[];
}

/** Answers undefined if everything holds. */
function run(schedule: Schedule): Failure | undefined {
  const world = new World(schedule);
  try {
    world.run();
    return undefined;
  } catch (error) {
    const message = error instanceof Error && error.stack !== undefined ? error.stack : String(error);
    return { schedule, message, trace: world.client.trace };
  }
}

export function runSeed(seed: number): Failure | undefined {
  return run(draw(seed));
}

const MOST_RUNS = 200;

export function shrink(failure: Failure): Failure {
  let least = failure;
  for (let runs = 0; runs < MOST_RUNS;) {
    const next = simpler(least.schedule).find((schedule) => runs++ < MOST_RUNS && run(schedule) !== undefined);
    if (next === undefined) return least;
    least = run(next) ?? least;
  }
  return least;
}
