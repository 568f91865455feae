/**
 * Whose turn it is to be read. A peer can fill what is read with the smallest frames there are, and of one socket libuv reads
 * up to 32 chunks of 64 KiB before it looks at another. So whoever has taken its share waits for the next turn of the event
 * loop, and of all that wait together only so many are read in one.
 */

/** What may be taken in one go: more than it takes to read 2 MiB of large messages. */
const SHARE_MS = 2;
/** From here on it is looked at whether the turn is over. */
const NOTED_MS = SHARE_MS / 2;
/** What those that wait may take of a turn, as they took before. */
const TURN_MS = 2;

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

  /** Somebody was read for so long. */
  took(reader: Reader, ms: number): void {
    this.#tookMs = reader === this.#last ? this.#tookMs + ms : ms;
    this.#last = reader;
    if (this.#tookMs >= SHARE_MS) return this.wait(reader, this.#tookMs);
    if (this.#tookMs < NOTED_MS || this.#turnEnds) return;
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
    for (let ms = 0; at < due.length && ms < TURN_MS; at++) {
      const { reader, tookMs } = due[at] as { reader: Reader; tookMs: number };
      ms += tookMs;
      reader.resume();
    }
    this.#waiting = due.slice(at);
    if (this.#waiting.length > 0) setImmediate(() => this.#goOn());
  }
}
