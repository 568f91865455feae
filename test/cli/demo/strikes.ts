import type { Fault, Outcome } from "../../../src/cli/demo/faults.ts";
import type { Strike } from "../../../src/cli/demo/report.ts";

/** A fault that took a hundred milliseconds. */
export function strike(fault: Fault, outcome: Outcome = "never-stopped", madeMs = 1_000): Strike {
  return { fault, madeMs, overMs: madeMs + 100, outcome };
}
