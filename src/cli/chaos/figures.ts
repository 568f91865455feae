/** The figures of a run of `resplice chaos`: what its report, its JSON and its JUnit file are made of. */
import type { Gap } from "../demo/gaps.ts";
import { FAULT_KINDS, type FaultKind, type Outcome } from "../demo/faults.ts";
import { type Counts, isWhole, type Percentiles, percentiles } from "../demo/report.ts";
import type { Done } from "../demo/run.ts";
import { describeFault } from "../demo/view.ts";

/** A fault, and what the receiver saw of it. Times are in milliseconds since the first message, or byte, had arrived. */
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
  /** The longest time in which nothing arrived; 0: less than `leastGapMs`. Null: not known. */
  readonly gapMs: number | null;
}

export interface KindFigures {
  readonly kind: FaultKind;
  readonly times: number;
  /** How many times there was no recovery. */
  readonly failed: number;
  readonly recoveryMs: Percentiles;
  readonly gapMs: Percentiles;
}

/** The object of --json. */
export interface ChaosFigures extends Counts {
  readonly madeAt: string;
  /** The command that repeats the faults. */
  readonly command: string;
  readonly path: string;
  /** The server of --to. Null: both ends were ours. */
  readonly to: string | null;
  readonly machine: string;
  readonly versions: { readonly resplice: string; readonly node: string };
  readonly seed: number | null;
  readonly tookMs: number;
  /** With --to: bytes that have arrived at each end, and connections that were made. */
  readonly passed: { readonly toServer: number; readonly toClient: number; readonly connections: number } | null;
  /** As `gapMs` of a fault. */
  readonly longestGapMs: number | null;
  /** Shorter gaps are not told apart. Null: gaps are not known. */
  readonly leastGapMs: number | null;
  /** Why the run is no success beside what was counted. */
  readonly errors: readonly string[];
  readonly kinds: readonly KindFigures[];
  /** The last 10,000. */
  readonly faults: readonly FaultFigures[];
  /** Messages, or with --to bytes of both directions, that have arrived in a second, until `atMs`. At most 500. */
  readonly throughput: ReadonlyArray<{ readonly atMs: number; readonly perSecond: number }>;
}

export interface About {
  readonly command: string;
  readonly to: string | null;
  readonly machine: string;
  readonly resplice: string;
  readonly node: string;
}

const MOST_POINTS = 500;

export function figuresOf(done: Done, about: About, madeAt: Date): ChaosFigures {
  const { result, ends, strikes, samples, what, startMs, endMs } = done;
  const longest = (touches: (gap: Gap) => boolean): number | null =>
    ends.gaps === undefined ? null : longestOf(ends.gaps.all.filter((gap) => touches(gap)));
  const faults = strikes.map(({ fault, madeMs, overMs, outcome }): FaultFigures => {
    return {
      kind: fault.kind,
      text: describeFault(fault),
      atMs: round(madeMs - startMs),
      overMs: round(overMs - startMs),
      outcome: typeof outcome === "number" ? "recovered" : outcome,
      recoveryMs: typeof outcome === "number" ? round(outcome) : null,
      gapMs: longest(({ fromMs, ms }) => fromMs < overMs && fromMs + ms > madeMs),
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
        failed: those.filter(({ outcome }) => outcome === "none").length,
        recoveryMs,
        gapMs: percentiles(those.flatMap((fault) => fault.gapMs ?? [])),
      },
    ];
  });
  const { command, to, machine, resplice, node } = about;
  const { seed, sent, received, lost, doubled, reordered } = result;
  const { passed, gaps, errors } = ends;
  return {
    madeAt: madeAt.toISOString(),
    command,
    path: what,
    to,
    machine,
    versions: { resplice, node },
    seed,
    tookMs: round(endMs - startMs),
    sent,
    received,
    lost,
    doubled,
    reordered,
    passed:
      passed === undefined
        ? null
        : {
            toServer: passed.bytes["to-server"],
            toClient: passed.bytes["to-client"],
            connections: passed.connections,
          },
    longestGapMs: longest(() => true),
    leastGapMs: gaps === undefined ? null : round(gaps.leastMs),
    errors,
    kinds,
    faults,
    throughput: throughput(samples, startMs),
  };
}

/** Whether the run has failed for a reason that no figure and no error tells: by a signal, or a reader that is gone. */
export function endedEarly(figures: ChaosFigures, exitCode: number): boolean {
  return exitCode !== 0 && isWhole(figures) && figures.errors.length === 0;
}

function longestOf(gaps: readonly Gap[]): number {
  return round(gaps.reduce((most, { ms }) => Math.max(most, ms), 0));
}

function throughput(all: Done["samples"], startMs: number): ChaosFigures["throughput"] {
  const samples = all.filter(({ atMs }) => atMs >= startMs);
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
