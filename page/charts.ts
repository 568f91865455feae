/** The sums over all links in the last five minutes, as four charts. */
import { html } from "htm/preact";
import type { VNode } from "preact";
import { useEffect, useMemo, useRef } from "preact/hooks";
import UPlot from "uplot";
import { type Frame, type Point, SHOWN_MS } from "../src/monitor/live/messages.ts";
import { bytes, count, milliseconds } from "./format.ts";

interface Line {
  name: string;
  /** The place in a point. */
  at: number;
  /** The name of a color in page.css. */
  color: string;
}

interface Chart {
  title: string;
  lines: readonly [Line, Line];
  format: (value: number | null | undefined) => string;
  /** Between two lines of the grid. Left out: tens and their halves. */
  steps?: number[];
}

const known =
  (format: (value: number | undefined) => string) =>
  (value: number | null | undefined): string =>
    format(value ?? undefined);

const CHARTS: readonly Chart[] = [
  {
    title: "Messages a second",
    lines: [
      { name: "sent", at: 1, color: "--one" },
      { name: "received", at: 2, color: "--two" },
    ],
    format: known(count),
  },
  {
    title: "Bytes a second",
    lines: [
      { name: "sent", at: 3, color: "--one" },
      { name: "received", at: 4, color: "--two" },
    ],
    format: known(bytes),
    steps: Array.from({ length: 50 }, (_, power) => 2 ** power),
  },
  {
    title: "Round trip",
    lines: [
      { name: "median", at: 5, color: "--one" },
      { name: "longest", at: 6, color: "--two" },
    ],
    format: milliseconds,
  },
  {
    title: "Links",
    lines: [
      { name: "connected", at: 7, color: "--ok" },
      { name: "away", at: 8, color: "--bad" },
    ],
    format: known(count),
  },
];

const HEIGHT = 116;
const FONT = "11px system-ui, sans-serif";

/** Drawn once a second, when there is another point, and not with each change of a link. */
export function Charts({ points }: Pick<Frame, "points">): VNode {
  const all = useMemo(() => Object.values(points), [points]);
  return html`<section class="charts" aria-label="The last five minutes">
    ${CHARTS.map((chart) => html`<${OneChart} key=${chart.title} chart=${chart} points=${all} />`)}
  </section>`;
}

function OneChart({ chart, points }: { chart: Chart; points: readonly Point[] }): VNode {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<UPlot | undefined>(undefined);
  useEffect(() => {
    const element = place.current;
    if (element === null) return undefined;
    const draw = (): void => {
      plot.current?.destroy();
      plot.current = new UPlot(options(chart, element), [[], [], []], element);
    };
    draw();
    // Its colors are read when it is made.
    const dark = matchMedia("(prefers-color-scheme: dark)");
    dark.addEventListener("change", draw);
    const sized = new ResizeObserver(() => plot.current?.setSize({ width: element.clientWidth, height: HEIGHT }));
    sized.observe(element);
    return () => {
      dark.removeEventListener("change", draw);
      sized.disconnect();
      plot.current?.destroy();
    };
  }, [chart]);
  useEffect(() => {
    const column = (at: number): Array<number | null> => points.map((point) => point[at] ?? null);
    const [one, two] = chart.lines;
    const times = points.map(([ms]) => ms / 1_000);
    plot.current?.setData([times, column(one.at), column(two.at)], false);
    const nowS = times.at(-1) ?? Date.now() / 1_000;
    plot.current?.setScale("x", { min: nowS - SHOWN_MS / 1_000, max: nowS });
  }, [points, chart]);
  const last = points.at(-1);
  const words = chart.lines.map(({ name, at }) => `${name} ${chart.format(last?.[at])}`);
  return html`<figure class="chart">
    <figcaption>
      <span class="title">${chart.title}</span>
      ${chart.lines.map(
        ({ name, at, color }) =>
          html`<span class="key"
            ><i class=${`dot ${color.slice(2)}`}></i>${name} <b>${chart.format(last?.[at])}</b></span
          >`,
      )}
    </figcaption>
    <div ref=${place} role="img" aria-label=${`${chart.title}: ${words.join(", ")}`}></div>
  </figure>`;
}

function options({ lines, format, steps }: Chart, element: HTMLElement): UPlot.Options {
  const color = (name: string): string => colorOf(element, name);
  const axis = {
    stroke: color("--dim"),
    font: FONT,
    grid: { stroke: color("--line"), width: 1 },
    ticks: { show: false },
  };
  return {
    width: element.clientWidth,
    height: HEIGHT,
    legend: { show: false },
    cursor: { sync: { key: "all" }, points: { size: 6 }, drag: { x: false, y: false } },
    scales: { y: { range: (_plot, _least, most) => [0, Math.max(1, (most ?? 0) * 1.1)] } },
    axes: [
      { ...axis, size: 20, space: 60, values: (_plot, times) => times.map((s) => hoursAndMinutes(s)) },
      {
        ...axis,
        size: 58,
        space: 28,
        ...(steps && { incrs: steps }),
        values: (_plot, values) => values.map((value) => format(value)),
      },
    ],
    series: [
      {},
      ...lines.map(({ name, color: of }) => ({
        label: name,
        stroke: color(of),
        width: 1.5,
        points: { show: false },
        spanGaps: false,
      })),
    ],
  };
}

/** As a canvas takes it: a custom property may still be a choice between light and dark. */
function colorOf(element: HTMLElement, name: string): string {
  element.style.color = `var(${name})`;
  const { color } = getComputedStyle(element);
  element.style.color = "";
  return color;
}

function hoursAndMinutes(seconds: number): string {
  const text = new Date(seconds * 1_000).toLocaleTimeString("en-GB");
  return seconds % 60 === 0 ? text.slice(0, 5) : text;
}
