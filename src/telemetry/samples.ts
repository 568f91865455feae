/** The numbers of a manager or a supervisor and of its links, for every renderer of them alike. */

/** One link's numbers: `LinkStats` has them. */
export interface LinkSample {
  state: string;
  rttMs: number | undefined;
  reconnects: number;
  taken: { messages: number; bytes: number };
  received: { messages: number; bytes: number };
  queue: { messages: number; bytes: number };
  logBytes: number;
  windowBytes: number;
}

/** The manager or supervisor that the numbers are of. */
export interface SampleSource {
  /** A sample of each link that has not ended. */
  links(): readonly LinkSample[];
  /** Its own numbers, which are no sums over links: counted since its beginning, by the name of their field. */
  counts(): Readonly<Record<string, number>>;
}

/** Sums over all links since the beginning, those that have ended included. */
export interface Totals {
  takenMessages: number;
  takenBytes: number;
  receivedMessages: number;
  receivedBytes: number;
  reconnects: number;
}

export interface Snapshot {
  /** Of the links that have not ended. */
  links: readonly LinkSample[];
  totals: Totals;
  counts: Readonly<Record<string, number>>;
}

export const NO_TOTALS: Readonly<Totals> = {
  takenMessages: 0,
  takenBytes: 0,
  receivedMessages: 0,
  receivedBytes: 0,
  reconnects: 0,
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

  take(): Snapshot {
    const links = this.#source.links();
    let totals = this.#ended;
    for (const link of links) totals = add(totals, link);
    return { links, totals, counts: this.#source.counts() };
  }
}

function add(totals: Totals, sample: LinkSample): Totals {
  return {
    takenMessages: totals.takenMessages + sample.taken.messages,
    takenBytes: totals.takenBytes + sample.taken.bytes,
    receivedMessages: totals.receivedMessages + sample.received.messages,
    receivedBytes: totals.receivedBytes + sample.received.bytes,
    reconnects: totals.reconnects + sample.reconnects,
  };
}
