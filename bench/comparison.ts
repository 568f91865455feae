/** What `--against` has found: of each row, how this tree's figures stand to those of another commit. */
import { short } from "./report.ts";
import type { Measured, Results } from "./rounds.ts";
import { isMoreBetter, type RowName, ROWS } from "./rows.ts";
import { type Centre, centreOf, median, PAIRS_MIN } from "./statistics.ts";
import type { Scenario } from "./scenario.ts";

export type Checkouts = "this tree" | "before";

/** Where the interval of a ratio must reach, as what is equally good has a ratio of 1. */
const REACHES = 0.97;
/** How often by default. */
export const PAIRS = 20;

export interface Comparison {
  name: RowName;
  unit: string;
  /** Medians. */
  now: number;
  before: number;
  /** Above 1: better. Of what is better when there is less of it, before through now. */
  ratio: number;
  /** Of the ratio, at 95 %. */
  interval: { low: number; high: number };
  pairs: number;
  met: boolean;
}

/** What takes long is compared less often, but often enough to have an interval. */
export function pairsOf({ roundsMax = Infinity }: Scenario, pairs: number): number {
  return Math.min(pairs, Math.max(roundsMax, PAIRS_MIN));
}

export function toComparisons({ measured }: Results<Checkouts>, selects: (name: RowName) => boolean): Comparison[] {
  const names = (Object.keys(ROWS) as RowName[]).filter(selects);
  return names.flatMap((name) => {
    const row = measured.get(name);
    return row === undefined ? [] : [compare(name, row)];
  });
}

function compare(name: RowName, { "this tree": now = [], before = [] }: Measured<Checkouts>): Comparison {
  // Of logarithms: twice as much is as far from 1 as half of it.
  const sign = isMoreBetter(name) ? 1 : -1;
  const { estimate, low, high } = ratioOf(
    now.map((figure, pair) => sign * Math.log(figure / (before[pair] as number))),
  );
  return {
    name,
    unit: ROWS[name].unit,
    now: median(now),
    before: median(before),
    ratio: estimate,
    interval: { low, high },
    pairs: now.length,
    met: high >= REACHES,
  };
}

function ratioOf(logarithms: readonly number[]): Centre {
  const { estimate, low, high } = centreOf(logarithms);
  return { estimate: Math.exp(estimate), low: Math.exp(low), high: Math.exp(high) };
}

/** Lines of cells, the head first. */
export function toComparisonCells(comparisons: readonly Comparison[]): string[][] {
  const head = ["", "this tree", "before", "ratio, more is better", "95 %", "pairs", `reaches ${REACHES}`];
  return [head, ...comparisons.map(cells)];
}

function cells({ name, unit, now, before, ratio, interval, pairs, met }: Comparison): string[] {
  return [
    unit === "" ? name : `${name}, ${unit}`,
    short(now),
    short(before),
    ratio.toFixed(3),
    `${interval.low.toFixed(3)} to ${interval.high.toFixed(3)}`,
    String(pairs),
    met ? "met" : "MISSED",
  ];
}
