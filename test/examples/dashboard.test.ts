/** The dashboard for Grafana asks for metrics, labels and values that there are. Grafana shows a wrong one as "No data". */
import { expect, test } from "vitest";
import { LABEL_WORDS } from "../../src/monitor/label-words.ts";
import { METRICS } from "../../src/monitor/metric-table.ts";
import { read } from "./tables.ts";

interface Target {
  expr: string;
  legendFormat: string;
}

interface Panel {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: Record<"x" | "y" | "w" | "h", number>;
  targets?: Target[];
}

const DASHBOARD = JSON.parse(read("examples/grafana/resplice.json")) as {
  panels: Panel[];
  templating: { list: Array<{ name: string; query: string | { query: string } }> };
};

/** Every series has these: two of ours, and two that Prometheus adds. */
const ON_ALL = ["kind", "name", "job", "instance"];
const LABELS = new Map<string, string[]>(
  METRICS.flatMap((metric) => {
    const own = ["by" in metric ? metric.by : undefined, metric.label].filter((label) => label !== undefined);
    const names = [[metric.name, [...own, ...ON_ALL]]] as Array<[string, string[]]>;
    if (metric.type !== "histogram") return names;
    const parts = ["_sum", "_count"].map((part): [string, string[]] => [metric.name + part, ON_ALL]);
    return [...parts, [`${metric.name}_bucket`, ["le", ...ON_ALL]]];
  }),
);

/** What an expression names that there is not. */
function unknown(expr: string): string[] {
  const metrics = [...expr.matchAll(/\b(resplice_\w+)(?:\{([^}]*)\})?/gu)];
  const wrong = metrics.flatMap(([, name = "", matchers = ""]) => {
    const labels = LABELS.get(name);
    if (labels === undefined) return [name];
    return [...matchers.matchAll(/(\w+)(?:=~?|!=|!~)"([^"]*)"/gu)].flatMap(([, label = "", value = ""]) => {
      if (!labels.includes(label)) return [`${name}{${label}}`];
      const words = METRICS.find((metric) => metric.name === name)?.label === label ? LABEL_WORDS[name] : undefined;
      return value.split("|").filter((word) => words?.includes(word) === false);
    });
  });
  const grouped = [...expr.matchAll(/\bby \(([^)]*)\)/gu)].flatMap(([, list = ""]) => list.split(", "));
  const of = metrics.map(([, name = ""]) => LABELS.get(name) ?? []);
  return [...wrong, ...grouped.filter((label) => !of.every((labels) => labels.includes(label)))];
}

const CHARTS = DASHBOARD.panels.filter(({ type }) => type !== "row");
const TARGETS = CHARTS.flatMap(({ targets = [] }) => targets);

test("every metric, label and value is one of the table", () => {
  expect(TARGETS.length).toBeGreaterThan(30);
  expect(TARGETS.flatMap(({ expr }) => unknown(expr))).toEqual([]);
  expect(TARGETS.filter(({ expr }) => !expr.includes("resplice_"))).toEqual([]);
  // Those of the variables, too.
  const queries = DASHBOARD.templating.list.map(({ query }) => (typeof query === "string" ? query : query.query));
  expect(queries.flatMap(unknown)).toEqual([]);
});

test.each([
  ["sum(resplice_link)", ["resplice_link"]],
  ['sum(resplice_links{status="connected"})', ["resplice_links{status}"]],
  ['sum(resplice_links{state=~"connected|gone"})', ["gone"]],
  ["sum by (reason) (resplice_links)", ["reason"]],
  ['sum by (le) (rate(resplice_recovery_seconds_bucket{job=~"$job"}[5m]))', []],
  ["sum by (le) (resplice_recovery_seconds_sum)", ["le"]],
  ["resplice_recovery_seconds", ["resplice_recovery_seconds"]],
])("%s: %j is not there", (expr, names) => {
  expect(unknown(expr)).toEqual(names);
});

test("a counter is shown as a rate, and a gauge is not", () => {
  const counters = new Set(METRICS.filter(({ type }) => type !== "gauge").map(({ name }) => name));
  for (const { expr } of TARGETS) {
    for (const [, call = "", name = ""] of expr.matchAll(/(\w*)\((resplice_\w+)/gu)) {
      const isRate = call === "rate" || call === "increase";
      expect([name, isRate]).toEqual([name, counters.has(name.replace(/_bucket$/u, ""))]);
    }
  }
});

test("a legend names labels that the expression keeps", () => {
  for (const { expr, legendFormat } of TARGETS) {
    const kept = (/\bby \(([^)]*)\)/u.exec(expr)?.[1] ?? "").split(", ");
    expect(kept).toEqual(expect.arrayContaining(legendFormat.match(/(?<=\{\{)\w+(?=\}\})/gu) ?? []));
  }
});

test("every panel has an id, a place of its own, and says what it shows", () => {
  const { panels } = DASHBOARD;
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const cells = panels.flatMap(({ gridPos: { x, y, w, h } }) =>
    Array.from({ length: w * h }, (_, cell) => `${x + (cell % w)},${y + Math.floor(cell / w)}`),
  );
  expect(new Set(cells).size).toBe(cells.length);
  expect(panels.every(({ gridPos: { x, w } }) => x + w <= 24)).toBe(true);
  expect(CHARTS.filter(({ description = "" }) => description === "")).toEqual([]);
});

test("docs/metrics.md says what each row of panels shows", () => {
  const rows = DASHBOARD.panels.filter(({ type }) => type === "row").map(({ title }) => title);
  const listed = [...read("docs/metrics.md").matchAll(/^\| \*(.+?)\* \|/gmu)].map(([, title]) => title);
  expect(listed).toEqual(rows);
});

test("docs/tutorial.md lets Prometheus ask the monitors that it starts", () => {
  const page = read("docs/tutorial.md");
  const started = new Set([...page.matchAll(/^node server\.mjs \d+ (\d+)$/gmu)].map(([, port]) => `127.0.0.1:${port}`));
  const targets = /^ +- targets: (\[.*\])$/mu.exec(page)?.[1] ?? "[]";
  expect(JSON.parse(targets)).toEqual([...started]);
  expect(started.size).toBe(2);
});
