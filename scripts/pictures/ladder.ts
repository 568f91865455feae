/** The overload ladder: of each resource where its overload begins and ends, and what is done, in which order. */
import { type Markup, markup } from "../../src/cli/chaos/markup.ts";
import { type Resource, RESOURCES } from "../../src/core/overload/rules.ts";
import { EDGE, numberedLines, svg, WIDTH } from "./svg.ts";

const SCALE = WIDTH - 2 * EDGE;
const TOP = 80;
const BAR_HEIGHT = 12;
const LINE_HEIGHT = 18;
const GAP = 18;
/** Of a resource that is measured in milliseconds, the end of its bar. */
const MOST_MS = 50;

export function ladderPicture(): string {
  let y = TOP;
  const rows = Object.entries(RESOURCES).map(([name, resource]) => {
    const lines = numberedLines(resource.actions);
    const at = y;
    y += 8 + BAR_HEIGHT + (lines.length + 1) * LINE_HEIGHT + GAP;
    return markup`<text class="title" x="${EDGE}" y="${at}">${name}</text><text class="dim" x="${WIDTH - EDGE}" y="${at}" text-anchor="end">${thresholds(resource)}</text>
${bar(resource, at + 8)}
${lines.map((line, row) => markup`<text class="step" x="${EDGE}" y="${at + 8 + BAR_HEIGHT + (row + 1) * LINE_HEIGHT}">${line}</text>`)}`;
  });
  return svg({
    height: y - LINE_HEIGHT,
    title: "The overload ladder",
    description: Object.entries(RESOURCES)
      .map(([name, { low, high, critical, actions, unit }]) => {
        const above = critical === undefined ? "" : `, critical from ${shown(critical, unit)} on`;
        return `${name}: high from ${shown(high, unit)} on${above}, over below ${shown(low, unit)}; ${actions.join(", ")}.`;
      })
      .join(" "),
    style: ".step { font-size: 12.5px; }",
    body: markup`<text class="title" x="${EDGE}" y="30">The overload ladder</text>
<text class="dim" x="${EDGE}" y="49">While it is high, one step after another; below low, all end</text>
${rows}`,
  });
}

function thresholds({ low, high, critical, criticalLeft, unit }: Resource): string {
  const all = Object.entries({ low, high, critical }).flatMap(([name, value]) =>
    value === undefined ? [] : [`${name} ${shown(value, unit)}`],
  );
  return [...all, ...(criticalLeft === undefined ? [] : [`critical where ${criticalLeft} are left`])].join(", ");
}

function bar({ unit, low, high, critical }: Resource, y: number): Markup {
  const x = (value: number): number => EDGE + (value / (unit === "ms" ? MOST_MS : 1)) * SCALE;
  const part = (kind: string, from: number, to: number): Markup =>
    markup`<rect class="${kind}" x="${from.toFixed(1)}" y="${y}" width="${(to - from).toFixed(1)}" height="${BAR_HEIGHT}"/>`;
  const end = EDGE + SCALE;
  const hot = critical === undefined ? end : x(critical);
  const marks = [low, high, critical].filter((value) => value !== undefined);
  return markup`${[
    part("good", EDGE, x(low)),
    part("soft", x(low), x(high)),
    part("warm", x(high), hot),
    ...(critical === undefined ? [] : [part("hot", hot, end)]),
    ...marks.map(
      (value) =>
        markup`<line class="mark" x1="${x(value).toFixed(1)}" x2="${x(value).toFixed(1)}" y1="${y - 2}" y2="${y + BAR_HEIGHT + 2}"/>`,
    ),
  ]}`;
}

function shown(value: number, unit: Resource["unit"]): string {
  return unit === "ms" ? `${value} ms` : `${Math.round(100 * value)} %`;
}
