/** Gathers the bytes of one message, of which the beginning says how long it is, and behind which nothing may come. */
export class Gathered {
  readonly #lengthOf: (bytes: Buffer) => number | undefined;
  /** Has room for as many bytes as the beginning has said so far. */
  #bytes: Buffer = Buffer.alloc(0);
  #size = 0;

  /** @param lengthOf answers how many bytes there are, as far as it can be seen; undefined if the beginning is wrong */
  constructor(lengthOf: (bytes: Buffer) => number | undefined) {
    this.#lengthOf = lengthOf;
  }

  /** Answers the message when it is whole. */
  push(chunk: Buffer): Buffer | "more" | "wrong" {
    for (let at = 0; ;) {
      const length = this.#lengthOf(this.#bytes.subarray(0, this.#size));
      if (length === undefined) return "wrong";
      if (this.#size === length) return at === chunk.length ? this.#bytes : "wrong";
      if (at === chunk.length) return "more";
      if (this.#bytes.length < length) this.#bytes = Buffer.concat([this.#bytes], length);
      const copied = chunk.copy(this.#bytes, this.#size, at, at + length - this.#size);
      this.#size += copied;
      at += copied;
    }
  }
}
