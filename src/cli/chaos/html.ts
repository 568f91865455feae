/** The report of a run as one HTML file: it loads nothing, and runs no script. */
import { isWhole as isWholeRun, type Percentiles } from "../demo/report.ts";
import { formatCount, formatMs } from "../words.ts";
import { recoveryChart, seconds, throughputChart } from "./charts.ts";
import { type ChaosFigures, endedEarly } from "./figures.ts";
import { Markup, markup } from "./markup.ts";

const STYLE = new Markup(`
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
svg .fault { opacity: 0.35; } .fin, .rst, .cut-after-bytes { fill: var(--cut); }
.black-hole, .one-way-black-hole { fill: var(--hole); } .stall, .latency { fill: var(--slow); }
svg circle { opacity: 0.7; }
.key { white-space: nowrap; margin-right: 12px; }
.key::before { content: ""; display: inline-block; width: 10px; height: 10px; border-radius: 2px; margin-right: 4px; }
.key.cut::before { background: var(--cut); } .key.hole::before { background: var(--hole); }
.key.slow::before { background: var(--slow); }
`);

const KEY = new Markup(
  '<span class="key cut">cut</span> <span class="key hole">black hole</span> <span class="key slow">stall, latency</span>',
);

export function toHtml(figures: ChaosFigures, exitCode: number): string {
  const { sent, received, lost, doubled, reordered, longestGapMs, faults, kinds, tookMs, path, errors } = figures;
  const isWhole = isWholeRun(figures);
  const total = kinds.reduce((sum, { times }) => sum + times, 0);
  const verdict = isWhole
    ? "Nothing was lost, doubled or reordered."
    : `Lost ${formatCount(lost)}, doubled ${formatCount(doubled)}, reordered ${formatCount(reordered)}.`;
  const problems = endedEarly(figures, exitCode) ? [`The run ended early, with ${exitCode}.`] : errors;
  const title = `${formatCount(total)} faults in ${seconds(tookMs)}`;
  return markup`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>resplice chaos: ${title}</title>
<style>${STYLE}</style>
</head>
<body>
<header>
<h1>${title}</h1>
<p class="verdict ${isWhole && problems.length === 0 ? "good" : "bad"}">${verdict}</p>
${problems.map((problem) => markup`<p class="verdict bad">${problem}</p>`)}
<p class="dim">One durable link between two processes, through ${path}.</p>
</header>
<main>
<dl class="figures">
${Object.entries({ sent, received, lost, doubled, reordered }).map(([name, count]) => markup`<div><dt>${name}</dt><dd data-figure="${name}">${formatCount(count)}</dd></div>`)}
<div><dt>longest gap</dt><dd data-figure="longestGapMs">${formatMs(longestGapMs ?? undefined)}</dd></div>
</dl>
<h2>Throughput</h2>
<figure class="scroll" tabindex="0" role="group" aria-label="Throughput over time">
${throughputChart(figures)}
<figcaption>Messages a second that the receiver was handed. What has waited arrives at once behind a fault: such peaks are cut off. A band goes from the fault to when all that had waited was accepted. ${KEY}</figcaption>
</figure>
<h2>Recovery</h2>
<figure class="scroll" tabindex="0" role="group" aria-label="Times of recovery">
${recoveryChart(figures)}
<figcaption>From the path's healing to the first message sent after it. Each point is a fault, a stroke is the median.</figcaption>
</figure>
<div class="scroll" tabindex="0" role="group" aria-label="Recovery and gap by kind of fault">
<table id="kinds">
<thead><tr><th scope="col">fault</th><th scope="col">times</th>${["recovery", "gap"].map((what) => markup`<th scope="col">${what} p50</th><th scope="col">p99</th><th scope="col">longest</th>`)}</tr></thead>
<tbody>
${kinds.map(({ kind, times, recoveryMs, gapMs }) => markup`<tr data-kind="${kind}"><td>${kind}</td><td>${formatCount(times)}</td>${[...cells(recoveryMs), ...cells(gapMs)]}</tr>`)}
</tbody>
</table>
</div>
<p class="dim">A gap is the longest time during the fault in which the receiver was handed nothing; less than 20 ms is none.
Latency, and a black hole in the way back, do not stop the messages: there is nothing to recover from.</p>
<h2>What was done when</h2>
<div class="scroll" tabindex="0" role="group" aria-label="All faults">
<table id="faults">
<thead><tr><th scope="col">at</th><th scope="col" class="left">fault</th><th scope="col">over after</th><th scope="col">recovery</th><th scope="col">gap</th></tr></thead>
<tbody>
${faults.map(({ text, atMs, overMs, recoveryMs, gapMs }) => markup`<tr><td>${seconds(atMs)}</td><td class="left">${text}</td>${[overMs - atMs, recoveryMs, gapMs].map((ms) => cell(ms))}</tr>`)}
</tbody>
</table>
</div>
<h2>About this run</h2>
<dl class="about">
${Object.entries(about(figures)).map(([name, value]) => markup`<dt>${name}</dt><dd>${value}</dd>`)}
</dl>
</main>
</body>
</html>
`.text;
}

function about({ madeAt, command, machine, versions, seed }: ChaosFigures): Record<string, string> {
  return {
    made: madeAt,
    "the same faults again": command,
    ...(seed === null ? {} : { seed: String(seed) }),
    resplice: versions.resplice,
    Node: versions.node,
    machine,
  };
}

function cells({ p50, p99, max }: Percentiles): Markup[] {
  return [p50, p99, max].map((ms) => cell(ms));
}

function cell(ms: number | null): Markup {
  return markup`<td>${formatMs(ms ?? undefined)}</td>`;
}
