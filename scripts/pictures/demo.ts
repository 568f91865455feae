/** A run of the demo as a terminal shows it: a line for each fault, at the time at which it was over. */
import type { ChaosFigures } from "../../src/cli/chaos/figures.ts";
import { markup } from "../../src/cli/chaos/markup.ts";
import type { Outcome } from "../../src/cli/demo/faults.ts";
import { describeCounts } from "../../src/cli/demo/report.ts";
import { faultLine } from "../../src/cli/demo/view.ts";
import { EDGE, svg, WIDTH } from "./svg.ts";

/** What the demo prints fits into so many. */
const COLUMNS = 60;
const COLUMN_WIDTH = (WIDTH - 2 * EDGE) / COLUMNS;
const LINE_HEIGHT = 20;
const TOP = 32;
/** The lines below the faults appear so long after the last of them. */
const END_MS = 600;
// Letters of most such fonts are 0.6 times as wide as high.
const STYLE = `
.line text { font: ${(COLUMN_WIDTH / 0.6).toFixed(1)}px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre; }
@media (prefers-reduced-motion: no-preference) {
  .line { opacity: 0; animation: appear 0.01s linear forwards; }
  @keyframes appear { to { opacity: 1; } }
}
`;

interface Line {
  readonly text: string;
  readonly atMs: number;
  readonly kind: "" | "dim" | "good";
}

export function demoPicture(figures: ChaosFigures): string {
  const lines = linesOf(figures);
  const [counted = "", wrong = ""] = describeCounts(figures).map((line) => line.trim().replace(/ +/gu, " "));
  return svg({
    height: TOP + lines.length * LINE_HEIGHT,
    title: "resplice demo, in a terminal",
    description: `The path between two processes breaks ${figures.faults.length} times: ${counted}, ${wrong}.`,
    style: STYLE,
    body: markup`${lines.map(
      ({ text, atMs, kind }, at) =>
        markup`<g class="line" style="animation-delay: ${(atMs / 1_000).toFixed(2)}s"><text class="${kind}" x="${EDGE}" y="${TOP + at * LINE_HEIGHT}" textLength="${(text.length * COLUMN_WIDTH).toFixed(1)}" lengthAdjust="spacingAndGlyphs">${text}</text></g>`,
    )}`,
  });
}

/** As the demo prints them: none is longer than 60 characters. */
export function linesOf(figures: ChaosFigures): Line[] {
  const { faults } = figures;
  const endMs = (faults.at(-1)?.overMs ?? 0) + END_MS;
  const [counted = "", wrong = ""] = describeCounts(figures);
  return [
    { text: "$ npx resplice demo", atMs: 0, kind: "dim" },
    ...faults.map(({ overMs, text, outcome, recoveryMs }): Line => {
      // Where there is no time, the outcome says why.
      return { text: faultLine(overMs, text, recoveryMs ?? (outcome as Outcome)), atMs: overMs, kind: "" };
    }),
    { text: counted, atMs: endMs, kind: "" },
    { text: wrong, atMs: endMs, kind: "good" },
  ];
}
