/** The figures of a run of `resplice chaos`: what its report, its JSON and its JUnit file are made of. */
import type { Gap } from "../demo/messages.ts";
import { FAULT_KINDS, type FaultKind } from "../demo/faults.ts";
import { isWhole, type Outcome, type Percentiles, percentiles } from "../demo/report.ts";
import type { Done } from "../demo/run.ts";
import { describeFault } from "../demo/view.ts";

/** A fault, and what the receiver saw of it. Times are in milliseconds since the run began. */
export interface FaultFigures {
  readonly kind: FaultKind;
  /** With its own figures, for people. */
  readonly text: string;
  readonly atMs: number;
  /** When messages flowed again, and all that had waited was accepted. */
  readonly overMs: number;
  readonly outcome: "recovered" | Exclude<Outcome, number>;
  /** From the path's healing to the first message sent after it. Null: see `outcome`. */
  readonly recoveryMs: number | null;
  /** The longest time in which the receiver was handed nothing. Null: none of 20 ms or more. */
  readonly gapMs: number | null;
}

export interface KindFigures {
  readonly kind: FaultKind;
  readonly times: number;
  readonly recoveryMs: Percentiles;
  readonly gapMs: Percentiles;
}

/** The object of --json. */
export interface ChaosFigures {
  readonly madeAt: string;
  /** The command that repeats the faults. */
  readonly command: string;
  readonly path: string;
  readonly machine: string;
  readonly versions: { readonly resplice: string; readonly node: string };
  readonly seed: number | null;
  readonly tookMs: number;
  readonly sent: number;
  readonly received: number;
  readonly lost: number;
  readonly doubled: number;
  readonly reordered: number;
  readonly longestGapMs: number | null;
  /** Why the run is no success beside what was counted. */
  readonly errors: readonly string[];
  readonly kinds: readonly KindFigures[];
  /** The last 10,000. */
  readonly faults: readonly FaultFigures[];
  /** Messages a second that the receiver was handed, until `atMs`. At most 500. */
  readonly throughput: ReadonlyArray<{ readonly atMs: number; readonly perSecond: number }>;
}

export interface About {
  readonly command: string;
  readonly machine: string;
  readonly resplice: string;
  readonly node: string;
}

const MOST_POINTS = 500;

export function figuresOf(done: Done, about: About, madeAt: Date): ChaosFigures {
  const { result, ends, strikes, samples, what, startMs, endMs } = done;
  const { gaps } = ends.tally;
  const faults = strikes.map(({ fault, madeMs, overMs, outcome }): FaultFigures => {
    return {
      kind: fault.kind,
      text: describeFault(fault),
      atMs: round(madeMs - startMs),
      overMs: round(overMs - startMs),
      outcome: typeof outcome === "number" ? "recovered" : outcome,
      recoveryMs: typeof outcome === "number" ? round(outcome) : null,
      gapMs: longest(gaps.filter(({ fromMs, ms }) => fromMs < overMs && fromMs + ms > madeMs)),
    };
  });
  const kinds = FAULT_KINDS.flatMap((kind): KindFigures[] => {
    const those = faults.filter((fault) => fault.kind === kind);
    if (those.length === 0) return [];
    const recoveryMs = percentiles(those.flatMap((fault) => fault.recoveryMs ?? []));
    return [
      {
        kind,
        times: result.faults[kind] ?? those.length,
        recoveryMs,
        gapMs: percentiles(those.flatMap((fault) => fault.gapMs ?? [])),
      },
    ];
  });
  const { command, machine, resplice, node } = about;
  const { seed, sent, received, lost, doubled, reordered } = result;
  return {
    madeAt: madeAt.toISOString(),
    command,
    path: what,
    machine,
    versions: { resplice, node },
    seed,
    tookMs: round(endMs - startMs),
    sent,
    received,
    lost,
    doubled,
    reordered,
    longestGapMs: longest(gaps),
    errors: ends.errors,
    kinds,
    faults,
    throughput: throughput(samples, startMs),
  };
}

/** Whether the run has failed for a reason that no figure and no error tells: by a signal, or without a recovery. */
export function endedEarly(figures: ChaosFigures, exitCode: number): boolean {
  return exitCode !== 0 && isWhole(figures) && figures.errors.length === 0;
}

function longest(gaps: readonly Gap[]): number | null {
  return gaps.length === 0 ? null : round(gaps.reduce((most, { ms }) => Math.max(most, ms), 0));
}

function throughput(samples: Done["samples"], startMs: number): ChaosFigures["throughput"] {
  const each = Math.max(1, Math.ceil((samples.length - 1) / MOST_POINTS));
  const points: Array<{ atMs: number; perSecond: number }> = [];
  for (let at = each; at < samples.length; at += each) {
    const [from, to] = [samples[at - each], samples[at]];
    if (from === undefined || to === undefined || to.atMs <= from.atMs) continue;
    const perSecond = Math.round(((to.count - from.count) / (to.atMs - from.atMs)) * 1_000);
    points.push({ atMs: round(to.atMs - startMs), perSecond });
  }
  return points;
}

function round(ms: number): number {
  return Math.round(ms * 10) / 10;
}
