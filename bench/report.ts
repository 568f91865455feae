/** What a run has found: rows with their goals, for people and as one object. */
import type { Side } from "./contenders.ts";
import type { Measured, Results } from "./rounds.ts";
import { type Goal, type RowDefinition, type RowName, ROWS } from "./rows.ts";
import { type Spread, spread } from "./statistics.ts";

export interface Row {
  name: RowName;
  unit: string;
  /** Medians of the rounds. */
  ours: number;
  reference: number | null;
  /** Of the two within each round, then the median. */
  ratio: number | null;
  goal: Goal | null;
  met: boolean | null;
  spread: { ours: Spread; reference: Spread | null; ratio: Spread | null };
}

export function toRows({ measured }: Results<Side>, selects: (name: RowName) => boolean): Row[] {
  const names = (Object.keys(ROWS) as RowName[]).filter(selects);
  return names.flatMap((name) => {
    const row = measured.get(name);
    return row === undefined ? [] : [toRow(name, row)];
  });
}

function toRow(name: RowName, { ours = [], reference = [] }: Measured<Side>): Row {
  const { unit, goal }: RowDefinition = ROWS[name];
  const compared = reference.length > 0;
  const row: Omit<Row, "met"> = {
    name,
    unit,
    goal,
    ...summary(ours, compared ? reference : undefined),
  };
  return { ...row, met: goal === null ? null : isMet(row, goal) };
}

function summary(
  ours: number[],
  reference: number[] | undefined,
): Pick<Row, "ours" | "reference" | "ratio" | "spread"> {
  const ratios = reference?.map((value, round) => (ours[round] as number) / value);
  const spreads = {
    ours: spread(ours),
    reference: reference === undefined ? null : spread(reference),
    ratio: ratios === undefined ? null : spread(ratios),
  };
  return {
    ours: spreads.ours.median,
    reference: spreads.reference?.median ?? null,
    ratio: spreads.ratio?.median ?? null,
    spread: spreads,
  };
}

function isMet({ ours, ratio }: Omit<Row, "met">, goal: Goal): boolean {
  const figure = goal.of === "ours" ? ours : (ratio ?? Number.NaN);
  return "atLeast" in goal ? figure >= goal.atLeast : figure <= goal.atMost;
}

const HEAD = ["", "resplice", "min to max", "reference", "min to max", "ratio", "min to max", "goal", ""];

/** Lines of cells, the head first. */
export function toCells(rows: readonly Row[]): string[][] {
  return [HEAD, ...rows.map(cells)];
}

/** The first and the last to the left, figures to the right. */
export function toColumns(lines: readonly string[][]): string {
  const columns = lines[0]?.length ?? 0;
  const widths = Array.from({ length: columns }, (_, column) =>
    Math.max(...lines.map((line) => line[column]?.length ?? 0)),
  );
  const align = (cell: string, column: number): string =>
    column === 0 || column === columns - 1 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0);
  return lines.map((line) => line.map(align).join("  ").trimEnd()).join("\n");
}

export function toMarkdown([head = [], ...lines]: readonly string[][]): string {
  const rule = head.map(() => "---");
  return [head, rule, ...lines].map((line) => `| ${line.join(" | ")} |`).join("\n");
}

function cells(row: Row): string[] {
  const range = (of: Spread | null): string => (of === null ? "" : `${short(of.min)} to ${short(of.max)}`);
  return [
    row.unit === "" ? row.name : `${row.name}, ${row.unit}`,
    short(row.ours),
    range(row.spread.ours),
    row.reference === null ? "" : short(row.reference),
    range(row.spread.reference),
    row.ratio === null ? "" : row.ratio.toFixed(2),
    range(row.spread.ratio),
    row.goal === null ? "" : inWords(row.goal),
    row.met === null ? "" : row.met ? "met" : "MISSED",
  ];
}

function inWords(goal: Goal): string {
  const bound = "atLeast" in goal ? `>= ${short(goal.atLeast)}` : `<= ${short(goal.atMost)}`;
  return goal.of === "ours" ? bound : `ratio ${bound}`;
}

/** With three digits that count, or all that are before the point. */
export function short(value: number): string {
  const size = Math.abs(value);
  if (size >= 1e6) return `${(value / 1e6).toFixed(2)} M`;
  if (size >= 1e4) return `${(value / 1e3).toFixed(0)} k`;
  return value.toFixed(size >= 100 ? 0 : size >= 10 ? 1 : 2);
}
