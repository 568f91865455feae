/** Managers and servers: how they are, what they move, and the resources that they watch. */
import { html } from "htm/preact";
import type { VNode } from "preact";
import { useMemo } from "preact/hooks";
import type { Figure, Frame, ResourceFrame, SourceFrame } from "../src/monitor/live/messages.ts";
import { amount, bytes, count, milliseconds } from "./format.ts";

const atMost = (value: number | undefined): string => (value === undefined ? "–" : `≤ ${milliseconds(value)}`);

type Format = (value: number | undefined) => string;

/** What stands beside the figure has less weight. */
const FIGURES: ReadonlyArray<readonly [label: string, Figure, Format, beside?: Figure, Format?]> = [
  ["links", "links", count],
  ["connected", "connected", count],
  ["connections", "connections", count],
  ["requests", "requests", count],
  ["sent a second", "sentPerS", count, "sentBytesPerS", bytes],
  ["received a second", "receivedPerS", count, "receivedBytesPerS", bytes],
  ["queued", "queued", count],
  ["in flight", "inFlightBytes", bytes],
  ["reconnects", "reconnects", count],
  ["recovery, median", "recoveryP50Ms", atMost],
  ["recovery, p99", "recoveryP99Ms", atMost],
  ["refused", "refused", count],
  ["turned away", "turnedAway", count],
  ["shed", "shed", count],
];

export function sourceName({ kind, name }: Pick<SourceFrame, "kind" | "name">): string {
  return name === "" ? kind : name;
}

export function Sources({ sources }: Pick<Frame, "sources">): VNode {
  return html`<section class="sources" aria-label="Managers and servers">
    ${Object.entries(sources).map(([key, source]) => html`<${OneSource} key=${key} source=${source} />`)}
  </section>`;
}

function OneSource({ source }: { source: SourceFrame }): VNode {
  return useMemo(() => drawSource(source), [source]);
}

function drawSource(source: SourceFrame): VNode {
  const { kind, name, status, reasons, figures, resources } = source;
  return html`<article class="source">
    <h2>
      <span>${sourceName(source)}</span>
      ${name !== "" && html`<small>${kind}</small>`}
      <span class=${`status ${status}`}>${status}</span>
    </h2>
    ${
      reasons.length > 0 &&
      html`<ul class="reasons">
        ${reasons.map((reason) => html`<li>${reason}</li>`)}
      </ul>`
    }
    <dl class="figures">
      ${FIGURES.filter(([, figure]) => figures[figure] !== undefined).map(
        ([label, figure, format, beside, besideFormat]) =>
          html`<div key=${figure}>
            <dt>${label}</dt>
            <dd data-figure=${figure}>
              ${format(figures[figure])}
              ${beside && besideFormat && html`<small>${besideFormat(figures[beside])}</small>`}
            </dd>
          </div>`,
      )}
    </dl>
    ${resources.length > 0 && html`<${Resources} resources=${resources} />`}
  </article>`;
}

function Resources({ resources }: { resources: readonly ResourceFrame[] }): VNode {
  return html`<table class="resources">
    <caption class="unseen">
      Resources, their thresholds, and what was done against overload
    </caption>
    <thead>
      <tr>
        <th scope="col">resource</th>
        <th scope="col" class="number">now</th>
        <th scope="col">thresholds: low, high</th>
        <th scope="col" class="number">high</th>
        <th scope="col" class="number">limit</th>
        <th scope="col">actions</th>
      </tr>
    </thead>
    <tbody>
      ${resources.map((resource) => html`<${OneResource} key=${resource.name} resource=${resource} />`)}
    </tbody>
  </table>`;
}

function OneResource({ resource }: { resource: ResourceFrame }): VNode {
  const { name, state, notWatched, observed, limit, high, holds, steps } = resource;
  const taken = Object.entries(steps).map(([action, times]) => `${action} ×${times}`);
  const done = [...holds.map((action) => `${action} in force`), ...taken].join(", ");
  const words = notWatched === undefined ? (done === "" ? "none" : done) : `not watched: ${notWatched}`;
  return html`<tr class=${`resource ${state}`}>
    <th scope="row">${name}${state !== "normal" && html` <span class="state">${state}</span>`}</th>
    <td class="number">${amount(name, observed)}</td>
    <td><${Meter} resource=${resource} /></td>
    <td class="number">${amount(name, high)}</td>
    <td class="number">${amount(name, limit)}</td>
    <td class=${done === "" ? "dim" : ""}>${words}</td>
  </tr>`;
}

/** A resource without a limit, such as the lag of the event loop, is drawn up to twice its threshold. */
function Meter({ resource: { name, observed = 0, limit, low, high } }: { resource: ResourceFrame }): VNode {
  const most = Math.max(1e-9, name === "lag" || limit === undefined ? 2 * (high ?? observed) : limit);
  const part = (value: number): number => Math.round(1_000 * Math.min(1, value / most)) / 10;
  const level =
    high !== undefined && observed >= high ? "over" : low !== undefined && observed >= low ? "near" : "calm";
  return html`<svg class=${`meter ${level}`} viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true">
    <rect class="ground" width="100" height="8" />
    <rect class="level" width=${part(observed)} height="8" />
    ${[low, high].map((value) => value !== undefined && html`<path class="mark" d=${`M${part(value)} 0V8`} />`)}
  </svg>`;
}
