/** `resplice demo`: faults drawn from a seed, shown while they are made, and a table at the end. */
import type { DemoArguments } from "../arguments.ts";
import { FaultPlan } from "./faults.ts";
import { DemoProcesses } from "./processes.ts";
import { describe } from "./report.ts";
import { runFaults } from "./run.ts";

export function demo(options: DemoArguments): Promise<number> {
  return runFaults(
    { ...options, plan: new FaultPlan(options.seed), traffic: new DemoProcesses(options) },
    ({ result, what, startMs, endMs }) => {
      process.stdout.write(options.json ? `${JSON.stringify(result)}\n` : describe(result, what, endMs - startMs));
    },
  );
}
