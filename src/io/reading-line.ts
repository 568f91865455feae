/**
 * Shares the event loop among the connections that are read. A peer can fill its bytes with the smallest possible
 * frames, and libuv reads up to 32 chunks of 64 KiB from one socket before it looks at another. So a connection that
 * has used its share of a turn waits for the next one, and only some of the connections that wait are read in each
 * turn.
 */
import { realTime } from "../real-time.ts";

/** The time that one connection may take in a turn. */
const ALONE_MS = 1;
/** The time that all waiting connections together may take in a turn: connections that send little wait meanwhile. */
const TOGETHER_MS = 0.5;

/** Under overload a turn takes this part of both times. */
const LESS_PART = 0.25;

export interface Reader {
  /** The reader stops reading, until `goOn()`. */
  wait(): void;
  goOn(): void;
}

export class ReadingLine {
  /** The connections that wait, each once: they are not read meanwhile. */
  #waiting: Array<{ reader: Reader; tookMs: number }> = [];
  /** The connection that was read last, and the time that it has taken since another one was read. */
  #last: Reader | undefined;
  #tookMs = 0;
  #turnEnds = false;
  /** The time that each may take: the connections that were resumed together last share a turn. */
  #shareMs = ALONE_MS;
  #part = 1;
  /** Those that want less to be read in each turn. */
  readonly #lessFor = new Set<object>();

  /** Less is read in each turn from now on, for as long as any holder wants it. */
  readLess(holder: object, isWanted: boolean): void {
    if (isWanted) this.#lessFor.add(holder);
    else this.#lessFor.delete(holder);
    this.#part = this.isLessRead ? LESS_PART : 1;
    if (this.#waiting.length === 0) this.#shareMs = ALONE_MS * this.#part;
  }

  get isLessRead(): boolean {
    return this.#lessFor.size > 0;
  }

  /** `reader` was read for `ms`. */
  took(reader: Reader, ms: number): void {
    this.#tookMs = reader === this.#last ? this.#tookMs + ms : ms;
    this.#last = reader;
    if (this.#tookMs >= this.#shareMs) return this.wait(reader, this.#tookMs);
    // The reader may take the rest of its share in this turn, or in the next.
    if (this.#tookMs < this.#shareMs / 2 || this.#turnEnds) return;
    this.#turnEnds = true;
    realTime.setImmediate(() => {
      this.#turnEnds = false;
      this.#tookMs = 0;
    });
  }

  /** `reader` is not read any more in this turn, in which it took `tookMs`. */
  wait(reader: Reader, tookMs: number): void {
    reader.wait();
    this.#waiting.push({ reader, tookMs });
    this.#tookMs = 0;
    if (this.#waiting.length === 1) realTime.setImmediate(() => this.#goOn());
  }

  #goOn(): void {
    const due = this.#waiting;
    let at = 0;
    const togetherMs = TOGETHER_MS * this.#part;
    for (let ms = 0; at < due.length && ms < togetherMs; at++) {
      const { reader, tookMs } = due[at] as { reader: Reader; tookMs: number };
      ms += tookMs;
      reader.goOn();
    }
    this.#shareMs = due.length === 1 ? ALONE_MS * this.#part : togetherMs / at;
    this.#waiting = due.slice(at);
    if (this.#waiting.length > 0) realTime.setImmediate(() => this.#goOn());
  }
}

/** One reading line for all connections of the process: they share its event loop. */
export const READING_LINE: ReadingLine = new ReadingLine();
