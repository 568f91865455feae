/** A stream of bytes without messages. */
import type { Deliver, FrameDecoder, FrameLimits, Framing } from "./framing.ts";

/**
 * No framing: messages are chunks as they come, split and joined at will, and bytes are sent as they are given. A chunk
 * that is larger than the link's `maxMessageBytes` is handed out in pieces of that size.
 *
 * @example
 * ```ts
 * plain({ framing: bytes() });
 * ```
 */
export function bytes(): Framing {
  return new ByteFraming();
}

class ByteFraming implements Framing {
  readonly name = "bytes";

  encode(message: Buffer): Buffer {
    return message;
  }

  decoder({ maxMessageBytes }: FrameLimits): FrameDecoder {
    return new ByteDecoder(maxMessageBytes);
  }
}

class ByteDecoder implements FrameDecoder {
  readonly #most: number;

  constructor(most: number) {
    this.#most = most;
  }

  decode(chunk: Buffer, deliver: Deliver): void {
    if (chunk.length > 0 && chunk.length <= this.#most) return deliver(chunk);
    for (let at = 0; at < chunk.length; at += this.#most) deliver(chunk.subarray(at, at + this.#most));
  }

  end(): void {
    // Every byte was delivered.
  }
}
