/** What has happened lately, the newest first. */
import { html } from "htm/preact";
import type { VNode } from "preact";
import { useMemo } from "preact/hooks";
import type { Frame, Happening } from "../src/monitor/live/messages.ts";
import { timeOfDay } from "./format.ts";
import { sourceName } from "./sources.ts";

export function Happened({ happened, sources }: Pick<Frame, "happened" | "sources">): VNode {
  const all = Object.entries(happened).toReversed();
  return html`<section class="happened" aria-label="What has happened">
    <h2>What has happened</h2>
    ${all.length === 0 && html`<p class="empty">Nothing since this page was opened.</p>`}
    <ol>
      ${all.map(([number, happening]) => html`<${One} key=${number} happening=${happening} sources=${sources} />`)}
    </ol>
  </section>`;
}

function One({ happening, sources }: { happening: Happening; sources: Frame["sources"] }): VNode {
  // What has happened does not change, nor does the name of whom it has happened to.
  return useMemo(() => drawHappening(happening, sources), [happening]);
}

function drawHappening({ atMs, level, source, link, text }: Happening, sources: Frame["sources"]): VNode {
  const of = sources[source];
  return html`<li class=${level}>
    <time datetime=${new Date(atMs).toISOString()}>${timeOfDay(atMs)}</time>
    <span class="of">${of && sourceName(of)} ${link !== undefined && html`<code>${link}</code>`}</span>
    <span class="text">${level !== "info" && html`<span class="unseen">${level}: </span>`}${text}</span>
  </li>`;
}
