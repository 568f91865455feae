/** The numbers of a manager or a supervisor and of its links, for every renderer of them alike. */
import type { OverloadAction } from "../core/overload/actions.ts";

/** One link's numbers: `LinkStats` has them. */
export interface LinkSample {
  state: string;
  rttMs: number | undefined;
  reconnects: number;
  taken: { messages: number; bytes: number };
  accepted: { messages: number; bytes: number };
  received: { messages: number; bytes: number };
  /** Messages, by reason. */
  undelivered: Readonly<Record<string, number>>;
  queue: { messages: number; bytes: number };
  logBytes: number;
  windowBytes: number;
  unacceptedBytes: number;
}

/** One resource. Amounts are in its own unit; see `OverloadReport`. */
export interface ResourceStats {
  /** `ineffective`: overloaded, and no more steps are taken, as the last ones have not helped. */
  state: "normal" | "overloaded" | "ineffective" | "not-watched";
  /** Why it is not watched. */
  notWatched?: string;
  /** The last reading; undefined before the first. */
  observed: number | undefined;
  /** What there is of it; undefined where that is unknown. */
  limit: number | undefined;
  /** Below it the overload is over; undefined if it is not watched. */
  low: number | undefined;
  /** At or above it the resource is overloaded; undefined if it is not watched. */
  high: number | undefined;
  /** Milliseconds since it could be read. */
  ageMs: number;
  /** How long one reading takes, in microseconds. */
  costUs: number;
  /** The conditions that are in force because of it. */
  holds: readonly OverloadAction[];
  /** How often each action was taken because of it, since the beginning; with `dryRun`, how often it would have been. */
  steps: Readonly<Partial<Record<OverloadAction, number>>>;
}

/** A number, or one for each word. */
export type Numbers = number | Readonly<Record<string, number>>;

/** The manager or supervisor that the numbers are of: those of its links, and its own, by the name of their field. */
export interface SampleSource {
  /** A sample of each link that has not ended. */
  links(): readonly LinkSample[];
  /** Counted since its beginning. */
  counts(): Readonly<Record<string, Numbers>>;
  /** As they stand now. */
  levels(): Readonly<Record<string, Numbers>>;
}

/** Sums over all links since the beginning, those that have ended included. */
export interface Totals {
  /** Taken to be sent. */
  takenMessages: number;
  /** Taken to be sent, in bytes of payload. */
  takenBytes: number;
  /** Accepted by the peers' applications. */
  acceptedMessages: number;
  /** Accepted by the peers' applications, in bytes of payload. */
  acceptedBytes: number;
  /** Handed to consumers here. */
  receivedMessages: number;
  /** Handed to consumers here, in bytes of payload. */
  receivedBytes: number;
  /** Lost connections that were replaced. */
  reconnects: number;
  /** Messages, by reason. */
  undelivered: Readonly<Record<string, number>>;
}

export interface Snapshot {
  /** Of the links that have not ended. */
  links: readonly LinkSample[];
  totals: Totals;
  counts: Readonly<Record<string, Numbers>>;
  levels: Readonly<Record<string, Numbers>>;
}

export const NO_TOTALS: Readonly<Totals> = {
  takenMessages: 0,
  takenBytes: 0,
  acceptedMessages: 0,
  acceptedBytes: 0,
  receivedMessages: 0,
  receivedBytes: 0,
  reconnects: 0,
  undelivered: {},
};

export class Samples {
  readonly #source: SampleSource;
  #ended: Totals = NO_TOTALS;

  constructor(source: SampleSource) {
    this.#source = source;
  }

  /** Keeps the totals of a link that has ended: the source no longer has a sample of it. */
  ended(sample: LinkSample): void {
    this.#ended = add(this.#ended, sample);
  }

  /** The totals of links that have ended. */
  get endedTotals(): Totals {
    return this.#ended;
  }

  get counts(): Snapshot["counts"] {
    return this.#source.counts();
  }

  get levels(): Snapshot["levels"] {
    return this.#source.levels();
  }

  take(): Snapshot {
    const links = this.#source.links();
    return { links, totals: this.totals(links), counts: this.counts, levels: this.levels };
  }

  /** `links`: a sample of each that has not ended. */
  totals(links: readonly LinkSample[] = this.#source.links()): Totals {
    let totals = this.#ended;
    for (const link of links) totals = add(totals, link);
    return totals;
  }
}

function add(totals: Totals, sample: LinkSample): Totals {
  return {
    takenMessages: totals.takenMessages + sample.taken.messages,
    takenBytes: totals.takenBytes + sample.taken.bytes,
    acceptedMessages: totals.acceptedMessages + sample.accepted.messages,
    acceptedBytes: totals.acceptedBytes + sample.accepted.bytes,
    receivedMessages: totals.receivedMessages + sample.received.messages,
    receivedBytes: totals.receivedBytes + sample.received.bytes,
    reconnects: totals.reconnects + sample.reconnects,
    undelivered: sum(totals.undelivered, sample.undelivered),
  };
}

/** By each word of either. */
function sum(a: Readonly<Record<string, number>>, b: Readonly<Record<string, number>>): Record<string, number> {
  const sums = { ...a };
  for (const [word, number] of Object.entries(b)) sums[word] = (sums[word] ?? 0) + number;
  return sums;
}
