/** The memory that this process may use: the defaults of several limits follow from it. */
import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";

export interface Machine {
  /** The memory of the machine, or of the container. */
  readonly memoryBytes: number;
  /** The heap that V8 allows for long-lived objects; the contents of buffers are outside of it. */
  readonly oldGenerationBytes: number;
}

const MiB = 1_048_576;
/**
 * The young generation's part of V8's `heap_size_limit`, by major version of Node (with `--max-old-space-size=128`).
 */
const YOUNG_GENERATION_BYTES: Readonly<Record<string, number>> = { 22: 48 * MiB, 24: 192 * MiB, 26: 96 * MiB };
const MOST_YOUNG_BYTES = 192 * MiB;

export function readMachine(): Machine {
  const limit = getHeapStatistics().heap_size_limit;
  const young = YOUNG_GENERATION_BYTES[process.versions.node.split(".")[0] as string] ?? MOST_YOUNG_BYTES;
  return {
    memoryBytes: leastMemory(totalmem(), constrainedBytes()),
    oldGenerationBytes: Math.max(limit / 4, limit - young),
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
