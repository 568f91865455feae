/** The links: which of them, in which order, and each with its figures and its band. */
import { html } from "htm/preact";
import type { VNode } from "preact";
import { useLayoutEffect, useMemo, useRef } from "preact/hooks";
import { type Frame, type Order, type Row, STATES } from "../src/monitor/live/messages.ts";
import { type Looked, ROWS } from "./address.ts";
import { bandPaths, HEIGHT, WIDTH } from "./band-paths.ts";
import { bytes, count, duration, milliseconds, NONE, plural } from "./format.ts";
import { sourceName } from "./sources.ts";

type Look = (changes: Partial<Looked>) => void;

const COLUMNS: ReadonlyArray<readonly [label: string, order: Order | undefined, className: string]> = [
  ["State", "state", ""],
  ["Link", "opened", ""],
  ["Peer", undefined, ""],
  ["For", undefined, "number"],
  ["Round trip", "rtt", "number"],
  ["Queue", "queue", "number"],
  ["In flight", "in-flight", "number"],
  ["Out/s", "rate", "number"],
  ["In/s", undefined, "number"],
  ["Reconnects", "reconnects", "number"],
  ["Recovery", "recovery", "number"],
  ["Last five minutes", undefined, "wide"],
];

const ORDER_NAMES: Readonly<Record<Order, string>> = {
  opened: "oldest first",
  state: "trouble first",
  rtt: "longest round trip",
  queue: "longest queue",
  "in-flight": "most in flight",
  rate: "most messages",
  reconnects: "most reconnects",
  recovery: "slowest recovery",
};

export function Links({ frame, looked, look }: { frame: Frame; looked: Looked; look: Look }): VNode {
  const { links, sources } = frame;
  // Rows that have not changed are drawn once a second. What happens in this second is in the picture already.
  const nowMs = 1_000 * Math.ceil(frame.atMs / 1_000);
  return html`<section class="links" aria-label="Links">
    <${Tools} links=${links} looked=${looked} look=${look} />
    <table>
      <caption class="unseen">
        Links
      </caption>
      <thead>
        <tr>
          ${COLUMNS.map(
            ([label, order, className]) =>
              html`<th
                key=${label}
                scope="col"
                class=${className}
                aria-sort=${order === looked.order ? (order === "opened" ? "ascending" : "descending") : undefined}
              >
                ${
                  order === undefined
                    ? label
                    : html`<button type="button" onClick=${() => look({ order, from: 0 })} title=${ORDER_NAMES[order]}>
                        ${label}
                      </button>`
                }
              </th>`,
          )}
        </tr>
      </thead>
      <tbody>
        ${links.order.map((key) => {
          const row = links.rows[key];
          const source = row && sources[row.source];
          return (
            row && html`<${OneLink} key=${key} row=${row} source=${source ? sourceName(source) : ""} nowMs=${nowMs} />`
          );
        })}
      </tbody>
    </table>
    ${links.order.length === 0 && html`<p class="empty">${links.total === 0 ? "There are no links." : "No link is so."}</p>`}
  </section>`;
}

interface OfLink {
  row: Row;
  source: string;
  nowMs: number;
}

function OneLink({ row, source, nowMs }: OfLink): VNode {
  return useMemo(() => drawLink({ row, source, nowMs }), [row, source, nowMs]);
}

function drawLink({ row, source, nowMs }: OfLink): VNode {
  const { id, state, reason, peer, address, sinceMs, rttMs, queued, inFlightBytes, reconnects, recoveryMs } = row;
  const where = peer === "" ? address : peer;
  const also = address !== "" && !where.includes(address) ? address : "";
  const isCalm = state === "connected" || state === "idle";
  return html`<tr class=${`link ${state}`} data-link=${id}>
    <td class="state"><i class=${`dot ${state}`}></i>${state}</td>
    <th scope="row"><code>${id}</code> <small>${source}</small></th>
    <td class="peer" title=${`${where} ${also} ${reason}`}>
      ${where === "" ? NONE : where} <small>${also} ${!isCalm && reason}</small>
    </td>
    <td class="number" data-label="for">${duration(nowMs - sinceMs)}</td>
    <td class="number" data-label="round trip">${milliseconds(rttMs)}</td>
    <td class="number" data-label="queue">${count(queued)}</td>
    <td class="number" data-label="in flight">${bytes(inFlightBytes)}</td>
    <td class="number" data-label="out/s">${count(row.sentPerS)}</td>
    <td class="number" data-label="in/s">${count(row.receivedPerS)}</td>
    <td class="number" data-label="reconnects">${count(reconnects)}</td>
    <td class="number" data-label="recovery">${milliseconds(recoveryMs)}</td>
    <td class="wide"><${BandOf} row=${row} nowMs=${nowMs} /></td>
  </tr>`;
}

