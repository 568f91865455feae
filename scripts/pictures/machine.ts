/** States as boxes, and transitions as arrows between them. Each arrow has its place by hand, and comes from a table. */
import { type Markup, markup } from "../../src/cli/chaos/markup.ts";
import { EDGE, svg } from "./svg.ts";

type Point = readonly [x: number, y: number];

export interface Box<State> {
  readonly state: State;
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
  /** How it is drawn: a class of the picture. */
  readonly kind?: string;
}

export interface Arrow<State, Input> {
  /** "framed": each state in the frame has this transition. */
  readonly from: State | "framed";
  readonly inputs: readonly Input[];
  readonly to: State;
  /** Where it goes, as the points of a polyline. */
  readonly points: string;
  readonly text: string;
  /** The middle of the text. */
  readonly at: Point;
  readonly kind?: string;
}

export interface Machine<State extends string, Input extends string> {
  readonly title: string;
  readonly height: number;
  readonly transitions: Readonly<Record<State, Readonly<Partial<Record<Input, State>>>>>;
  readonly boxes: ReadonlyArray<Box<State>>;
  readonly frame: Omit<Box<never>, "state"> & { readonly states: readonly State[] };
  readonly arrows: ReadonlyArray<Arrow<State, Input>>;
  /** What the kinds of arrows mean, below them. */
  readonly legend?: ReadonlyArray<{ readonly kind: string; readonly text: string; readonly at: Point }>;
}

const CORNER = 8;
const HEAD = 8;
const STYLE = `
.arrow { fill: none; stroke: var(--dim); stroke-width: 1.5; } .head { fill: var(--dim); }
.box { fill: var(--paper); stroke: var(--dim); stroke-width: 1.5; } .name { font-size: 13.5px; font-weight: 600; }
.frame { fill: none; stroke: var(--dim); opacity: 0.6; }
.label { font-size: 12.5px; paint-order: stroke; stroke: var(--paper); stroke-width: 8; stroke-linejoin: round; }
.use { stroke: var(--good); stroke-width: 3; }
.durable { stroke: var(--bar); } .head.durable { fill: var(--bar); stroke: none; }
.plain { stroke: var(--warm); stroke-dasharray: 5 3; } .head.plain { fill: var(--warm); stroke: none; }
`;

/** Throws if the arrows are not the transitions of the table, each once. */
export function machinePicture<State extends string, Input extends string>(machine: Machine<State, Input>): string {
  const { title, height, boxes, frame, arrows, legend = [] } = machine;
  checkArrows(machine);
  const { x, y, width } = frame;
  return svg({
    height,
    title,
    description: arrows
      .map(({ from, text, to }) => `${from === "framed" ? frame.states.join(", ") : from} to ${to}: ${text}.`)
      .join(" "),
    style: STYLE,
    body: markup`<text class="title" x="${EDGE}" y="30">${title}</text>
<rect class="frame" x="${x}" y="${y}" width="${width}" height="${frame.height}" rx="10"/>
${arrows.map(({ points, kind = "" }) => arrow(pointsOf(points), kind))}
${boxes.map(box)}
${arrows.map(({ text, at: [middle, line] }) => label(text, middle, line, "middle"))}
${legend.map(({ kind, text, at: [left, line] }) => {
  const end: Point = [left + 34, line];
  return markup`${[arrow([[left, line], end], kind), label(text, left + 42, line, "start")]}`;
})}`,
  });
}

function checkArrows<State extends string, Input extends string>(machine: Machine<State, Input>): void {
  const { title, transitions, frame, arrows } = machine;
  const wanted = Object.entries<Readonly<Partial<Record<Input, State>>>>(transitions).flatMap(([from, inputs]) =>
    Object.entries(inputs).map(([input, to]) => `${from}, ${input}: ${String(to)}`),
  );
  const drawn = arrows.flatMap(({ from, inputs, to }) =>
    (from === "framed" ? frame.states : [from]).flatMap((state) => inputs.map((input) => `${state}, ${input}: ${to}`)),
  );
  const wrong = [
    ...wanted.filter((transition) => !drawn.includes(transition)).map((transition) => `${transition} is not drawn`),
    ...drawn
      .filter((transition) => !wanted.includes(transition))
      .map((transition) => `${transition} is not in the table`),
    ...drawn
      .filter((transition, at) => drawn.indexOf(transition) !== at)
      .map((transition) => `${transition} is drawn twice`),
  ];
  if (wrong.length > 0) throw new Error(`${title}: ${wrong.join("; ")}`);
}

function box({ state, x, y, width, height, kind = "" }: Box<string>): Markup {
  return markup`<rect class="box ${kind}" x="${x}" y="${y}" width="${width}" height="${height}" rx="6"/><text class="name" x="${x + width / 2}" y="${y + height / 2 + 5}" text-anchor="middle">${state}</text>`;
}

function label(text: string, x: number, y: number, anchor: "middle" | "start"): Markup {
  return markup`<text class="label" x="${x}" y="${y + 4}" text-anchor="${anchor}">${text}</text>`;
}

/** A line through these points, with round corners and a head at its end. */
function arrow(points: readonly Point[], kind: string): Markup {
  const [first, ...rest] = points;
  const last = rest.at(-1);
  const before = points.at(-2);
  if (first === undefined || last === undefined || before === undefined) throw new Error("an arrow has two ends");
  // The line ends within the head.
  const through = [first, ...rest.slice(0, -1), towards(last, before, HEAD / 2)];
  const parts = through.slice(1).map((point, at) => {
    const next = through[at + 2];
    if (next === undefined) return `L${point.join(" ")}`;
    const [from, to] = [towards(point, through[at] ?? first, CORNER), towards(point, next, CORNER)];
    return `L${from.join(" ")}Q${point.join(" ")} ${to.join(" ")}`;
  });
  const [x, y] = towards(last, before, HEAD);
  const [aside, down] = [(last[1] - y) / 2, (last[0] - x) / 2];
  const head = [last, [x + aside, y + down], [x - aside, y - down]].map((point) => point.join(",")).join(" ");
  return markup`<path class="arrow ${kind}" d="M${first.join(" ")}${parts.join("")}"/><polygon class="head ${kind}" points="${head}"/>`;
}

/** From `point`, so far in the direction of the other one. */
function towards([x, y]: Point, [toX, toY]: Point, by: number): Point {
  const length = Math.hypot(toX - x, toY - y);
  return [x + ((toX - x) / length) * by, y + ((toY - y) / length) * by];
}

function pointsOf(points: string): Point[] {
  return points.split(" ").map((point): Point => {
    const [x = Number.NaN, y = Number.NaN] = point.split(",").map(Number);
    return [x, y];
  });
}
