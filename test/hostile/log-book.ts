/** A logger that counts: how many lines, how many in the worst second, and which of them a terminal would obey. It can fail. */
import type { Logger } from "../../src/index.ts";

/** Control characters and the separators of lines: what ends a line, or begins an escape sequence. */
const CONTROL = /\p{Cc}|[\u2028\u2029]/u;

export class LogBook {
  #lines = 0;
  #mostASecond = 0;
  #second = { atMs: 0, lines: 0 };
  #controls: string[] = [];
  #sessionsMayHoldBytes = 0;
  #failure: Error | undefined;

  logger(): Logger {
    const write = (fields: object, message: string): void => {
      this.#count(fields, message);
      if (this.#failure !== undefined) throw this.#failure;
    };
    return { debug: write, info: write, warn: write, error: write };
  }

  /** From now on it throws this each time. */
  fail(failure: Error): void {
    this.#failure = failure;
  }

  read(): { lines: number; mostASecond: number; controls: string[]; sessionsMayHoldBytes: number } {
    return {
      lines: this.#lines,
      mostASecond: this.#mostASecond,
      controls: this.#controls,
      sessionsMayHoldBytes: this.#sessionsMayHoldBytes,
    };
  }

  #count(fields: object, message: string): void {
    this.#lines++;
    const atMs = performance.now();
    if (atMs - this.#second.atMs >= 1_000) this.#second = { atMs, lines: 0 };
    this.#mostASecond = Math.max(this.#mostASecond, ++this.#second.lines);
    for (const [name, value] of [...Object.entries(fields), ["message", message] as const]) {
      if (typeof value === "string" && CONTROL.test(value) && this.#controls.length < 10) this.#controls.push(name);
      if (name === "sessionsMayHoldBytes") this.#sessionsMayHoldBytes = Number(value);
    }
  }
}

export function hasControls(text: string): boolean {
  return CONTROL.test(text);
}
