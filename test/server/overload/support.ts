/** A guard whose samples a test takes by hand, and a server that only notes what is done to it. */
import type { OverloadAction } from "../../../src/core/overload/actions.ts";
import type { Reader, System } from "../../../src/io/resources/reader.ts";
import type { Pace } from "../../../src/io/resources/sampler.ts";
import { Guard } from "../../../src/server/overload/guard.ts";
import type { OverloadReport } from "../../../src/telemetry/record.ts";
import { type ActTerms, NOTHING, type Released, type Relief } from "../../../src/server/overload/relief.ts";
import { resolveResources, type Resources } from "../../../src/server/resource-options.ts";
import { Journal } from "../../../src/telemetry/journal.ts";
import type { TelemetryRecord } from "../../../src/telemetry/record.ts";

/** No resource of the process is watched. */
export const NONE_OF_PROCESS = {
  descriptors: false,
  heap: false,
  memory: false,
  bufferBytes: false,
  lag: false,
  tcpMemory: false,
} as const satisfies Resources;

export class NotedRelief implements Relief {
  links = 1_000;
  readonly done: string[] = [];
  readonly terms: ActTerms[] = [];
  readonly idle = new Set<OverloadAction>();
  released: Partial<Released> = {};

  enforce(condition: OverloadAction, why: string): void {
    this.done.push(`${condition}: ${why}`);
  }

  isIdle(action: OverloadAction): boolean {
    return this.idle.has(action);
  }

  carryOut(act: OverloadAction, terms: ActTerms): Released {
    this.done.push(act);
    this.terms.push(terms);
    return { ...NOTHING, ...this.released };
  }
}

export interface GuardInHand {
  guard: Guard;
  relief: NotedRelief;
  reports: OverloadReport[];
  records: TelemetryRecord[];
  /** Takes so many samples, a quarter of a second apart. */
  sample(times?: number): void;
  /** The intervals between samples that were asked for, in milliseconds. */
  intervals: number[];
  /** So much time passes without a sample. */
  sleep(ms: number): void;
}

export function guardInHand(
  resources: Resources,
  { dryRun = false, ...given }: { dryRun?: boolean; buffers?: Reader; system?: System } = {},
): GuardInHand {
  let nowMs = 1_000;
  let take = (): void => {};
  const pace: Pace = {
    now: () => nowMs,
    wallMs: () => nowMs,
    every: (ms, run) => {
      intervals.push(ms);
      take = run;
      return () => (take = () => {});
    },
  };
  const relief = new NotedRelief();
  const intervals: number[] = [];
  const reports: OverloadReport[] = [];
  const records: TelemetryRecord[] = [];
  const journal = new Journal();
  journal.subscribe((record) => void records.push(record));
  const host = { relief, journal, onReport: (report: OverloadReport) => void reports.push(report), pace, ...given };
  const guard = new Guard({ resources: resolveResources({ ...NONE_OF_PROCESS, ...resources }), dryRun }, host);
  return {
    guard,
    relief,
    reports,
    records,
    intervals,
    sample: (times = 1) => {
      for (let n = 0; n < times; n++) {
        nowMs += 250;
        take();
      }
    },
    sleep: (ms) => (nowMs += ms),
  };
}

/** The reports without what all of them have. */
export function steps(reports: readonly OverloadReport[]): string[] {
  return reports.map(({ type, action }) => (action === undefined ? type : `${type} ${action}`));
}
