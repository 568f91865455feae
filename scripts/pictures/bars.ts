/** Figures as bars, with their numbers, and a stroke where the reference is. */
import { markup } from "../../src/cli/chaos/markup.ts";
import { EDGE, svg, WIDTH } from "./svg.ts";

const NAMES = 200;
const FIGURES = 88;
const ROW_HEIGHT = 32;
const TOP = 56;
const BAR_HEIGHT = 16;

export interface Bars {
  readonly title: string;
  readonly description: string;
  /** `value`: of the bar, on the same scale for all. */
  readonly rows: ReadonlyArray<{ readonly name: string; readonly value: number; readonly text: string }>;
  /** What all are compared with. */
  readonly reference?: { readonly value: number; readonly name: string };
}

export function barsPicture({ title, description, rows, reference }: Bars): string {
  const most = Math.max(...rows.map(({ value }) => value), reference?.value ?? 0) || 1;
  const length = (value: number): number => (value / most) * (WIDTH - NAMES - FIGURES);
  const bottom = TOP + rows.length * ROW_HEIGHT;
  const height = bottom + (reference === undefined ? 4 : 30);
  const at = reference === undefined ? 0 : NAMES + length(reference.value);
  return svg({
    height,
    title,
    description,
    body: markup`<text class="title" x="${EDGE}" y="32">${title}</text>
${rows.map(({ name, value, text }, row) => {
  const y = TOP + row * ROW_HEIGHT;
  return markup`<text x="${EDGE}" y="${y + 15}">${name}</text><rect class="bar" x="${NAMES}" y="${y + 2}" width="${length(value).toFixed(1)}" height="${BAR_HEIGHT}" rx="2"/><text x="${WIDTH - EDGE}" y="${y + 15}" text-anchor="end">${text}</text>`;
})}
${
  reference === undefined
    ? []
    : [
        markup`<line class="mark" x1="${at.toFixed(1)}" x2="${at.toFixed(1)}" y1="${TOP - 6}" y2="${bottom - 8}"/><text class="dim" x="${at.toFixed(1)}" y="${bottom + 12}" text-anchor="middle">${reference.name}</text>`,
      ]
}`,
  });
}
