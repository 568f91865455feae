/** The report of a run as one HTML file. */
import { type Markup, markup } from "../../src/cli/chaos/markup.ts";
import { reportPage } from "../../src/cli/chaos/report-page.ts";
import type { Count } from "./count.ts";
import { type ContenderFigures, type FaultFigures, gapInWords, isWhole, outcomes } from "./figures.ts";

const OWN_STYLE = `
body { max-width: 1320px; }
td.cell, tbody th { vertical-align: top; } td.cell span { display: block; } td.cell .dim { font-size: 13px; }
.whole { color: var(--good); } .lost { color: var(--bad); } .again { color: var(--cut); }
#outcomes thead th:not(:first-child) { white-space: normal; vertical-align: bottom; }
#outcomes { font-size: 13px; } #outcomes td, #outcomes th { padding: 4px 6px; }
tbody th { color: var(--ink); text-align: left; font-size: inherit; }
td.text { white-space: normal; text-align: left; vertical-align: top; min-width: 200px; }
svg .cut { fill: var(--cut); } svg .hole { fill: var(--hole); } svg .slow { fill: var(--slow); }
svg .us { font-weight: 600; }`;

export function toHtml(figures: FaultFigures): string {
  const { faults, contenders, failures, settings } = figures;
  const title = `${contenders.length} ways to send messages, under ${faults.length} faults`;
  return reportPage({
    title: `resplice: ${title}`,
    style: OWN_STYLE,
    header: markup`<h1>${title}</h1>
<p>${settings.perSecond} numbered messages a second of ${settings.bytes} bytes go one way, while the path breaks again and again.
The receiver counts, until nothing new has arrived for ${settings.quietMs / 1_000} s: what has not arrived by then, or ${settings.waitMs / 1_000} s after the last one was made, is lost.</p>
${failures.map(({ name, reason }) => markup`<p class="verdict bad">${name}: no result: ${reason}</p>`)}`,
    main: markup`<h2>Lost, doubled, reordered, and the longest gap</h2>
<div class="scroll" tabindex="0" role="group" aria-label="What became of the messages">
<table id="outcomes">
<thead><tr><th scope="col">contender</th>${faults.map(({ name }) => markup`<th scope="col">${name}</th>`)}</tr></thead>
<tbody>
${contenders.map(({ name, counts }) => markup`<tr data-contender="${name}"><th scope="row">${name}</th>${faults.map((fault) => cell(counts[fault.name]))}</tr>`)}
</tbody>
</table>
</div>
<p class="dim">"Whole": nothing was lost, doubled or reordered. Below it, the longest time in which no new message arrived.
A message is reordered if it arrives for the first time after one that was made later. Late: so long after the last message was
made the last one arrived, where that is more than ${settings.lateMs / 1_000} s.</p>
<h2>Longest gaps</h2>
<figure class="scroll" tabindex="0" role="group" aria-label="Longest gaps">
${chart(figures)}
<figcaption>Each point is one fault. <span class="key cut">closed, reset, refused</span> <span class="key hole">black hole</span> <span class="key slow">stall, latency</span></figcaption>
</figure>
<h2>The faults</h2>
<div class="scroll" tabindex="0" role="group" aria-label="The faults">
<table id="faults">
<thead><tr><th scope="col">fault</th><th scope="col" class="left">what happens</th><th scope="col">times</th><th scope="col">lasts</th><th scope="col">every</th></tr></thead>
<tbody>
${faults.map(({ name, text, times, holdMs, everyMs }) => markup`<tr><td>${name}</td><td class="text">${text}</td><td>${times}</td><td>${holdMs === 0 ? "-" : `${holdMs / 1_000} s`}</td><td>${everyMs / 1_000} s</td></tr>`)}
</tbody>
</table>
</div>
<p class="dim">Chunks take ${settings.latencyMs} ms each way at all times but while a fault lasts, so that something is under way when the path breaks.</p>
<h2>How each was used</h2>
<div class="scroll" tabindex="0" role="group" aria-label="How each was used">
<table id="contenders">
<thead><tr><th scope="col">contender</th><th scope="col" class="left">used</th><th scope="col" class="left">its guarantee</th><th scope="col" class="left">version</th></tr></thead>
<tbody>
${contenders.map((contender) => markup`<tr><th scope="row">${contender.name}</th><td class="text">${usedIn(contender)}</td><td class="text">${contender.guarantee}</td><td class="text">${contender.version}</td></tr>`)}
</tbody>
</table>
</div>
<h2>What cannot be compared</h2>
<p>A broker has two paths, and only one of them breaks in a row: where both can, what each of the two rows lost adds up. A
broker keeps messages when the sender's process ends, which no row without a broker does; no process ends here.</p>
<p>Heartbeats are alike: a sign of life about every ${settings.pingMs / 1_000} s, and a connection is given up after about ${settings.deadMs / 1_000} s
without one, as near to that as the options of each allow; the same goes for how long a dial may take. Delays before dialling again are each one's defaults, and most of a
gap after a reset is such a delay.</p>`,
    about: about(figures),
  });
}

