import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { barsPicture } from "../../scripts/pictures/bars.ts";
import { demoPicture, linesOf } from "../../scripts/pictures/demo.ts";
import { actionLines } from "../../scripts/pictures/ladder.ts";
import { FOLDER, pictures, RECORDED, throughputPicture } from "../../scripts/pictures/pictures.ts";
import type { ChaosFigures } from "../../src/cli/chaos/figures.ts";

const MOST_BYTES = 60_000;
/** Of `npm run bench -- faults --peers`: test/bench/faults/report.test.ts says that they are those of the documents. */
const FAULT_FIGURES = "faults.json";

function recorded(): ChaosFigures {
  return JSON.parse(readFileSync(FOLDER + RECORDED, "utf8")) as ChaosFigures;
}

describe("docs/pictures", () => {
  test.for(Object.entries(pictures()))("%s is current: npm run pictures", ([name, svg]) => {
    expect(existsSync(FOLDER + name)).toBe(true);
    expect(readFileSync(FOLDER + name, "utf8")).toBe(svg);
  });

  test("has nothing else, and each file is small", () => {
    const names = readdirSync(FOLDER);
    expect(names.toSorted()).toEqual([...Object.keys(pictures()), RECORDED, FAULT_FIGURES].toSorted());
    for (const name of names) expect(statSync(FOLDER + name).size).toBeLessThan(MOST_BYTES);
  });

  test("each picture is shown by a document", () => {
    const documents = ["../../README.md", "../../docs/chaos.md", "../../docs/performance.md", "../../docs/overload.md"]
      .map((path) => readFileSync(new URL(path, import.meta.url), "utf8"))
      .join("");
    for (const name of Object.keys(pictures())) expect(documents).toContain(`pictures/${name})`);
  });

  test("the recorded run lost, doubled and reordered nothing, and had each kind of fault", () => {
    expect(recorded()).toMatchObject({ lost: 0, doubled: 0, reordered: 0, errors: [] });
    expect(recorded().kinds).toHaveLength(7);
  });
});

describe("a picture", () => {
  test("has a title, a description, both schemes, and neither scripts nor anything from elsewhere", () => {
    for (const svg of Object.values(pictures())) {
      expect(svg).toMatch(/<title id="title">[^<]+<\/title>\n<desc id="description">[^<]+<\/desc>/);
      expect(svg).toContain("prefers-color-scheme: dark");
      expect(svg.replace("http://www.w3.org/2000/svg", "")).not.toMatch(/<script|href|https?:|url\(/);
      expect(svg).not.toMatch(/NaN|undefined|Infinity/);
    }
  });

  test("takes names as text", () => {
    const svg = barsPicture({ title: "<a>", description: "&", rows: [{ name: "<b>", value: 1, text: '"1"' }] });
    for (const text of [">&lt;a&gt;</", ">&amp;</desc>", ">&lt;b&gt;</", ">&quot;1&quot;</"])
      expect(svg).toContain(text);
  });
});

test("bars are on one scale, and the reference too", () => {
  const svg = barsPicture({
    title: "t",
    description: "d",
    rows: [
      { name: "half", value: 0.5, text: "0.50" },
      { name: "double", value: 2, text: "2.00" },
    ],
    reference: { value: 1, name: "raw" },
  });
  const widths = [...svg.matchAll(/class="bar" x="240" y="\d+" width="([\d.]+)"/g)].map(([, width]) => Number(width));
  expect(widths).toEqual([76, 304]);
  expect(svg).toContain('x1="392.0"');
});

test("the lines of a terminal are no longer than it is wide, and the last say what was lost", () => {
  const lines = linesOf(recorded());
  for (const { text } of lines) expect(text.length).toBeLessThanOrEqual(66);
  expect(lines.at(-1)?.text).toContain("lost 0, doubled 0, reordered 0");
  expect(lines.map(({ atMs }) => atMs)).toEqual(lines.map(({ atMs }) => atMs).toSorted((a, b) => a - b));
  expect(demoPicture(recorded())).toContain("prefers-reduced-motion: no-preference");
});

test("actions stand in their order, and a line ends before it is too long", () => {
  expect(actionLines(["shed"])).toEqual(["1 shed"]);
  const actions = Array.from({ length: 9 }, (_, at) => `an-action-${at}`);
  const lines = actionLines(actions);
  expect(lines.length).toBeGreaterThan(1);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(62);
  expect(lines.join(" · ").split(" · ")).toEqual(actions.map((action, at) => `${at + 1} ${action}`));
});

test("a figure that docs/performance.md does not have is missed", () => {
  expect(() => throughputPicture("| one way, 64 B, messages/s | 1 | 1 | 1 | 1 | 0.84 |")).toThrow(
    /no ratio of "one way, 1/,
  );
});
