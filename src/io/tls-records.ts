/**
 * A TLS socket gives what Node has read at once record by record, each in a call of its own. Whole records are collected
 * here, so that a link looks at them in one step and acts on them with one write.
 */
import { realTime } from "../real-time.ts";

/** A whole record of TLS, and how many Node reads at once. */
const RECORD_BYTES = 16_384;
const MOST_RECORDS = 4;

export interface RecordTaker {
  /** Nothing may be handed on now: it waits until `handSoon()`. */
  readonly isHeld: boolean;
  /** `isFollowed`: another chunk follows at once. */
  hand(chunk: Buffer, isFollowed: boolean): void;
}

export class TlsRecords {
  readonly #taker: RecordTaker;
  #chunks: Buffer[] = [];
  #turnEnds = false;

  constructor(taker: RecordTaker) {
    this.#taker = taker;
  }

  /** Whether a chunk is a whole record, which others mostly follow. */
  static isWhole({ length }: Buffer): boolean {
    return length === RECORD_BYTES;
  }

  /** Chunks wait here, and what is read next has to go behind them. */
  get isWaiting(): boolean {
    return this.#chunks.length > 0;
  }

  /** A chunk that is no whole record is the last of those that were read together. */
  take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    if (this.#chunks.length < MOST_RECORDS && TlsRecords.isWhole(chunk)) this.handSoon();
    else if (!this.#taker.isHeld) this.handNow();
  }

  /** Hands all on when the turn is over. */
  handSoon(): void {
    if (this.#turnEnds) return;
    this.#turnEnds = true;
    realTime.setImmediate(() => {
      this.#turnEnds = false;
      if (!this.#taker.isHeld) this.handNow();
    });
  }

  handNow(): void {
    const chunks = this.#chunks;
    this.#chunks = [];
    const last = chunks.length - 1;
    for (const [at, chunk] of chunks.entries()) this.#taker.hand(chunk, at < last);
  }
}
