/** What memory there is for this process: limits that are not set follow from it. */
import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";

export interface Machine {
  /** Of the machine, or of the container. */
  readonly memoryBytes: number;
  /** What V8 lets objects that live on have: buffers are not among them. */
  readonly oldGenerationBytes: number;
}

const MiB = 1_048_576;
/** Part of V8's `heap_size_limit`, by the major version of Node: measured with `--max-old-space-size=128`. */
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

/** A container without a limit says 0, or more than there is. */
export function leastMemory(machineBytes: number, constrained: number): number {
  return constrained > 0 && constrained < machineBytes ? constrained : machineBytes;
}

function constrainedBytes(): number {
  try {
    return process.constrainedMemory();
  } catch {
    // It is read from files, for which there may be no descriptor left.
    return 0;
  }
}
