/** The report of a run as one HTML file. */
import { isWhole, type Percentiles } from "../demo/report.ts";
import { formatBytes, formatCount, formatMs } from "../words.ts";
import { recoveryChart, seconds, throughputChart } from "./charts.ts";
import { type ChaosFigures, endedEarly, type FaultFigures } from "./figures.ts";
import { Markup, markup } from "./markup.ts";
import { reportPage } from "./report-page.ts";

const KEY = new Markup(
  '<span class="key cut">cut</span> <span class="key hole">black hole</span> <span class="key slow">stall, latency</span>',
);

const OUTCOMES: Readonly<Record<FaultFigures["outcome"], string>> = {
  recovered: "",
  "never-stopped": "-",
  "not-measured": "not measured",
  none: "none",
};

export function toHtml(figures: ChaosFigures, exitCode: number): string {
  const { longestGapMs, leastGapMs, faults, kinds, tookMs, path, to, errors } = figures;
  const total = kinds.reduce((sum, { times }) => sum + times, 0);
  const counted = to === null ? "Messages" : "Bytes";
  const gap = (ms: number | null): Markup => gapCell(ms, leastGapMs);
  const problems = endedEarly(figures, exitCode) ? [`The run ended early, with ${exitCode}.`] : errors;
  const title = `${formatCount(total)} faults in ${seconds(tookMs)}`;
  return reportPage({
    title: `resplice chaos: ${title}`,
    header: markup`<h1>${title}</h1>
<p class="verdict ${isWhole(figures) && problems.length === 0 ? "good" : "bad"}">${verdictOf(figures, problems.length === 0)}</p>
${problems.map((problem) => markup`<p class="verdict bad">${problem}</p>`)}
<p class="dim">${to === null ? "One durable link between two processes" : `Connections to ${to}`}, through ${path}.</p>`,
    main: markup`<dl class="figures">
${tiles(figures).map(([figure, name, count]) => markup`<div><dt>${name}</dt><dd data-figure="${figure}">${count}</dd></div>`)}
<div><dt>longest gap</dt><dd data-figure="longestGapMs">${gapText(longestGapMs, leastGapMs)}</dd></div>
</dl>
<h2>Throughput</h2>
<figure class="scroll" tabindex="0" role="group" aria-label="Throughput over time">
${throughputChart(figures)}
<figcaption>${counted} a second that have arrived. What has waited arrives at once behind a fault: such peaks are cut off. A band goes from the fault to when it was recovered from. ${KEY}</figcaption>
</figure>
<details><summary>As a table</summary>
<div class="scroll" tabindex="0" role="group" aria-label="Throughput as a table">
<table id="throughput">
<thead><tr><th scope="col">until</th><th scope="col">${counted} a second</th></tr></thead>
<tbody>
${figures.throughput.map(({ atMs, perSecond }) => markup`<tr><td>${seconds(atMs)}</td><td>${formatCount(perSecond)}</td></tr>`)}
</tbody>
</table>
</div>
</details>
<h2>Recovery</h2>
<figure class="scroll" tabindex="0" role="group" aria-label="Times of recovery">
${recoveryChart(figures)}
<figcaption>From the path's healing ${to === null ? "to the first message sent after it" : "until bytes arrive in both directions, or in the one that had carried any before"}. Each point is a fault, a stroke is the median.</figcaption>
</figure>
<div class="scroll" tabindex="0" role="group" aria-label="Recovery and gap by kind of fault">
<table id="kinds">
<thead><tr><th scope="col">fault</th><th scope="col">times</th>${["recovery", "gap"].map((what) => markup`<th scope="col">${what} p50</th><th scope="col">p99</th><th scope="col">longest</th>`)}</tr></thead>
<tbody>
${kinds.map(({ kind, times, recoveryMs, gapMs }) => markup`<tr data-kind="${kind}"><td>${kind}</td><td>${formatCount(times)}</td>${[...cells(recoveryMs).map(cell), ...cells(gapMs).map(gap)]}</tr>`)}
</tbody>
</table>
</div>
<p class="dim">A gap is the longest time during the fault in which nothing arrived. ${to === null ? "Latency, and a black hole in the way back, do not stop the messages" : "Latency does not stop the bytes"}: there is nothing to recover from.</p>
<h2>What was done when</h2>
<div class="scroll" tabindex="0" role="group" aria-label="All faults">
<table id="faults">
<thead><tr><th scope="col">at</th><th scope="col" class="left">fault</th><th scope="col">over after</th><th scope="col">recovery</th><th scope="col">gap</th></tr></thead>
<tbody>
${faults.map(({ text, atMs, overMs, outcome, recoveryMs, gapMs }) => markup`<tr class="${outcome}"><td>${seconds(atMs)}</td><td class="left">${text}</td>${cell(overMs - atMs)}<td>${recoveryMs === null ? OUTCOMES[outcome] : formatMs(recoveryMs)}</td>${gap(gapMs)}</tr>`)}
</tbody>
</table>
</div>`,
    about: about(figures),
  });
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

/** What was counted: its name in --json, its name for people, and its figure. */
function tiles(figures: ChaosFigures): Array<[figure: string, name: string, count: string]> {
  const { passed } = figures;
  const counts = (["sent", "received", "lost", "doubled", "reordered"] as const).flatMap(
    (name): Array<[string, string, string]> => {
      const count = figures[name];
      return count === null ? [] : [[name, name, formatCount(count)]];
    },
  );
  if (passed === null) return counts;
  return [
    ["toServer", "to the server", formatBytes(passed.toServer)],
    ["toClient", "to the client", formatBytes(passed.toClient)],
    ["connections", "connections", formatCount(passed.connections)],
  ];
}

function verdictOf(figures: ChaosFigures, isOver: boolean): string {
  const { lost, doubled, reordered, to } = figures;
  if (lost === null || doubled === null || reordered === null) {
    return to === null ? "What was lost, doubled or reordered is not known." : verdictOnTraffic(figures, isOver);
  }
  if (isWhole({ lost, doubled, reordered })) return "Nothing was lost, doubled or reordered.";
  return `Lost ${formatCount(lost)}, doubled ${formatCount(doubled)}, reordered ${formatCount(reordered)}.`;
}

function verdictOnTraffic({ kinds }: ChaosFigures, isOver: boolean): string {
  if (kinds.length === 0) return "No fault was made.";
  if (kinds.some(({ failed }) => failed > 0)) return "Traffic did not always come back.";
  return `Traffic came back after each fault${isOver ? "" : " until the run ended"}.`;
}

function cells({ p50, p99, max }: Percentiles): Array<number | null> {
  return [p50, p99, max];
}

/** 0 is less than `leastMs`. */
export function gapText(ms: number | null, leastMs: number | null): string {
  return ms === 0 && leastMs !== null ? `< ${formatMs(leastMs)}` : formatMs(ms ?? undefined);
}

function gapCell(ms: number | null, leastMs: number | null): Markup {
  return markup`<td>${gapText(ms, leastMs)}</td>`;
}

function cell(ms: number | null): Markup {
  return markup`<td>${formatMs(ms ?? undefined)}</td>`;
}
