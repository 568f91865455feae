/** What is made of a run's figures: cells of tables, and a page. */
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import type { Count } from "../../../bench/faults/count.ts";
import {
  type FaultFigures,
  faultsMade,
  gapInWords,
  inWords,
  SETTINGS,
  toFaultCells,
} from "../../../bench/faults/figures.ts";
import { toHtml } from "../../../bench/faults/report.ts";
import { toMarkdown } from "../../../bench/report.ts";

const WHOLE: Count = { sent: 1_000, lost: 0, doubled: 0, reordered: 0, longestGapMs: 12, lateMs: 4_999 };
const BROKEN: Count = { sent: 1_000, lost: 1_234, doubled: 0, reordered: 5, longestGapMs: 3_456, lateMs: 62_400 };

const FIGURES: FaultFigures = {
  madeAt: "2026-11-29T10:00:00.000Z",
  command: "npm run bench -- faults",
  cpu: "a CPU",
  cores: 2,
  system: "linux",
  node: "v24.0.0",
  load: 0.5,
  resplice: "0.2.0",
  settings: SETTINGS,
  faults: faultsMade(),
  contenders: [
    {
      name: "a <b>&",
      version: "1.2.3",
      breaks: "publisher to broker",
      guarantee: "none",
      used: "as it is",
      counts: { FIN: WHOLE, RST: BROKEN },
    },
  ],
  failures: [{ name: "another", reason: "<cannot> be had" }],
};

test("a cell says what is not as it should be, and nothing else", () => {
  expect([inWords(WHOLE), inWords(BROKEN)]).toEqual(["whole", "1,234 lost, 5 reordered, 62 s late"]);
  expect([gapInWords(WHOLE), gapInWords(BROKEN)]).toEqual(["12 ms", "3.46 s"]);
});

test("a table has a row for each contender, and says where there is no result", () => {
  const [head, row] = toFaultCells(FIGURES, inWords);
  expect(head?.slice(0, 3)).toEqual(["", "FIN", "RST"]);
  expect(row).toEqual([
    "a <b>&",
    "whole",
    "1,234 lost, 5 reordered, 62 s late",
    ...Array.from({ length: 7 }, () => "no result"),
  ]);
});

test("the page has the figures and the reasons, as text", () => {
  const html = toHtml(FIGURES);
  expect(html).toContain(
    '<td class="cell lost"><span>1,234 lost</span>\n<span>5 reordered</span>\n<span>62 s late</span><span class="dim">3.46 s</span></td>',
  );
  expect(html).toContain("another: no result: &lt;cannot&gt; be had");
  expect(html).toContain("as it is. The path that breaks: publisher to broker");
  expect(html).not.toContain("<b>");
  expect(html.match(/<circle/gu)).toHaveLength(2);
});

test("the page loads nothing and runs nothing", () => {
  const html = toHtml(FIGURES);
  const style = /<style>(.*)<\/style>/su.exec(html)?.[1] ?? "";
  const hash = createHash("sha256").update(style).digest("base64");
  expect(html).toContain(`content="default-src 'none'; style-src 'sha256-${hash}'"`);
  expect(html).not.toMatch(/<script|<link|<img|src=|href=|url\(/u);
});

test("the page, the figures and the tables in the documents are of one run", () => {
  const read = (path: string): string => readFileSync(new URL(`../../../docs/${path}`, import.meta.url), "utf8");
  const figures = JSON.parse(read("pictures/faults.json")) as FaultFigures;
  const document = read("performance.md");
  expect(read("faults-report.html")).toContain(`<dd>${figures.madeAt}</dd>`);
  for (const inCell of [inWords, gapInWords]) {
    expect(document).toContain(toMarkdown(toFaultCells(figures, inCell)));
  }
  expect(figures.failures).toEqual([]);
});
