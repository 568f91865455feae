/**
 * How much V8's old generation may hold. When it is full, the process dies. V8 tells only the sum of both generations
 * (`heap_size_limit`); the young one is a large part of it if the heap is small, and is empty most of the time.
 */
import { getHeapStatistics } from "node:v8";
import { isMainThread, resourceLimits } from "node:worker_threads";

const MiB = 1_048_576;
/** The most that the young generation may have, by major version of Node. */
const YOUNG_MIB: Readonly<Record<string, number>> = { 22: 48, 24: 192, 26: 96 };
const MOST_YOUNG_MIB = 192;
/** The young generation is three times a semi-space. */
const YOUNG_PER_SEMI_SPACE = 3;
/**
 * The least part of the whole limit that the old generation has. Where V8 takes the limit from the memory of a small
 * container, it makes the young generation smaller, too: the largest that was seen is 48 of 560 MiB.
 */
const OLD_PART = 0.91;
/** The same where the young generation does not follow from the limit. */
const LEAST_OLD_PART = 0.25;

/** From where the limit is known. */
export interface HeapSettings {
  heapSizeLimit: number;
  /** Node's major version. */
  major: string;
  /** The options of the process; of those given twice the last counts. */
  options: readonly string[];
  /** In a worker thread, as its `resourceLimits` has it. */
  youngMiB: number | undefined;
}

export function readHeapSettings(): HeapSettings {
  return {
    heapSizeLimit: getHeapStatistics().heap_size_limit,
    major: process.versions.node.split(".")[0] as string,
    options: [...(process.env["NODE_OPTIONS"] ?? "").split(/\s+/), ...process.execArgv],
    youngMiB: isMainThread ? undefined : resourceLimits.maxYoungGenerationSizeMb,
  };
}

/** In bytes. */
export function oldGenerationLimit({ heapSizeLimit, major, options, youngMiB }: HeapSettings): number {
  const semiSpaceMiB = flag(options, "max-semi-space-size");
  const youngGivenMiB = semiSpaceMiB ? YOUNG_PER_SEMI_SPACE * semiSpaceMiB : youngMiB;
  const young = MiB * (youngGivenMiB ?? youngOf(major));
  const old = MiB * flag(options, "max-old-space-size");
  // NODE_OPTIONS may have been changed for child processes: then it is not what this heap was made with.
  const isPossible = old > 0 && old < heapSizeLimit && old + Math.max(young, MOST_YOUNG_MIB * MiB) >= heapSizeLimit;
  if (isPossible) return old;
  const isFixed = youngGivenMiB !== undefined || flag(options, "max-old-space-size-percentage") > 0;
  return Math.max((isFixed ? LEAST_OLD_PART : OLD_PART) * heapSizeLimit, heapSizeLimit - young);
}

function youngOf(major: string): number {
  return YOUNG_MIB[major] ?? MOST_YOUNG_MIB;
}

/** In MiB, 0 where it is not given. V8 takes underscores for hyphens. */
function flag(options: readonly string[], name: string): number {
  const prefix = `--${name}=`;
  const given = options.findLast((option) => option.replaceAll("_", "-").startsWith(prefix));
  const value = Number(given?.slice(prefix.length));
  return value > 0 && value < Infinity ? value : 0;
}
