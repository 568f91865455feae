/**
 * Whose turn it is to be read. A peer can fill what is read with the smallest frames there are, and of one socket libuv reads
 * up to 32 chunks of 64 KiB before it looks at another. So whoever has taken its share waits for the next turn of the event
 * loop, and of all that wait together only so many are read in one.
 */

/** What one may take of a turn: more than it takes to read 2 MiB of large messages. */
const ALONE_MS = 2;
/** What all may take that wait together: others wait for it, who have little to say. */
const TOGETHER_MS = 1;

export interface Reader {
  pause(): void;
  resume(): void;
}

export class ReadingLine {
  /** Each of them once: who is paused is not read. */
  #waiting: Array<{ reader: Reader; tookMs: number }> = [];
  /** Who was read last, and what that took since another was. */
  #last: Reader | undefined;
  #tookMs = 0;
  #turnEnds = false;
  /** What each may take: those that went on together last share a turn. */
  #shareMs = ALONE_MS;

  /** Somebody was read for so long. */
  took(reader: Reader, ms: number): void {
    this.#tookMs = reader === this.#last ? this.#tookMs + ms : ms;
    this.#last = reader;
    if (this.#tookMs >= this.#shareMs) return this.wait(reader, this.#tookMs);
    // It may be in this turn that it takes the rest, or in the next.
    if (this.#tookMs < this.#shareMs / 2 || this.#turnEnds) return;
    this.#turnEnds = true;
    setImmediate(() => {
      this.#turnEnds = false;
      this.#tookMs = 0;
    });
  }

  /** It is read no more in this turn, in which it took so long. */
  wait(reader: Reader, tookMs: number): void {
    reader.pause();
    this.#waiting.push({ reader, tookMs });
    this.#tookMs = 0;
    if (this.#waiting.length === 1) setImmediate(() => this.#goOn());
  }

  #goOn(): void {
    const due = this.#waiting;
    let at = 0;
    for (let ms = 0; at < due.length && ms < TOGETHER_MS; at++) {
      const { reader, tookMs } = due[at] as { reader: Reader; tookMs: number };
      ms += tookMs;
      reader.resume();
    }
    this.#shareMs = due.length === 1 ? ALONE_MS : TOGETHER_MS / at;
    this.#waiting = due.slice(at);
    if (this.#waiting.length > 0) setImmediate(() => this.#goOn());
  }
}
