/** Gathers the bytes of one message, of which the beginning says how long it is, and behind which nothing may come. */
export class Gathered {
  readonly #lengthOf: (bytes: Buffer) => number | undefined;
  #bytes: Buffer = Buffer.alloc(0);

  /** @param lengthOf answers how many bytes there are, as far as it can be seen; undefined if the beginning is wrong */
  constructor(lengthOf: (bytes: Buffer) => number | undefined) {
    this.#lengthOf = lengthOf;
  }

  /** Answers the message when it is whole. */
  push(chunk: Buffer): Buffer | "more" | "wrong" {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    const length = this.#lengthOf(this.#bytes);
    if (length === undefined || this.#bytes.length > length) return "wrong";
    return this.#bytes.length < length ? "more" : this.#bytes;
  }
}
