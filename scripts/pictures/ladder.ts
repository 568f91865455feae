/** The overload ladder: of each resource where its overload begins and ends, and what is done, in which order. */
import { type Markup, markup } from "../../src/cli/chaos/markup.ts";
import { type Resource, RESOURCES } from "../../src/core/overload/rules.ts";
import { svg, WIDTH } from "./svg.ts";

const LEFT = 150;
const SCALE = WIDTH - LEFT - 24;
const TOP = 64;
const BAR_HEIGHT = 14;
const LINE_HEIGHT = 18;
const GAP = 20;
/** A line of actions has at most so many characters. */
const MOST_CHARACTERS = 62;
/** Of a resource that is measured in milliseconds, the end of its bar. */
const MOST_MS = 50;

export function ladderPicture(): string {
  let y = TOP;
  const rows = Object.entries(RESOURCES).map(([name, resource]) => {
    const lines = actionLines(resource.actions);
    const at = y;
    y += BAR_HEIGHT + 22 + lines.length * LINE_HEIGHT + GAP;
    return markup`<text class="title" x="20" y="${at + 12}">${name}</text>
${bar(resource, at)}
${lines.map((line, row) => markup`<text class="dim" x="${LEFT}" y="${at + BAR_HEIGHT + 36 + row * LINE_HEIGHT}">${line}</text>`)}`;
  });
  return svg({
    height: y,
    title: "The overload ladder",
    description: Object.entries(RESOURCES)
      .map(([name, { low, high, critical, actions, unit }]) => {
        const above = critical === undefined ? "" : `, critical from ${shown(critical, unit)} on`;
        return `${name}: high from ${shown(high, unit)} on${above}, over below ${shown(low, unit)}; ${actions.join(", ")}.`;
      })
      .join(" "),
    style: ".figures { font-size: 13px; }",
    body: markup`<text class="title" x="20" y="32">The overload ladder</text>
<text class="dim" x="${WIDTH - 20}" y="32" text-anchor="end">from high on: one step after another. Below low: all is taken back</text>
${rows}`,
  });
}

function bar({ unit, low, high, critical, criticalLeft }: Resource, y: number): Markup {
  const x = (value: number): number => LEFT + (value / (unit === "ms" ? MOST_MS : 1)) * SCALE;
  const part = (kind: string, from: number, to: number): Markup =>
    markup`<rect class="${kind}" x="${from.toFixed(1)}" y="${y}" width="${(to - from).toFixed(1)}" height="${BAR_HEIGHT}"/>`;
  const end = LEFT + SCALE;
  const hot = critical === undefined ? end : x(critical);
  const mark = (value: number): Markup =>
    markup`<line class="mark" x1="${x(value).toFixed(1)}" x2="${x(value).toFixed(1)}" y1="${y - 3}" y2="${y + BAR_HEIGHT + 3}"/>`;
  const thresholds = Object.entries({ low, high, critical }).flatMap(([name, value]) =>
    value === undefined ? [] : [{ value, text: `${name} ${shown(value, unit)}` }],
  );
  return markup`${[
    part("good", LEFT, x(low)),
    part("soft", x(low), x(high)),
    part("warm", x(high), hot),
    part("hot", hot, end),
    ...thresholds.map(({ value }) => mark(value)),
  ]}
<text x="${LEFT}" y="${y + BAR_HEIGHT + 19}" class="figures">${thresholds.map(({ text }) => text).join(", ")}${criticalLeft === undefined ? "" : `, critical where ${criticalLeft} are left`}</text>`;
}

/** The actions in their order, in lines. */
export function actionLines(actions: readonly string[]): string[] {
  const lines: string[] = [];
  for (const [at, action] of actions.entries()) {
    const step = `${at + 1} ${action}`;
    const last = lines.at(-1);
    if (last === undefined || last.length + step.length + 3 > MOST_CHARACTERS) lines.push(step);
    else lines[lines.length - 1] = `${last} · ${step}`;
  }
  return lines;
}

function shown(value: number, unit: Resource["unit"]): string {
  return unit === "ms" ? `${value} ms` : `${Math.round(100 * value)} %`;
}
