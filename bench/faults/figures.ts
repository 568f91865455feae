/** What a run has found, as one object: `--json` prints it, and the tables and the report are made of it. */
import { short } from "../report.ts";
import type { Count } from "./count.ts";
import { BYTES, PER_SECOND, QUIET_MS, WAIT_MS } from "./messages.ts";
import type { ContenderDefinition } from "./list.ts";
import { DEAD_MS, PING_MS } from "./contender.ts";
import { FAULTS, LATENCY_MS } from "./plan.ts";
import type { Counts } from "./run.ts";

export interface FaultFigures {
  /** ISO 8601. */
  madeAt: string;
  command: string;
  cpu: string;
  cores: number;
  system: string;
  node: string;
  load: number;
  resplice: string;
  settings: typeof SETTINGS;
  faults: readonly { name: string; text: string; kind: string; times: number; holdMs: number; everyMs: number }[];
  contenders: readonly ContenderFigures[];
  failures: readonly { name: string; reason: string }[];
}

export interface ContenderFigures extends Pick<ContenderDefinition, "name" | "breaks" | "guarantee" | "used"> {
  version: string;
  counts: Counts;
}

const WHOLE = "whole";

export const SETTINGS = {
  perSecond: PER_SECOND,
  bytes: BYTES,
  latencyMs: LATENCY_MS,
  pingMs: PING_MS,
  deadMs: DEAD_MS,
  quietMs: QUIET_MS,
  waitMs: WAIT_MS,
  /** What the last message is late by is told if it is more than this: by then all faults are long over. */
  lateMs: 5_000,
} as const;

export function faultsMade(): FaultFigures["faults"] {
  return FAULTS.map(({ name, text, kind, times, holdMs, everyMs }) => ({ name, text, kind, times, holdMs, everyMs }));
}

/** What has become of the messages of one cell: "whole", or what is not as it should be. */
export function outcomes({ lost, doubled, reordered, lateMs }: Count): string[] {
  const words = Object.entries({ lost, doubled, reordered }).flatMap(([what, count]) =>
    count === 0 ? [] : [`${count.toLocaleString("en-US")} ${what}`],
  );
  if (lateMs > SETTINGS.lateMs) words.push(`${Math.round(lateMs / 1_000)} s late`);
  return words.length === 0 ? [WHOLE] : words;
}

export function isWhole([word]: readonly string[]): boolean {
  return word === WHOLE;
}

export function inWords(count: Count): string {
  return outcomes(count).join(", ");
}

export function gapInWords({ longestGapMs }: Count): string {
  return longestGapMs < 1_000 ? `${Math.round(longestGapMs)} ms` : `${short(longestGapMs / 1_000)} s`;
}

/** Lines of cells, the head first: what became of messages, or the longest gaps. */
export function toFaultCells(
  { faults, contenders }: Pick<FaultFigures, "faults" | "contenders">,
  inCell: (count: Count) => string,
): string[][] {
  return [
    ["", ...faults.map(({ name }) => name)],
    ...contenders.map(({ name, counts }) => [
      name,
      ...faults.map((fault) => {
        const count = counts[fault.name];
        return count === undefined ? "no result" : inCell(count);
      }),
    ]),
  ];
}
