/** One viewer: what it was told last, and what it is told next. */
import type { LinkState } from "../../core/states.ts";
import { realTime } from "../../real-time.ts";
import type { Entry } from "./link-book.ts";
import { type Frame, type LinksFrame, type Order, STATES } from "./messages.ts";
import { difference } from "./patch.ts";
import type { View } from "./view.ts";
import type { Watch } from "./watch.ts";

/** While more than this waits for a viewer it is told nothing; then it gets the whole again. */
export const MOST_WAITING_BYTES = 262_144;

export interface Sink {
  write(text: string): unknown;
  /** What was written, and not taken by the kernel. */
  readonly writableLength: number;
}

export class Viewer {
  readonly #view: View;
  readonly #sink: Sink;
  /** Undefined: the next message has the whole. */
  #told: Frame | undefined;

  constructor(view: View, sink: Sink) {
    this.#view = view;
    this.#sink = sink;
  }

  tell(watch: Watch): void {
    if (this.#sink.writableLength > MOST_WAITING_BYTES) {
      this.#told = undefined;
      return;
    }
    const nowMs = Math.round(realTime.wallMs());
    const frame: Frame = { atMs: nowMs, ...watch.shared, links: linksFrame(watch.entries(), this.#view, nowMs) };
    const patch = this.#told && difference(this.#told, frame);
    const message = this.#told === undefined ? frame : (patch ?? {});
    this.#sink.write(`event: ${this.#told === undefined ? "whole" : "patch"}\ndata: ${JSON.stringify(message)}\n\n`);
    this.#told = frame;
  }
}

/** The links that the view asks for, of all. */
export function linksFrame(entries: Iterable<Entry>, view: View, nowMs: number): LinksFrame {
  const states: Partial<Record<LinkState, number>> = {};
  const matching: Entry[] = [];
  let total = 0;
  for (const entry of entries) {
    total++;
    if (!view.words.every((word) => entry.searched.includes(word))) continue;
    const { state } = entry;
    states[state] = (states[state] ?? 0) + 1;
    if (view.states.size === 0 || view.states.has(state)) matching.push(entry);
  }
  const compare = COMPARES[view.order];
  if (compare !== undefined) matching.sort(compare);
  // With fewer links than before, the last page there is.
  const from = Math.min(view.from, Math.floor(Math.max(0, matching.length - 1) / view.rows) * view.rows);
  const shown = matching.slice(from, from + view.rows);
  return {
    total,
    states,
    matching: matching.length,
    from,
    order: shown.map(({ key }) => key),
    rows: Object.fromEntries(shown.map((entry) => [entry.key, entry.row(nowMs)])),
  };
}

/** Those that need somebody's attention come first. */
const URGENCY: readonly LinkState[] = [
  "reconnecting",
  "suspect",
  "connecting",
  "created",
  "draining",
  "closed",
  "connected",
  "idle",
];
const URGENCIES = Object.fromEntries(STATES.map((state) => [state, URGENCY.indexOf(state)]));

type Compare = (one: Entry, other: Entry) => number;

/** The largest first, and of equal ones the oldest. Undefined: as they come. */
const COMPARES: Readonly<Record<Order, Compare | undefined>> = {
  opened: undefined,
  state: by(({ state }) => -(URGENCIES[state] ?? 0)),
  rtt: by(({ sample }) => sample.rttMs ?? -1),
  queue: by(({ sample }) => sample.queue.messages),
  "in-flight": by(({ sample }) => sample.logBytes),
  rate: by(({ sentPerS, receivedPerS }) => sentPerS + receivedPerS),
  reconnects: by(({ sample }) => sample.reconnects),
  recovery: by(({ sample }) => sample.recoveryMs ?? -1),
};

function by(read: (entry: Entry) => number): Compare {
  return (one, other) => read(other) - read(one) || one.key - other.key;
}
