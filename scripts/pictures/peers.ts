/** What a link and others made of their messages under faults: a row for each, a column for each fault. */
import { markup } from "../../src/cli/chaos/markup.ts";
import type { Count } from "../../bench/faults/count.ts";
import type { FaultFigures } from "../../bench/faults/figures.ts";
import { EDGE, numberedLines, svg, WIDTH } from "./svg.ts";

const NAMES = 236;
const HEADS = 84;
const ROW_HEIGHT = 24;
const CELL_HEIGHT = 16;
const GAP = 4;
const LEGEND = 40;
const LINE_HEIGHT = 20;

/** Colours are not all that tells cells apart: `filled` is how much of one is filled. `x`: in the legend. */
const OUTCOMES = {
  whole: { colour: "good", filled: 1, words: "each once, in order", x: EDGE },
  changed: { colour: "warm", filled: 0.5, words: "twice, or out of order", x: 180 },
  lost: { colour: "hot", filled: 0.2, words: "lost", x: 362 },
} as const;
type Outcome = keyof typeof OUTCOMES;

/** Late messages are in the tables: they are not lost, and in order. */
export function outcomeOf({ lost, doubled, reordered }: Count): Outcome {
  if (lost > 0) return "lost";
  return doubled > 0 || reordered > 0 ? "changed" : "whole";
}

export function peersPicture({ madeAt, faults, contenders }: FaultFigures): string {
  const columnWidth = (WIDTH - EDGE - NAMES) / faults.length;
  const x = (column: number): number => NAMES + column * columnWidth;
  const y = (row: number): number => HEADS + row * ROW_HEIGHT;
  const legendY = y(contenders.length) + 14;
  const cell = ({ colour, filled }: (typeof OUTCOMES)[Outcome], left: number, top: number) => {
    const height = CELL_HEIGHT * filled;
    const width = columnWidth - GAP;
    return markup`<rect class="cell" x="${left.toFixed(1)}" y="${top}" width="${width.toFixed(1)}" height="${CELL_HEIGHT}" rx="2"/><rect class="${colour}" x="${left.toFixed(1)}" y="${(top + CELL_HEIGHT - height).toFixed(1)}" width="${width.toFixed(1)}" height="${height.toFixed(1)}" rx="2"/>`;
  };
  const heads = faults.map((_, column) => {
    const middle = x(column) + (columnWidth - GAP) / 2;
    return markup`<text class="dim" x="${middle.toFixed(1)}" y="${HEADS - 8}" text-anchor="middle">${column + 1}</text>`;
  });
  const rows = contenders.map(({ name, counts }, row) => {
    const cells = faults.map((fault, column) => {
      const count = counts[fault.name];
      return count === undefined ? markup`` : cell(OUTCOMES[outcomeOf(count)], x(column), y(row) + 2);
    });
    return markup`<text x="${EDGE}" y="${y(row) + 15}"${name === "resplice" ? markup` class="title"` : markup``}>${shortened(name)}</text>${cells}`;
  });
  const legend = Object.values(OUTCOMES).map(
    (outcome) =>
      markup`${cell(outcome, outcome.x, legendY)}<text class="dim" x="${(outcome.x + columnWidth).toFixed(1)}" y="${legendY + 13}">${outcome.words}</text>`,
  );
  const names = numberedLines(faults.map(({ name }) => name));
  return svg({
    height: legendY + LEGEND + names.length * LINE_HEIGHT,
    title: "Messages under faults",
    description: `${madeAt.slice(0, 10)}. ${contenders
      .map(({ name, counts }) =>
        describe(
          name,
          Object.values(counts).filter((count) => count !== undefined),
        ),
      )
      .join(" ")}`,
    style: ".cell { fill: none; stroke: var(--line); }",
    body: markup`<text class="title" x="${EDGE}" y="32">Messages under faults</text>
<text class="dim" x="${EDGE}" y="52">${madeAt.slice(0, 10)}</text>
${heads}
${rows}
${legend}
${names.map((line, at) => markup`<text class="dim" x="${EDGE}" y="${legendY + LEGEND + 4 + at * LINE_HEIGHT}">${line}</text>`)}`,
  });
}

/** Of a contender, for a row. */
export function shortened(name: string): string {
  return name.replace("resent by the application", "resent");
}

function describe(name: string, counts: readonly Count[]): string {
  const count = (outcome: Outcome): number => counts.filter((each) => outcomeOf(each) === outcome).length;
  return `${name}: of ${counts.length} faults ${count("whole")} left each message once and in order, ${count("changed")} had some twice or out of order, ${count("lost")} lost some.`;
}
