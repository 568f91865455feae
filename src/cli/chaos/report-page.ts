/** The document around a report, and how it looks: light and dark, wide and narrow. It loads nothing, and runs no script. */
import { createHash } from "node:crypto";
import { Markup, markup } from "./markup.ts";

const STYLE = `
:root { color-scheme: light dark; --ink: #1d2430; --dim: #5a6473; --paper: #ffffff; --line: #dfe3e8; --good: #17703a;
  --bad: #b3261e; --rate: #1f5fbf; --cut: #d9722e; --hole: #7a4fc0; --slow: #2a8c82; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ee; --dim: #a0a9b6; --paper: #14181f; --line: #2d3440;
  --good: #6cc78e; --bad: #ff8a80; --rate: #7fb2ff; --cut: #f0a06a; --hole: #b69bf0; --slow: #6fcdc2; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1040px; padding: 24px 16px 48px; background: var(--paper); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; }
h1 { font-size: 24px; line-height: 1.25; margin: 0 0 4px; }
h2 { font-size: 17px; margin: 36px 0 8px; }
p { margin: 4px 0; max-width: 72ch; } figure { margin: 0; }
.dim, th, figcaption { color: var(--dim); }
.verdict { font-weight: 600; } .verdict.good { color: var(--good); } .verdict.bad { color: var(--bad); }
dl.figures { display: grid; grid-template-columns: repeat(auto-fill, minmax(118px, 1fr)); gap: 12px; margin: 20px 0; }
dl.figures div { border: 1px solid var(--line); border-radius: 6px; padding: 8px 12px; }
dl.figures dt { color: var(--dim); font-size: 13px; } dl.figures dd { margin: 0; font-size: 20px; }
dd, td { font-variant-numeric: tabular-nums; }
tr.none td { color: var(--bad); } summary { color: var(--dim); cursor: pointer; }
.scroll { overflow-x: auto; } .scroll:focus-visible { outline: 2px solid var(--rate); outline-offset: 2px; }
table { border-collapse: collapse; width: 100%; }
th, td { padding: 4px 10px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th:first-child, td:first-child, .left { text-align: left; }
th { font-weight: 500; font-size: 13px; }
dl.about { display: grid; grid-template-columns: max-content 1fr; gap: 2px 16px; } dl.about dt { color: var(--dim); }
dl.about dd { margin: 0; overflow-wrap: anywhere; }
svg { display: block; width: 100%; min-width: 620px; height: auto; font: 12px system-ui, sans-serif; }
svg .grid { stroke: var(--line); } svg .tick { fill: var(--dim); } svg .name { fill: var(--ink); }
svg .rate { fill: none; stroke: var(--rate); stroke-width: 1.5; } svg .median { stroke: var(--ink); stroke-width: 2; }
svg .fault { opacity: 0.35; } .fin, .rst, .cut-after-bytes, .refuse { fill: var(--cut); }
.black-hole, .one-way-black-hole { fill: var(--hole); } .stall, .latency { fill: var(--slow); }
svg circle { opacity: 0.7; }
.key { white-space: nowrap; margin-right: 12px; }
.key::before { content: ""; display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 4px; }
.key.cut::before { background: var(--cut); } .key.hole::before { background: var(--hole); }
.key.slow::before { background: var(--slow); }
`;

export interface Report {
  readonly title: string;
  /** Beside that of all reports. */
  readonly style?: string;
  readonly header: Markup;
  readonly main: Markup;
  /** Of the run: names, and what they stand for. */
  readonly about: Readonly<Record<string, string>>;
}

export function reportPage({ title, style = "", header, main, about }: Report): string {
  const whole = new Markup(STYLE + style);
  // The page allows itself this style, and no other.
  const hash = new Markup(`sha256-${createHash("sha256").update(whole.text).digest("base64")}`);
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src '${hash}'">
<title>${title}</title>
<style>${whole}</style>
</head>
<body>
<header>
${header}
</header>
<main>
${main}
<h2>About this run</h2>
<dl class="about">
${Object.entries(about).map(([name, value]) => markup`<dt>${name}</dt><dd>${value}</dd>`)}
</dl>
</main>
</body>
</html>
`.text;
}
