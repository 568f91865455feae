/** Links that have ended with an error, and that nobody has replaced yet: a manager without them is not healthy. */
import { setNewest } from "./newest.ts";
import type { RespliceError } from "../link/errors.ts";
import type { Destination } from "./gate.ts";

export interface LostLink {
  /** The id of the link. */
  readonly id: string;
  readonly error: RespliceError;
}

/** The destinations that are remembered. Of more than these, the one is forgotten whose link ended first. */
const MOST_DESTINATIONS = 100;

export class LostLinks {
  /** The last link of each destination. The first to end is first. */
  readonly #byDestination = new Map<Destination, LostLink>();

  get size(): number {
    return this.#byDestination.size;
  }

  get all(): LostLink[] {
    return [...this.#byDestination.values()];
  }

  add(destination: Destination, lost: LostLink): void {
    setNewest(this.#byDestination, destination, lost, MOST_DESTINATIONS);
  }

  /** A link to this destination was opened. */
  replaced(destination: Destination): void {
    this.#byDestination.delete(destination);
  }

  /** The application has closed the link: it knows that the link has ended, and does without. */
  closed(destination: Destination, id: string): void {
    if (this.#byDestination.get(destination)?.id === id) this.#byDestination.delete(destination);
  }
}
