/** How values are spread, as lines of text. */

const WIDEST = 60;

/** A line for each bin from the first that has a value to the last: where it begins, how many, and a bar. */
export function histogram(values: readonly number[], bin: number): string {
  const counts = new Map<number, number>();
  for (const value of values) {
    const at = Math.floor(value / bin);
    counts.set(at, (counts.get(at) ?? 0) + 1);
  }
  if (counts.size === 0) return "none";
  const first = Math.min(...counts.keys());
  const bins = Math.max(...counts.keys()) - first + 1;
  const most = Math.max(...counts.values());
  const lines = Array.from({ length: bins }, (_, n) => {
    const count = counts.get(first + n) ?? 0;
    const bar = "#".repeat(Math.ceil((WIDEST * count) / most));
    return { begins: ((first + n) * bin).toLocaleString("en"), count: String(count), bar };
  });
  const widest = (name: "begins" | "count"): number => Math.max(...lines.map((line) => line[name].length));
  const widths = { begins: widest("begins"), count: widest("count") };
  return lines
    .map(({ begins, count, bar }) =>
      `${begins.padStart(widths.begins)}  ${count.padStart(widths.count)}  ${bar}`.trimEnd(),
    )
    .join("\n");
}
