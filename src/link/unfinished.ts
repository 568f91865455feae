/** Work of the application that its link waits for: the promises that `waitUntil()` was given. */
import { isThenable } from "./check.ts";
import { RespliceError } from "./errors.ts";
import type { Outbound } from "./protocol.ts";

export class Unfinished {
  #pending = 0;
  readonly #outbound: Pick<Outbound, "sendingEnded">;
  readonly #onDone: () => void;
  readonly #onFailed: (error: unknown) => void;

  /** `onDone` or `onFailed` is called when a promise has settled, and is counted no more. */
  constructor(outbound: Pick<Outbound, "sendingEnded">, onDone: () => void, onFailed: (error: unknown) => void) {
    this.#outbound = outbound;
    this.#onDone = onDone;
    this.#onFailed = onFailed;
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
      return this.#metTheEnd(error) ? this.#onDone() : this.#onFailed(error);
    }
    this.#pending--;
    this.#onDone();
  }

  /** The work has only met the end of its own link, of which the application has heard: it has not failed. */
  #metTheEnd(error: unknown): boolean {
    return this.#outbound.sendingEnded && error instanceof RespliceError && error.code === "LINK_ENDED";
  }
}
