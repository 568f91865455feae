/** docs/metrics.md has each metric for Prometheus, each value of a label, and each option, as the code has them. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { COLLECTED_WITHIN_MS } from "../../src/monitor/metrics-page.ts";
import { LABEL_WORDS } from "../../src/monitor/label-words.ts";
import { METRICS } from "../../src/monitor/metric-table.ts";
import { resolveMonitor } from "../../src/monitor/options.ts";
import { prometheus } from "../../src/monitor/prometheus.ts";
import { allowed } from "./options.ts";
import { read, rows, section } from "./tables.ts";

const PAGE = read("docs/metrics.md");

test("every metric has a row with its type, its label, whose it is, and its help", () => {
  const inCode = METRICS.map((metric) => {
    const { name, type, label, of, help } = metric;
    const labels = "by" in metric ? [metric.by, label] : [label];
    const named = labels.filter((each) => each !== undefined).map((each) => `\`${each}\``);
    return [`\`${name}\``, type, named.join(", "), of.join(", "), help];
  });
  const listed = rows(PAGE, "Prometheus").filter(([name = ""]) => name.startsWith("`resplice_"));
  // Those of labels have two cells.
  expect(listed.filter((cells) => cells.length === 5)).toEqual(inCode);
});

test("every value that a label may have", () => {
  const inCode = Object.entries(LABEL_WORDS).map(([name, words]) => [
    `\`${name}\``,
    words.map((word) => `\`${word}\``).join(", "),
  ]);
  expect(rows(PAGE, "Prometheus").filter((cells) => cells.length === 2)).toEqual(inCode);
});

test("each value is a word of the code: one that nothing says would be 0 for ever", () => {
  const root = new URL("../../src/", import.meta.url);
  const files = readdirSync(root, { encoding: "utf8", recursive: true }).filter(
    (name) => name.endsWith(".ts") && !name.startsWith("monitor/"),
  );
  const source = files.map((name) => read(`src/${name}`)).join("\n");
  const isSaid = (word: string): boolean =>
    source.includes(`"${word}"`) || new RegExp(`[\\s{]${word.replaceAll(/\W/gu, "\\$&")}\\??:`, "u").test(source);
  const words = new Set(Object.values(LABEL_WORDS).flat());
  // The system says these; and the name of an option of a group.
  const others = [...words].filter((word) => !/^E[A-Z]+$/u.test(word) && !isSaid(word));
  expect(others).toEqual([]);
  expect(words.size).toBeGreaterThan(80);
});

test("every option of prometheus() and of monitor()", () => {
  const named = (title: string): string[] =>
    rows(PAGE, title)
      .filter((cells) => cells.length === 3)
      .map(([name = ""]) => name.replaceAll("`", ""));
  expect(named("Prometheus")).toEqual(allowed((options) => prometheus(options as never)));
  expect(named("The monitor")).toEqual(allowed((options) => resolveMonitor(options as never)));
  expect(section(PAGE, "Lines")).toContain(`has no text within ${COLLECTED_WITHIN_MS / 1_000} s`);
});
