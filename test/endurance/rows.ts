/** The figures that a scenario reached, each with its bound. */

export interface Row {
  scenario: string;
  what: string;
  figure: number;
  bound: number;
  /** Whether the figure may be at the most, or must be at the least, what the bound says. */
  is: "at most" | "at least";
  unit: string;
  met: boolean;
  /** Figures without a bound, the circumstances, or why there is no figure. */
  note: string;
}

export type RowDraft = Omit<Row, "scenario" | "met" | "is" | "note"> & Partial<Pick<Row, "is" | "note">>;

export function toRow(scenario: string, draft: RowDraft): Row {
  const { figure, bound, is = "at most", note = "" } = draft;
  return { ...draft, scenario, is, note, met: is === "at most" ? figure <= bound : figure >= bound };
}

export function table(rows: readonly Row[]): string[] {
  const cells = rows.map((row) => [
    row.met ? "met" : "MISSED",
    row.scenario,
    row.what,
    shown(row.figure, row.unit),
    `${row.is} ${shown(row.bound, row.unit)}`,
    row.note,
  ]);
  const all = [["", "scenario", "what", "figure", "bound", ""], ...cells];
  const widths = [0, 1, 2, 3, 4].map((column) => Math.max(...all.map((line) => line[column]?.length ?? 0)));
  return all.map((line) =>
    line
      .map((cell, column) => {
        const width = widths[column] ?? 0;
        return column === 3 ? cell.padStart(width) : cell.padEnd(width);
      })
      .join("  ")
      .trimEnd(),
  );
}

function shown(value: number, unit: string): string {
  if (unit === "MiB") return `${(value / 2 ** 20).toFixed(1)} MiB`;
  // "x" is a ratio.
  const digits = unit === "x" ? 2 : unit === "ms" && value < 100 ? 1 : 0;
  return `${value.toLocaleString("en", { maximumFractionDigits: digits })}${unit === "" ? "" : ` ${unit}`}`;
}
