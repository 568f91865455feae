/** Which links are still in memory, although they have ended. */
import { getEventListeners } from "node:events";
import type { Link } from "../../src/index.ts";

export class Watch {
  /** Given to all waits of a process that lasts as long as itself: what a wait leaves behind stays there. */
  readonly never: AbortSignal = new AbortController().signal;
  #alive = 0;
  readonly #collected = new FinalizationRegistry<undefined>(() => this.#alive--);

  made(link: Link): void {
    this.#alive++;
    this.#collected.register(link, undefined);
  }

  readonly counts = (): Record<string, number> => ({
    "links in memory": this.#alive,
    "abort listeners": getEventListeners(this.never, "abort").length,
  });
}