function cell(count: Count | undefined): Markup {
  if (count === undefined) return markup`<td class="cell">no result</td>`;
  const words = outcomes(count);
  const kind = count.lost > 0 ? "lost" : isWhole(words) ? "whole" : "again";
  return markup`<td class="cell ${kind}">${words.map((text) => markup`<span>${text}</span>`)}<span class="dim">${gapInWords(count)}</span></td>`;
}

function usedIn({ used, breaks }: ContenderFigures): string {
  return breaks === "the only path" ? used : `${used}. The path that breaks: ${breaks}`;
}

function about({ madeAt, command, cpu, cores, system, node, resplice, load }: FaultFigures): Record<string, string> {
  return {
    made: madeAt,
    command,
    resplice,
    Node: node,
    machine: `${cores} cores of ${cpu}, ${system}, load before the run ${load.toFixed(2)}`,
  };
}

const WIDTH = 960;
const NAMES = 250;
const RIGHT = 40;
const TOP = 12;
const ROW = 24;
/** The scale is logarithmic, and begins here: between two messages there are 2 ms. */
const LEAST_MS = 10;

function chart({ contenders, faults }: FaultFigures): Markup {
  const gaps = contenders.flatMap(({ counts }) =>
    Object.values(counts).map((count) => count?.longestGapMs ?? LEAST_MS),
  );
  const decades = Math.max(1, Math.ceil(Math.log10(Math.max(LEAST_MS, ...gaps) / LEAST_MS)));
  const x = (ms: number): string =>
    (NAMES + (Math.log10(Math.max(LEAST_MS, ms) / LEAST_MS) / decades) * (WIDTH - NAMES - RIGHT)).toFixed(1);
  const bottom = TOP + contenders.length * ROW;
  const ticks = Array.from({ length: decades + 1 }, (_, at) => LEAST_MS * 10 ** at);
  return markup`<svg viewBox="0 0 ${WIDTH} ${bottom + 28}" role="img" aria-label="The longest gaps, as in the table above">
${ticks.map((ms) => markup`<line class="grid" x1="${x(ms)}" x2="${x(ms)}" y1="${TOP}" y2="${bottom}"/><text class="tick" x="${x(ms)}" y="${bottom + 20}" text-anchor="middle">${ms < 1_000 ? `${ms} ms` : `${ms / 1_000} s`}</text>`)}
${contenders.map(({ name, counts }, at) => {
  const y = TOP + (at + 0.5) * ROW;
  return markup`<text class="name${name === "resplice" ? " us" : ""}" x="${NAMES - 12}" y="${y}" dy="4" text-anchor="end">${name}</text>
${faults.flatMap((fault) => {
  const count = counts[fault.name];
  return count === undefined
    ? []
    : [
        markup`<circle class="${fault.kind}" cx="${x(count.longestGapMs)}" cy="${y}" r="4"><title>${name}, ${fault.name}: ${gapInWords(count)}</title></circle>`,
      ];
})}`;
})}
</svg>`;
}
