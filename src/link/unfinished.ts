/** Work of the application that its link waits for: the promises that `waitUntil()` was given. */
import { isThenable } from "./check.ts";
import { RespliceError } from "./errors.ts";
import type { Outbound } from "./protocol.ts";

/** The work has only met the end of its own link, of which the application has heard: it has not failed. */
export function metTheEnd(error: unknown, { sendingEnded }: Pick<Outbound, "sendingEnded">): boolean {
  return sendingEnded && error instanceof RespliceError && error.code === "LINK_ENDED";
}

export class Unfinished {
  #pending = 0;
  readonly #onFulfilled: () => void;
  readonly #onRejected: (error: unknown) => void;

  /** Both are called when a promise has settled, and is counted no more. */
  constructor(onFulfilled: () => void, onRejected: (error: unknown) => void) {
    this.#onFulfilled = onFulfilled;
    this.#onRejected = onRejected;
  }

  get isPending(): boolean {
    return this.#pending > 0;
  }

  /** However many there are: each is counted, and nothing of it is kept. Throws INVALID_ARGUMENT. */
  add(promise: unknown): void {
    if (!isThenable(promise)) throw new RespliceError("INVALID_ARGUMENT", "waitUntil() needs a promise");
    this.#pending++;
    void this.#follow(promise);
  }

  /**
   * A promise of a library may settle twice or throw, and one of JavaScript's own may have another `then`: `await`
   * contains that.
   */
  async #follow(promise: PromiseLike<void>): Promise<void> {
    try {
      await promise;
    } catch (error) {
      this.#pending--;
      return this.#onRejected(error);
    }
    this.#pending--;
    this.#onFulfilled();
  }
}
