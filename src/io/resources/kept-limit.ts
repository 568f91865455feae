/** A limit that an administrator can change while the process runs. */

/** After so long the limit is read again. */
const LIMIT_KEPT_MS = 60_000;

export class KeptLimit {
  readonly #read: () => number | undefined;
  #limit: number | undefined;
  #readAtMs = -Infinity;

  constructor(read: () => number | undefined) {
    this.#read = read;
  }

  /** The last one that could be read. */
  at(nowMs: number): number | undefined {
    if (nowMs - this.#readAtMs >= LIMIT_KEPT_MS) {
      this.#readAtMs = nowMs;
      this.#limit = this.#read() ?? this.#limit;
    }
    return this.#limit;
  }
}
