/** A run of the demo as a terminal shows it: a line for each fault, at the time at which it was over. */
import type { ChaosFigures } from "../../src/cli/chaos/figures.ts";
import { markup } from "../../src/cli/chaos/markup.ts";
import { formatCount, formatMs } from "../../src/cli/words.ts";
import { EDGE, svg, WIDTH } from "./svg.ts";

const LINE_HEIGHT = 22;
const TOP = 34;
/** The lines below the faults appear so long after the last of them. */
const END_MS = 600;
const STYLE = `
text { font: 11px ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; white-space: pre; }
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
  const { sent, lost, doubled, reordered, faults } = figures;
  return svg({
    height: TOP + lines.length * LINE_HEIGHT,
    title: "resplice demo, in a terminal",
    description:
      `The path between two processes breaks ${faults.length} times. Of ${formatCount(sent)} messages ` +
      `${formatCount(lost)} were lost, ${formatCount(doubled)} doubled and ${formatCount(reordered)} reordered.`,
    style: STYLE,
    body: markup`${lines.map(
      ({ text, atMs, kind }, at) =>
        markup`<g class="line" style="animation-delay: ${(atMs / 1_000).toFixed(2)}s"><text class="${kind}" x="${EDGE}" y="${TOP + at * LINE_HEIGHT}" textLength="${(text.length * ((WIDTH - 2 * EDGE) / 66)).toFixed(1)}" lengthAdjust="spacingAndGlyphs">${text}</text></g>`,
    )}`,
  });
}

/** None is longer than 66 characters. */
export function linesOf({ faults, sent, received, lost, doubled, reordered }: ChaosFigures): Line[] {
  const endMs = (faults.at(-1)?.overMs ?? 0) + END_MS;
  return [
    { text: "$ npx resplice demo", atMs: 0, kind: "dim" },
    ...faults.map(({ overMs, text, recoveryMs }): Line => {
      const outcome = recoveryMs === null ? "messages never stopped" : `recovered in ${formatMs(recoveryMs)}`;
      return {
        text: `${(overMs / 1_000).toFixed(1).padStart(5)} s  ${text.padEnd(29)} ${outcome}`,
        atMs: overMs,
        kind: "",
      };
    }),
    { text: `messages  sent ${formatCount(sent)}, received ${formatCount(received)}`, atMs: endMs, kind: "" },
    {
      text: `          lost ${formatCount(lost)}, doubled ${formatCount(doubled)}, reordered ${formatCount(reordered)}`,
      atMs: endMs,
      kind: "good",
    },
  ];
}
