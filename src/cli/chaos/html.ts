/** The report of a run as one HTML file: it loads nothing, and runs no script. */
import { isWhole as isWholeRun, type Percentiles } from "../demo/report.ts";
import { formatCount, formatMs } from "../words.ts";
import { recoveryChart, seconds, throughputChart } from "./charts.ts";
import { type ChaosFigures, endedEarly } from "./figures.ts";
import { Markup, markup } from "./markup.ts";
import { STYLE } from "./style.ts";

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