function BandOf({ row, nowMs }: Pick<OfLink, "row" | "nowMs">): VNode {
  const { states, cuts, cutCount, words } = bandPaths(row, nowMs);
  return html`<svg
    class="band"
    role="img"
    aria-label=${words}
    data-cuts=${cutCount}
    viewBox=${`0 0 ${WIDTH} ${HEIGHT}`}
    preserveAspectRatio="none"
  >
    ${states.map(([state, path]) => html`<path key=${state} class=${state} d=${path} />`)}
    ${cuts !== "" && html`<path class="cut" d=${cuts} />`}
  </svg>`;
}

function Tools({ links, looked, look }: { links: Frame["links"]; looked: Looked; look: Look }): VNode {
  const field = useRef<HTMLInputElement>(null);
  // With the rows, not a frame later: whoever sees them may press the key.
  useLayoutEffect(() => {
    const onKey = (event: KeyboardEvent): void => {
      const isElsewhere = event.target === document.body;
      if (event.key !== "/" || !isElsewhere || event.ctrlKey || event.metaKey || event.altKey) return;
      event.preventDefault();
      field.current?.focus();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, []);
  const toggle = (state: string): void => {
    const isOn = looked.states.includes(state);
    look({ states: isOn ? looked.states.filter((each) => each !== state) : [...looked.states, state], from: 0 });
  };
  const chips = STATES.filter((state) => (links.states[state] ?? 0) > 0 || looked.states.includes(state));
  return html`<div class="tools">
    <h2>Links <small>${count(links.total)}</small></h2>
    <label class="filter">
      <span class="unseen">Filter by link, peer or address</span>
      <input
        ref=${field}
        type="search"
        maxlength="200"
        placeholder="Filter: link, peer, address"
        aria-keyshortcuts="/"
        value=${looked.filter}
        onInput=${(event: InputEvent) => look({ filter: (event.target as HTMLInputElement).value, from: 0 })}
        onKeyDown=${(event: KeyboardEvent) => event.key === "Escape" && look({ filter: "", from: 0 })}
      />
      <kbd aria-hidden="true">/</kbd>
    </label>
    <div class="chips" role="group" aria-label="States">
      ${chips.map(
        (state) =>
          html`<button
            key=${state}
            type="button"
            aria-pressed=${looked.states.includes(state)}
            onClick=${() => toggle(state)}
          >
            <i class=${`dot ${state}`}></i>${state} <b>${count(links.states[state] ?? 0)}</b>
          </button>`,
      )}
    </div>
    <label class="order">
      <span>Order</span>
      <select value=${looked.order} onChange=${(event: Event) => look({ order: valueOf(event) as Order, from: 0 })}>
        ${Object.entries(ORDER_NAMES).map(([order, name]) => html`<option key=${order} value=${order}>${name}</option>`)}
      </select>
    </label>
    <${Pages} links=${links} looked=${looked} look=${look} />
  </div>`;
}

function Pages({ links, looked, look }: { links: Frame["links"]; looked: Looked; look: Look }): VNode {
  const { from, matching } = links;
  const to = Math.min(matching, from + looked.rows);
  const shown = matching === 0 ? "none" : `${(from + 1).toLocaleString("en")}–${to.toLocaleString("en")}`;
  return html`<nav class="pages" aria-label="Pages of links">
    <button
      type="button"
      aria-label="Previous page"
      disabled=${from === 0}
      onClick=${() => look({ from: Math.max(0, from - looked.rows) })}
    >
      ‹
    </button>
    <span>${shown} of ${plural(matching, "link")}</span>
    <button type="button" aria-label="Next page" disabled=${to >= matching} onClick=${() => look({ from: to })}>
      ›
    </button>
    <label>
      <span class="unseen">Rows of a page</span>
      <select value=${looked.rows} onChange=${(event: Event) => look({ rows: Number(valueOf(event)), from: 0 })}>
        ${ROWS.map((rows) => html`<option key=${rows} value=${rows}>${rows} rows</option>`)}
      </select>
    </label>
  </nav>`;
}

function valueOf(event: Event): string {
  return (event.target as HTMLSelectElement).value;
}
