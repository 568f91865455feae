/** The links of one manager or server while somebody watches: what each is, and what has become of it since. */
import type { LinkState } from "../../core/states.ts";
import { realTime } from "../../real-time.ts";
import type { Observed, ObservedLink } from "../../telemetry/observed.ts";
import { printable } from "../../telemetry/printable.ts";
import type { LinkChange } from "../../telemetry/record.ts";
import { Band } from "./band.ts";
import type { Row } from "./messages.ts";
import { newSums, rounded, type Sums } from "./sums.ts";

/** A link that has ended is shown for so long. */
const ENDED_SHOWN_MS = 15_000;
/** Of those at most so many. */
const MOST_ENDED = 100;
const MOST_TEXT = 120;

type Sample = ReturnType<ObservedLink["link"]["stats"]>;

export class Entry {
  /** Rises with each link that is found. */
  readonly key: number;
  readonly source: number;
  readonly band: Band;
  /** In lower case: where a viewer's words are looked for. */
  searched = "";
  sample: Sample;
  sentPerS = 0;
  receivedPerS = 0;
  endedMs: number | undefined;
  #peer = "";
  #address = "";
  #reason = "";
  #sampledMs: number;
  readonly #observed: ObservedLink;

  constructor(key: number, source: number, observed: ObservedLink) {
    this.key = key;
    this.source = source;
    this.#observed = observed;
    this.sample = observed.link.stats();
    this.#sampledMs = realTime.now();
    this.band = new Band(this.state, realTime.wallMs() - this.sample.stateForMs);
    this.#name();
  }

  get state(): LinkState {
    return this.#observed.link.state;
  }

  #name(): void {
    const { link, destination } = this.#observed;
    this.#peer = printable(link.identity ?? (typeof destination === "string" ? destination : ""), MOST_TEXT);
    this.#address = printable(link.remoteAddress ?? "", MOST_TEXT);
    this.searched = `${link.id} ${this.#peer} ${this.#address}`.toLowerCase();
  }

  take(): Sample {
    const [before, nowMs] = [this.sample, realTime.now()];
    const sample = this.#observed.link.stats();
    const perS = 1_000 / Math.max(1, nowMs - this.#sampledMs);
    this.sentPerS = Math.round((sample.taken.messages - before.taken.messages) * perS);
    this.receivedPerS = Math.round((sample.received.messages - before.received.messages) * perS);
    this.#sampledMs = nowMs;
    this.sample = sample;
    return sample;
  }

  changed({ from, to, reason, error }: LinkChange, atMs: number): void {
    const isCut = (from === "connected" || from === "suspect") && to === "reconnecting";
    if (isCut) this.band.cut(atMs);
    this.band.change(to, atMs);
    this.#reason = printable(error === undefined ? reason : `${reason}: ${error.message}`, MOST_TEXT);
    if (to === "closed") this.#end(atMs);
    this.#name();
  }

  #end(atMs: number): void {
    this.endedMs = atMs;
    this.sentPerS = 0;
    this.receivedPerS = 0;
  }

  /** A connection was lost `recoveryMs` ago, and another is in use now. */
  recovered(recoveryMs: number, atMs: number): void {
    // A second connection took over: the state has not changed.
    if (this.band.state === "connected") this.band.cut(atMs - recoveryMs);
    this.#name();
  }

  /** Numbers are as they are now, rates as they were when all links were looked at. */
  row(nowMs: number): Row {
    const { link } = this.#observed;
    const { rttMs, reconnects, recoveryMs, queue, logBytes } = link.stats();
    return {
      id: link.id,
      source: this.source,
      state: link.state,
      sinceMs: this.band.sinceMs,
      reason: this.#reason,
      peer: this.#peer,
      address: this.#address,
      ...(rttMs !== undefined && { rttMs: rounded(rttMs) }),
      queued: queue.messages,
      queuedBytes: queue.bytes,
      inFlightBytes: logBytes,
      sentPerS: this.sentPerS,
      receivedPerS: this.receivedPerS,
      reconnects,
      ...(recoveryMs !== undefined && { recoveryMs: rounded(recoveryMs) }),
      ...this.band.shown(nowMs),
    };
  }
}

export class LinkBook {
  readonly #source: number;
  readonly #observed: Observed;
  readonly #nextKey: () => number;
  readonly #entries = new Map<string, Entry>();
  #hasUnknown = false;

  /** `source`: its place. */
  constructor(source: number, observed: Observed, nextKey: () => number) {
    this.#source = source;
    this.#observed = observed;
    this.#nextKey = nextKey;
  }

  get entries(): Iterable<Entry> {
    return this.#entries.values();
  }

  /** Looks at all links, one in each step, and answers their sums. Each link is counted once, also one that ends. */
  *pass(): Generator<void, Sums, void> {
    const { ended } = this.#observed.telemetry.withoutLinks;
    const sums = newSums(ended);
    const links = [...(this.#observed.links?.() ?? [])];
    for (const observed of links) {
      const known = this.#entries.get(observed.link.id);
      const { sample } = known ?? this.#found(observed);
      sums.add(known?.take() ?? sample);
      yield;
    }
    this.#forget();
    return sums;
  }

  /** Finds the links that were heard of before they were seen. */
  discover(): void {
    if (!this.#hasUnknown) return;
    this.#hasUnknown = false;
    for (const observed of this.#observed.links?.() ?? []) {
      if (!this.#entries.has(observed.link.id)) this.#found(observed);
    }
  }

  #found(observed: ObservedLink): Entry {
    const entry = new Entry(this.#nextKey(), this.#source, observed);
    this.#entries.set(observed.link.id, entry);
    return entry;
  }

  changed(id: string, change: LinkChange, atMs: number): void {
    const entry = this.#entries.get(id);
    if (entry === undefined) this.#hasUnknown = true;
    else entry.changed(change, atMs);
  }

  recovered(id: string, recoveryMs: number, atMs: number): void {
    this.#entries.get(id)?.recovered(recoveryMs, atMs);
  }

  /** Links that ended a while ago, and the oldest of too many. */
  #forget(): void {
    const untilMs = realTime.wallMs() - ENDED_SHOWN_MS;
    const ended = [...this.#entries].filter(([, { endedMs }]) => endedMs !== undefined);
    const excess = ended.length - MOST_ENDED;
    for (const [at, [id, { endedMs = 0 }]] of ended.entries()) {
      if (endedMs < untilMs || at < excess) this.#entries.delete(id);
    }
  }
}
