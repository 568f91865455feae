/** The memory that this process may use: the defaults of several limits follow from it. */
import { totalmem } from "node:os";
import { oldGenerationLimit, readHeapSettings } from "./heap-limit.ts";

export interface Machine {
  /** The memory of the machine, or of the container. */
  readonly memoryBytes: number;
  /** The heap that V8 allows for long-lived objects; the contents of buffers are outside of it. */
  readonly oldGenerationBytes: number;
}

export function readMachine(): Machine {
  return {
    memoryBytes: leastMemory(totalmem(), constrainedBytes()),
    oldGenerationBytes: oldGenerationLimit(readHeapSettings()),
  };
}

/** The smaller of the two limits. A container without a limit reports 0, or more than the machine has. */
export function leastMemory(machineBytes: number, constrained: number): number {
  return constrained > 0 && constrained < machineBytes ? constrained : machineBytes;
}

function constrainedBytes(): number {
  try {
    return process.constrainedMemory();
  } catch {
    // Node reads the limit from files, and the process may have no file descriptor left.
    return 0;
  }
}
