/** What all pictures share: a file that stands alone, in the colours of a light or of a dark page. */
import { markup, Markup } from "../../src/cli/chaos/markup.ts";

/** Narrow: on a phone of 390 pixels the smallest letters still have ten. */
export const WIDTH = 480;
/** Left and right of everything. */
export const EDGE = 16;
/** Of a line of small letters. */
const MOST_CHARACTERS = 56;

const STYLE = new Markup(`
svg { --ink: #1d2430; --dim: #5a6473; --paper: #ffffff; --line: #d5dae1; --bar: #1f5fbf; --soft: #a9c4ec; --good: #17703a;
  --warm: #b85a17; --hot: #b3261e; }
@media (prefers-color-scheme: dark) { svg { --ink: #e6e9ee; --dim: #a0a9b6; --paper: #14181f; --line: #343c49;
  --bar: #7fb2ff; --soft: #3d5f92; --good: #6cc78e; --warm: #f0a06a; --hot: #ff8a80; } }
text { fill: var(--ink); font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; }
.paper { fill: var(--paper); } .dim { fill: var(--dim); font-size: 12.5px; } .title { font-weight: 600; }
.grid { stroke: var(--line); } .bar { fill: var(--bar); } .soft { fill: var(--soft); } .good { fill: var(--good); }
.mark { stroke: var(--ink); stroke-width: 2; } .warm { fill: var(--warm); } .hot { fill: var(--hot); }
`);

export interface Picture {
  readonly height: number;
  readonly title: string;
  /** For those who do not see it. */
  readonly description: string;
  /** Beside the style of all pictures. */
  readonly style?: string;
  readonly body: Markup;
}

export function svg({ height, title, description, style = "", body }: Picture): string {
  return markup`<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" width="${WIDTH}" height="${height}" role="img" aria-labelledby="title description">
<title id="title">${title}</title>
<desc id="description">${description}</desc>
<style>${STYLE}${new Markup(style)}</style>
<rect class="paper" width="${WIDTH}" height="${height}" rx="8"/>
${body}
</svg>
`.text;
}

/** What stands in an order, numbered, in as few lines as have room for it. */
export function numberedLines(names: readonly string[]): string[] {
  const lines: string[] = [];
  for (const [at, name] of names.entries()) {
    const step = `${at + 1} ${name}`;
    const last = lines.at(-1);
    if (last === undefined || last.length + step.length + 3 > MOST_CHARACTERS) lines.push(step);
    else lines[lines.length - 1] = `${last} · ${step}`;
  }
  return lines;
}
