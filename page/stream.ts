/** The frames that the process sends, as long as the page is open. */
import type { Frame } from "../src/monitor/live/messages.ts";
import { patched, type Tree } from "../src/monitor/live/patch.ts";

/** "refused": there are too many viewers, or the process does not want to answer. */
export type Contact = "connecting" | "live" | "lost" | "refused";

const AGAIN_MS = 5_000;

export class FrameStream {
  readonly #onFrame: (frame: Frame) => void;
  readonly #onContact: (contact: Contact) => void;
  #source: EventSource | undefined;
  #frame: Tree | undefined;
  #again: number | undefined;

  constructor(onFrame: (frame: Frame) => void, onContact: (contact: Contact) => void) {
    this.#onFrame = onFrame;
    this.#onContact = onContact;
  }

  /** From now on the frames are of this query. */
  open(query: string): void {
    clearTimeout(this.#again);
    this.#source?.close();
    const source = new EventSource(`events?${query}`);
    this.#source = source;
    this.#frame = undefined;
    source.addEventListener("whole", ({ data }) => this.#take(JSON.parse(String(data)) as Tree));
    source.addEventListener("patch", ({ data }) => {
      // Between a lost connection and the next whole frame there is nothing to patch.
      if (this.#frame !== undefined) this.#take(patched(this.#frame, JSON.parse(String(data)) as Tree));
    });
    source.addEventListener("error", () => {
      const isOver = source.readyState === EventSource.CLOSED;
      this.#onContact(isOver ? "refused" : "lost");
      // The browser tries again by itself unless it was refused.
      if (isOver) this.#again = setTimeout(() => this.open(query), AGAIN_MS);
    });
  }

  #take(frame: Tree): void {
    this.#frame = frame;
    this.#onContact("live");
    this.#onFrame(frame as unknown as Frame);
  }
}
