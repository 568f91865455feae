/** Messages of one size. */
import { release, view } from "./chunks.ts";
import { type Deliver, type FrameDecoder, type FrameLimits, type Framing, partAtEnd } from "./framing.ts";
import { invalidOption, RespliceError } from "../link/errors.ts";
import { Held } from "./held.ts";
import { integer } from "../link/check.ts";

const MOST_BYTES = 0x7fff_ffff;

/**
 * Messages of exactly `messageBytes` bytes, with nothing between them: records of a device. Sending one of another size
 * rejects with INVALID_ARGUMENT. A part of one at the peer's end is not delivered.
 *
 * A message that is received keeps the chunk in memory that it came in, 64 KiB from a socket: copy what is kept for
 * long.
 *
 * Throws INVALID_OPTION.
 *
 * @example
 * ```ts
 * plain({ framing: fixed(12) }); // each record has 12 bytes
 * ```
 */
export function fixed(messageBytes: number): Framing {
  return new FixedFraming(integer("messageBytes", messageBytes, 1, MOST_BYTES));
}

class FixedFraming implements Framing {
  readonly name = "fixed";
  readonly #bytes: number;

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  encode(message: Buffer): Buffer {
    if (message.length === this.#bytes) return message;
    throw new RespliceError("INVALID_ARGUMENT", `a message of ${message.length} bytes, where each has ${this.#bytes}`);
  }

  decoder({ maxMessageBytes }: FrameLimits): FrameDecoder {
    if (this.#bytes <= maxMessageBytes) return new FixedDecoder(this.#bytes);
    throw invalidOption("maxMessageBytes", maxMessageBytes, `at least ${this.#bytes}, the size of messages of fixed()`);
  }
}

class FixedDecoder implements FrameDecoder {
  readonly #bytes: number;
  readonly #held: Held = new Held();

  constructor(bytes: number) {
    this.#bytes = bytes;
  }

  decode(chunk: Buffer, deliver: Deliver): void {
    const held = this.#held;
    const bytes = this.#bytes;
    let at = 0;
    if (held.length > 0) {
      at = Math.min(bytes - held.length, chunk.length);
      held.add(chunk, 0, at, bytes);
      if (held.length === bytes) deliver(held.take());
    }
    const { buffer, byteOffset } = chunk;
    const isHandedOn = chunk.length - at >= bytes;
    for (; chunk.length - at >= bytes; at += bytes) deliver(view(buffer, byteOffset + at, bytes));
    held.add(chunk, at, chunk.length, bytes);
    if (!isHandedOn) release(chunk);
  }

  end(): void {
    if (this.#held.length > 0) throw partAtEnd(this.#held.length);
  }
}
