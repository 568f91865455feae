import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { barsPicture } from "../../scripts/pictures/bars.ts";
import { demoPicture, linesOf } from "../../scripts/pictures/demo.ts";
import { numberedLines } from "../../scripts/pictures/svg.ts";
import { type Machine, machinePicture } from "../../scripts/pictures/machine.ts";
import {
  COMPARED,
  FOLDER,
  gapsPicture,
  pictures,
  RECORDED,
  SCREENSHOTS,
  throughputPicture,
} from "../../scripts/pictures/pictures.ts";
import { outcomeOf, peersPicture } from "../../scripts/pictures/peers.ts";
import { LINK } from "../../scripts/pictures/states.ts";
import type { FaultFigures } from "../../bench/faults/figures.ts";
import type { ChaosFigures } from "../../src/cli/chaos/figures.ts";
import { ofDurableLinks } from "../sim/coverage.ts";

const MOST_BYTES = 60_000;
const DRAWN = Object.keys(pictures());
const TAKEN = Object.keys(SCREENSHOTS);

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
    expect(names.toSorted()).toEqual([...DRAWN, ...TAKEN, RECORDED, COMPARED].toSorted());
    for (const name of names) expect(statSync(FOLDER + name).size).toBeLessThan(MOST_BYTES);
  });

  test("each picture is shown by a document", () => {
    const names = ["chaos.md", "performance.md", "overload.md", "sockets.md", "listening.md", "page.md"];
    const documents = ["README.md", ...names.map((name) => `docs/${name}`)]
      .map((path) => readFileSync(new URL(`../../${path}`, import.meta.url), "utf8"))
      .join("");
    for (const name of DRAWN) expect(documents).toContain(`pictures/${name})`);
    for (const name of TAKEN) expect(documents).toContain(`="pictures/${name}"`);
  });

  test("the recorded run lost, doubled and reordered nothing, and had each kind of fault", () => {
    expect(recorded()).toMatchObject({ lost: 0, doubled: 0, reordered: 0, errors: [] });
    expect(recorded().kinds).toHaveLength(8);
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

describe("the comparison under faults", () => {
  const compared = JSON.parse(readFileSync(FOLDER + COMPARED, "utf8")) as FaultFigures;
  const whole = { sent: 10, lost: 0, doubled: 0, reordered: 0, longestGapMs: 5, lateMs: 0 };

  test("a loss is worse than a double, and what is late is still there", () => {
    expect(outcomeOf({ ...whole, lateMs: 60_000 })).toBe("whole");
    expect(outcomeOf({ ...whole, doubled: 1 })).toBe("changed");
    expect(outcomeOf({ ...whole, reordered: 1 })).toBe("changed");
    expect(outcomeOf({ ...whole, lost: 1, doubled: 1 })).toBe("lost");
  });

  test("has a cell for each contender and fault, in the colour of its outcome", () => {
    const svg = peersPicture(compared);
    const { contenders } = compared;
    const outcomes = contenders.flatMap(({ counts }) =>
      Object.values(counts).map((count) => count && outcomeOf(count)),
    );
    const drawn = ["good", "warm", "hot"].map((colour) => svg.split(`<rect class="${colour}"`).length - 1);
    // One more of each for the legend.
    const counted = ["whole", "changed", "lost"].map(
      (name) => outcomes.filter((outcome) => outcome === name).length + 1,
    );
    expect(drawn).toEqual(counted);
    for (const { name } of contenders) expect(svg).toContain(name.split(",")[0]);
  });

  test("a contender whose gap is shown and that was not measured is missed", () => {
    expect(() => gapsPicture({ ...compared, contenders: [] })).toThrow(/faults.json has no figures of resplice/);
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
  const widths = [...svg.matchAll(/class="bar" x="200" y="\d+" width="([\d.]+)"/g)].map(([, width]) => Number(width));
  expect(widths).toEqual([48, 192]);
  expect(svg).toContain('x1="296.0"');
});

test("the lines of a terminal are no longer than it is wide, and the last say what was lost", () => {
  const lines = linesOf(recorded());
  for (const { text } of lines) expect(text.length).toBeLessThanOrEqual(60);
  expect(lines.at(-1)?.text).toContain("lost 0, doubled 0, reordered 0");
  expect(lines.map(({ atMs }) => atMs)).toEqual(lines.map(({ atMs }) => atMs).toSorted((a, b) => a - b));
  const outcomes = lines.filter(({ text }) => / s \w/u.test(text)).map(({ text }) => text.slice(38));
  expect(outcomes).toHaveLength(recorded().faults.length);
  for (const outcome of outcomes) expect(outcome).toMatch(/^recovered in [\d,]+ ms$|^never stopped$/);
  expect(outcomes).toContain("never stopped");
  expect(demoPicture(recorded())).toContain("prefers-reduced-motion: no-preference");
});

test("actions stand in their order, and a line ends before it is too long", () => {
  expect(numberedLines(["shed"])).toEqual(["1 shed"]);
  const actions = Array.from({ length: 9 }, (_, at) => `an-action-${at}`);
  const lines = numberedLines(actions);
  expect(lines.length).toBeGreaterThan(1);
  for (const line of lines) expect(line.length).toBeLessThanOrEqual(56);
  expect(lines.join(" · ").split(" · ")).toEqual(actions.map((action, at) => `${at + 1} ${action}`));
});

test("a figure that docs/performance.md does not have is missed", () => {
  expect(() => throughputPicture("| one way, 64 B, messages/s | 1 | 1 | 1 | 1 | 0.84 |")).toThrow(
    /no ratio of "one way, 1/,
  );
});

describe("the states of a machine", () => {
  const machine: Machine<"a" | "b", "go" | "end"> = {
    title: "t",
    height: 100,
    transitions: { a: { go: "b", end: "b" }, b: { end: "a" } },
    boxes: [
      { state: "a", x: 0, y: 0, width: 20, height: 20 },
      { state: "b", x: 80, y: 80, width: 20, height: 20 },
    ],
    frame: { x: 0, y: 0, width: 30, height: 30, states: ["a"] },
    arrows: [
      {
        from: "framed",
        inputs: ["go", "end"],
        to: "b",
        text: "<on>",
        at: [40, 10],
        points: "20,10 90,10 90,80",
      },
      {
        from: "b",
        inputs: ["end"],
        to: "a",
        text: "back",
        at: [50, 50],
        points: "80,80 20,20",
      },
    ],
  };

  test("are told to those who do not see it, and each arrow ends in a head", () => {
    const svg = machinePicture(machine);
    expect(svg).toContain(">a to b: &lt;on&gt;. b to a: back.</desc>");
    expect(svg).toContain('d="M20 10L82 10Q90 10 90 18L90 76"/><polygon class="head " points="90,80 94,72 86,72"');
  });

  const [on, back] = machine.arrows;
  test.for<[what: string, arrows: Array<typeof on>, message: RegExp]>([
    ["a transition without an arrow", [on], /^t: b, end: a is not drawn$/],
    [
      "an arrow without a transition",
      [on, back, back && { ...back, inputs: ["go"] }],
      /^t: b, go: a is not in the table$/,
    ],
    [
      "an arrow to another state",
      [on, back && { ...back, to: "b" }],
      /b, end: a is not drawn; b, end: b is not in the table/,
    ],
    ["two arrows for one", [on, back, back], /^t: b, end: a is drawn twice$/],
  ])("%s is no picture", ([, arrows, message]) => {
    const wrong = { ...machine, arrows: arrows.filter((arrow) => arrow !== undefined) };
    expect(() => machinePicture(wrong)).toThrow(message);
  });

  test("of a link: what is marked as of plain links only is what the simulation of durable links leaves out", () => {
    const marked = LINK.arrows.flatMap(({ from, inputs, to, kind }) =>
      kind === "plain" ? inputs.map((input) => `link ${from}, ${input}: ${to}`) : [],
    );
    const all = Object.entries(LINK.transitions).flatMap(([from, inputs]) =>
      Object.entries(inputs).map(([input, to]) => `link ${from}, ${input}: ${to}`),
    );
    // Those into "draining" and "closed" are drawn once for all states.
    const expected = all.filter((transition) => !ofDurableLinks(transition) && !/draining|closed/.test(transition));
    expect(marked.toSorted()).toEqual(expected.toSorted());
  });
});
