/** The result of a run of the demo: in figures, as JSON and for people. */
import { type Fault, FAULT_KINDS, type FaultKind, type Outcome } from "./faults.ts";
import type { Ends } from "./traffic.ts";
import { formatCount, formatMs } from "../words.ts";

export interface Percentiles {
  /** Nearest rank, in milliseconds. Null where there was nothing to measure. */
  readonly p50: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

/** Messages that were counted. All are null if an end is gone that had counted them. */
export interface Counts {
  readonly sent: number | null;
  readonly received: number | null;
  /** Messages that were sent and never handed to the receiver's consumer. */
  readonly lost: number | null;
  /** Messages that were handed out again. */
  readonly doubled: number | null;
  /** Messages that were handed out after one that was sent later. */
  readonly reordered: number | null;
}

/** The object of --json. */
export interface DemoResult extends Counts {
  /** How often each kind was made. */
  readonly faults: Readonly<Partial<Record<FaultKind, number>>>;
  /** From the path's healing to the first message handed to the receiver's consumer. */
  readonly recoveryMs: Percentiles & { readonly byKind: Readonly<Partial<Record<FaultKind, Percentiles>>> };
  /** Of the faults. Null: they stand in a schedule. */
  readonly seed: number | null;
}

/** A fault that was made. Times are of the system's monotonic clock. */
export interface Strike {
  readonly fault: Fault;
  readonly madeMs: number;
  /** When messages flowed again, and all that had waited was accepted. */
  readonly overMs: number;
  readonly outcome: Outcome;
}

/** The faults of a run, and how long each recovery took. */
export class FaultBook {
  readonly #counts = new Map<FaultKind, number>();
  readonly #recoveriesMs = new Map<FaultKind, number[]>();

  readonly #strikes: Strike[] = [];

  get total(): number {
    return [...this.#counts.values()].reduce((sum, count) => sum + count, 0);
  }

  /** The last 10,000 faults, the first of them first. */
  get strikes(): readonly Strike[] {
    return this.#strikes;
  }

  made(strike: Strike): void {
    const { fault, outcome } = strike;
    this.#counts.set(fault.kind, this.count(fault.kind) + 1);
    if (typeof outcome === "number") this.#recovered(fault.kind, outcome);
    this.#strikes.push(strike);
    if (this.#strikes.length > MOST_STRIKES) this.#strikes.shift();
  }

  count(kind: FaultKind): number {
    return this.#counts.get(kind) ?? 0;
  }

  #recovered(kind: FaultKind, ms: number): void {
    const recoveries = this.#recoveriesMs.get(kind) ?? [];
    recoveries.push(ms);
    this.#recoveriesMs.set(kind, recoveries);
  }

  result({ counted }: Pick<Ends, "counted">, seed: number | null): DemoResult {
    const kinds = FAULT_KINDS.filter((kind) => this.count(kind) > 0);
    const measured = kinds.filter((kind) => this.#recoveriesMs.has(kind));
    const ofKind = (kind: FaultKind): number[] => this.#recoveriesMs.get(kind) ?? [];
    return {
      ...counts(counted),
      faults: Object.fromEntries(kinds.map((kind) => [kind, this.count(kind)])),
      recoveryMs: {
        ...percentiles(measured.flatMap(ofKind)),
        byKind: Object.fromEntries(measured.map((kind) => [kind, percentiles(ofKind(kind))])),
      },
      seed,
    };
  }
}

const MOST_STRIKES = 10_000;

export function percentiles(values: readonly number[]): Percentiles {
  const sorted = values.toSorted((a, b) => a - b);
  const at = (share: number): number | null => {
    const value = sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)];
    return value === undefined ? null : Math.round(value * 10) / 10;
  };
  return { p50: at(0.5), p99: at(0.99), max: at(1) };
}

function counts(counted: Ends["counted"]): Counts {
  if (counted === undefined) return { sent: null, received: null, lost: null, doubled: null, reordered: null };
  const { sent, tally } = counted;
  const { received, distinct, doubled, reordered } = tally;
  return { sent, received, lost: sent - distinct, doubled, reordered };
}

/** Whether nothing is known to be lost, doubled or reordered. */
export function isWhole({ lost, doubled, reordered }: Pick<Counts, "lost" | "doubled" | "reordered">): boolean {
  return [lost, doubled, reordered].every((count) => count === null || count === 0);
}

export function describeSeed(seed: number | null): string {
  return seed === null ? "as scheduled" : `seed ${seed}`;
}

const NOTE = [
  "Times are from the path's healing to the first message, of",
  "those sent after it, that the receiver's consumer was",
  "handed. Latency, and a hole in the way back, do not stop the",
  "messages: nothing to recover from.",
];

/** The result as text of several lines, which fit into 60 columns. */
export function describe(result: DemoResult, what: string, tookMs: number, note: readonly string[] = NOTE): string {
  const { faults, recoveryMs, seed } = result;
  const total = Object.values(faults).reduce((sum, count) => sum + count, 0);
  const row = (kind: string, count: number, times: Percentiles | undefined): string =>
    [
      kind.padEnd(20),
      formatCount(count).padStart(6),
      ...[times?.p50, times?.p99, times?.max].map((ms) => formatMs(ms ?? undefined).padStart(11)),
    ].join("");
  return [
    "",
    `${(tookMs / 1_000).toFixed(1)} s through ${what}, ${describeSeed(seed)}`,
    "",
    ...describeCounts(result),
    `${"fault".padEnd(20)}${"times".padStart(6)}${"p50".padStart(11)}${"p99".padStart(11)}${"longest".padStart(11)}`,
    ...FAULT_KINDS.filter((kind) => faults[kind] !== undefined).map((kind) =>
      row(kind, faults[kind] ?? 0, recoveryMs.byKind[kind]),
    ),
    row("all", total, recoveryMs),
    "",
    ...note,
    "",
  ].join("\n");
}

export function describeCounts({ sent, received, lost, doubled, reordered }: Counts): string[] {
  if (sent === null || received === null || lost === null || doubled === null || reordered === null) return [];
  return [
    `messages   sent ${formatCount(sent)}, received ${formatCount(received)}`,
    `           lost ${formatCount(lost)}, doubled ${formatCount(doubled)}, reordered ${formatCount(reordered)}`,
    "",
  ];
}
