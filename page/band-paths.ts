/** A band as paths of SVG, on a plane of 300 by 10: a unit to the right is a second. */
import { type Row, SHOWN_MS, STATES } from "../src/monitor/live/messages.ts";

export const WIDTH = 300;
export const HEIGHT = 10;
/** The band itself begins so far from above: a cut stands out. */
const TOP = 2;
/** A state that was short is seen, too. */
const LEAST_WIDTH = 0.75;
const MS_PER_UNIT = SHOWN_MS / WIDTH;

export interface BandPaths {
  /** By state: its times. */
  states: Array<[state: string, path: string]>;
  cuts: string;
  cutCount: number;
  /** For those who do not see it. */
  words: string;
}

export function bandPaths({ band, cuts }: Pick<Row, "band" | "cuts">, nowMs: number): BandPaths {
  const fromMs = nowMs - SHOWN_MS;
  const x = (ms: number): number => Math.max(0, Math.min(WIDTH, (ms - fromMs) / MS_PER_UNIT));
  const paths = new Map<string, string>();
  const lengths = new Map<string, number>();
  for (let at = 0; at < band.length; at += 2) {
    const state = STATES[band[at + 1] ?? 0] ?? "created";
    const [left, right] = [x(band[at] ?? 0), x(band[at + 2] ?? nowMs)];
    if (right <= 0) continue;
    const width = Math.max(LEAST_WIDTH, right - left);
    paths.set(state, `${paths.get(state) ?? ""}M${short(left)} ${TOP}h${short(width)}V${HEIGHT}h${short(-width)}z`);
    lengths.set(state, (lengths.get(state) ?? 0) + right - left);
  }
  const shown = cuts.filter((ms) => ms >= fromMs && ms <= nowMs);
  const all = [...lengths.values()].reduce((sum, length) => sum + length, 0);
  const parts = [...lengths].map(([state, length]) => `${state} ${percent(length, all)}`);
  return {
    // Those that are drawn last are seen best: states without a connection are short.
    states: [...paths].toSorted(([one], [other]) => rank(other) - rank(one)),
    cuts: shown.map((ms) => `M${short(x(ms))} 0V${HEIGHT}`).join(""),
    cutCount: shown.length,
    words: `last five minutes: ${parts.join(", ")}; ${shown.length === 1 ? "1 cut" : `${shown.length} cuts`}`,
  };
}

function percent(length: number, all: number): string {
  return all === 0 ? "just now" : `${Math.round((100 * length) / all)} %`;
}

function rank(state: string): number {
  return state === "connected" || state === "idle" ? 1 : 0;
}

function short(value: number): number {
  return Math.round(value * 100) / 100;
}
