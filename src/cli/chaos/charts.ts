/** The report's charts, as SVG that stands in the page. Each has a text alternative. */
import { formatBytes, formatCount, formatMs } from "../words.ts";
import type { ChaosFigures } from "./figures.ts";
import { type Markup, markup } from "./markup.ts";

const WIDTH = 960;
const LEFT = 64;
const RIGHT = 16;
const PLOT_TOP = 16;
const PLOT_HEIGHT = 180;
const ROW_HEIGHT = 30;
/** Recoveries are on a logarithmic scale, which begins here. */
const LEAST_MS = 1;
const NAMES = 150;

/** Messages a second over the time of the run; each fault is a band, from when it was made until messages flowed again. */
export function throughputChart({ throughput, faults, tookMs, to }: ChaosFigures): Markup {
  const most = topOf(throughput);
  const x = (ms: number): string =>
    (LEFT + (Math.min(ms, tookMs) / Math.max(1, tookMs)) * (WIDTH - LEFT - RIGHT)).toFixed(1);
  const y = (count: number): string =>
    (PLOT_TOP + PLOT_HEIGHT - (Math.min(count, most) / most) * PLOT_HEIGHT).toFixed(1);
  const bands = faults.map(({ atMs, overMs, kind, text }) => {
    const width = Math.max(1.5, Number(x(overMs)) - Number(x(atMs))).toFixed(1);
    return markup`<rect class="fault ${kind}" x="${x(atMs)}" y="${PLOT_TOP}" width="${width}" height="${PLOT_HEIGHT}"><title>${text}, at ${seconds(atMs)}</title></rect>`;
  });
  const line = throughput.map(({ atMs, perSecond }) => `${x(atMs)},${y(perSecond)}`).join(" ");
  const alternative = `${to === null ? "Messages" : "Bytes"} a second over ${seconds(tookMs)}, with ${faults.length} faults`;
  return markup`<svg viewBox="0 0 ${WIDTH} ${PLOT_TOP + PLOT_HEIGHT + 28}" role="img" aria-label="${alternative}">
${bands}
${[0, most / 2, most].map((count) => markup`<line class="grid" x1="${LEFT}" x2="${WIDTH - RIGHT}" y1="${y(count)}" y2="${y(count)}"/><text class="tick" x="${LEFT - 8}" y="${y(count)}" dy="4" text-anchor="end">${to === null ? formatCount(count) : formatBytes(count)}</text>`)}
<polyline class="rate" points="${line}"/>
${ticks(tookMs).map((ms) => markup`<text class="tick" x="${x(ms)}" y="${PLOT_TOP + PLOT_HEIGHT + 20}" text-anchor="middle">${seconds(ms)}</text>`)}
</svg>`;
}

/**
 * The end of the scale: what has waited arrives all at once behind a fault, and on a scale for these peaks nothing else
 * would be seen. Times in which nothing arrived do not make it smaller.
 */
export function topOf(throughput: ChaosFigures["throughput"]): number {
  const rates = throughput.flatMap(({ perSecond }) => (perSecond > 0 ? perSecond : [])).toSorted((a, b) => a - b);
  return niceTop(Math.max(1, 2 * (rates[Math.floor(rates.length / 2)] ?? 0)));
}

/** Each recovery as a point, a row for each kind of fault, on a logarithmic scale. */
export function recoveryChart({ kinds, faults }: ChaosFigures): Markup {
  const rows = kinds.filter(({ recoveryMs }) => recoveryMs.max !== null);
  const most = 10 ** Math.ceil(Math.log10(Math.max(10, ...rows.map(({ recoveryMs }) => recoveryMs.max ?? 0))));
  const decades = Math.round(Math.log10(most / LEAST_MS));
  const x = (ms: number): string =>
    (NAMES + (Math.log10(Math.max(LEAST_MS, ms) / LEAST_MS) / decades) * (WIDTH - NAMES - 48)).toFixed(1);
  const bottom = PLOT_TOP + rows.length * ROW_HEIGHT;
  const alternative = `Times of recovery by kind of fault: ${rows.map(({ kind, recoveryMs }) => `${kind} median ${formatMs(recoveryMs.p50 ?? undefined)}`).join(", ")}`;
  return markup`<svg viewBox="0 0 ${WIDTH} ${bottom + 28}" role="img" aria-label="${alternative}">
${Array.from({ length: decades + 1 }, (_, at) => LEAST_MS * 10 ** at).map((ms) => markup`<line class="grid" x1="${x(ms)}" x2="${x(ms)}" y1="${PLOT_TOP}" y2="${bottom}"/><text class="tick" x="${x(ms)}" y="${bottom + 20}" text-anchor="middle">${ms < 1_000 ? `${ms} ms` : seconds(ms)}</text>`)}
${rows.map(({ kind, recoveryMs }, at) => {
  const y = PLOT_TOP + (at + 0.5) * ROW_HEIGHT;
  const those = faults.filter((fault) => fault.kind === kind);
  return markup`<text class="name" x="${NAMES - 12}" y="${y}" dy="4" text-anchor="end">${kind}</text>
${those.map((fault) => (fault.recoveryMs === null ? markup`` : markup`<circle class="${kind}" cx="${x(fault.recoveryMs)}" cy="${y}" r="4"><title>${fault.text}: ${formatMs(fault.recoveryMs)}</title></circle>`))}
<line class="median" x1="${x(recoveryMs.p50 ?? LEAST_MS)}" x2="${x(recoveryMs.p50 ?? LEAST_MS)}" y1="${y - 10}" y2="${y + 10}"/>`;
})}
</svg>`;
}

/** 1, 2 or 5 times a power of ten, not below. */
export function niceTop(count: number): number {
  const power = 10 ** Math.floor(Math.log10(count));
  return ([1, 2, 5, 10].find((times) => times * power >= count) ?? 10) * power;
}

/** At most seven times, from 0 on, at round distances. */
function ticks(tookMs: number): number[] {
  const each = niceTop(Math.max(1, tookMs / 6));
  return Array.from({ length: Math.floor(tookMs / each) + 1 }, (_, at) => at * each);
}

export function seconds(ms: number): string {
  return `${Number((ms / 1_000).toFixed(1))} s`;
}
