/**
 * The memory that the link has read what a socket writes into. It is freed as soon as the socket has written it: left to
 * V8, which looks at such memory only when tens of MiB of it are allocated, it costs a large part of what a transfer does.
 */
import { freeLent } from "../link/forwarding.ts";

/** A shared empty list. */
const NOTHING: ArrayBufferLike[] = [];

export class LentMemory {
  /** The memory that the socket was given bytes of last, and all before that may not be written yet. */
  #last: ArrayBufferLike | undefined;
  #before: ArrayBufferLike[] = NOTHING;

  /** The socket is given bytes that lie in `memory`. Those of one memory come one after another. */
  use(memory: ArrayBufferLike): void {
    if (memory === this.#last) return;
    if (this.#last !== undefined) {
      if (this.#before === NOTHING) this.#before = [this.#last];
      else this.#before.push(this.#last);
    }
    this.#last = memory;
  }

  /** The socket has written everything. `isAll`: no more bytes of the last memory are to come. */
  written(isAll: boolean): void {
    if (this.#before !== NOTHING) {
      for (const memory of this.#before) freeLent(memory);
      this.#before = NOTHING;
    }
    if (!isAll || this.#last === undefined) return;
    freeLent(this.#last);
    this.#last = undefined;
  }

  /** Leaves all of it to the garbage collector. */
  forget(): void {
    this.#before = NOTHING;
    this.#last = undefined;
  }
}
