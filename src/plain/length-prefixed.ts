/** Messages with their length in front of them, or near their beginning. */
import { release, view } from "./chunks.ts";
import {
  type Deliver,
  type FrameDecoder,
  type FrameLimits,
  type Framing,
  oversized,
  partAtEnd,
  streamFault,
} from "./framing.ts";
import { invalidOption, RespliceError } from "../link/errors.ts";
import { Held } from "./held.ts";
import {
  type LengthPrefix,
  readLength,
  type ResolvedPrefix,
  resolvePrefix,
  varintBytes,
  writeLength,
  writeVarint,
} from "./length-prefix.ts";

/**
 * Messages with their length in front of them. Default: 4 bytes, the highest first, which count what follows. On the
 * wire a message is
 *
 *     headerBytes | length | rest
 *
 * and without `strip: false` it is sent and received as its header and its rest. Messages may be empty.
 *
 * A message rejects with MESSAGE_TOO_LARGE if its length does not fit into the prefix, and with INVALID_ARGUMENT if it
 * has fewer bytes than `headerBytes` and `uncountedBytes`. A length that is received is refused if it is smaller than
 * what it must count, or if the message would be larger than the link's `maxMessageBytes`, before any memory is taken
 * for it. A part of a message at the peer's end is not delivered.
 *
 * A message that is received keeps at most 64 KiB of memory besides its own bytes, or the chunk in which the
 * application's own stream brought it: copy what is kept for long.
 *
 * Throws INVALID_OPTION.
 *
 * @example
 * ```ts
 * plain({ framing: lengthPrefixed({ bytes: 2, endian: "little" }) });
 * ```
 */
export function lengthPrefixed(options?: LengthPrefix): Framing {
  return new LengthFraming(resolvePrefix(options));
}

class LengthFraming implements Framing {
  readonly name = "lengthPrefixed";
  readonly #prefix: ResolvedPrefix;

  constructor(prefix: ResolvedPrefix) {
    this.#prefix = prefix;
  }

  encode(message: Buffer): Buffer | readonly Buffer[] {
    const { strip, headerBytes, uncountedBytes, countedBytes, mostLength, mostBytes, isVarint, isLittle } =
      this.#prefix;
    if (!strip) return message;
    const least = headerBytes + uncountedBytes;
    if (message.length < least) {
      throw new RespliceError(
        "INVALID_ARGUMENT",
        `a message of ${message.length} bytes, where each has at least ${least}`,
      );
    }
    const length = message.length - least + countedBytes;
    if (length > mostLength) {
      throw new RespliceError("MESSAGE_TOO_LARGE", `a length of ${length}, and the prefix holds at most ${mostLength}`);
    }
    const front = headerBytes + (isVarint ? varintBytes(length) : mostBytes);
    const first = Buffer.allocUnsafe(front);
    for (let at = 0; at < headerBytes; at++) first[at] = message[at] as number;
    if (isVarint) writeVarint(first, headerBytes, length);
    else writeLength(first, headerBytes, length, mostBytes, isLittle);
    return [first, headerBytes === 0 ? message : message.subarray(headerBytes)];
  }

  decoder({ maxMessageBytes }: FrameLimits): FrameDecoder {
    const { strip, headerBytes, uncountedBytes, mostBytes, isVarint } = this.#prefix;
    const least = headerBytes + uncountedBytes + (strip ? 0 : isVarint ? 1 : mostBytes);
    if (least <= maxMessageBytes) return new LengthDecoder(this.#prefix, maxMessageBytes);
    throw invalidOption(
      "maxMessageBytes",
      maxMessageBytes,
      `at least ${least}, the smallest message of lengthPrefixed()`,
    );
  }
}

class LengthDecoder implements FrameDecoder {
  readonly #headerBytes: number;
  readonly #mostBytes: number;
  readonly #isVarint: boolean;
  readonly #isLittle: boolean;
  readonly #countedBytes: number;
  readonly #uncountedBytes: number;
  readonly #strip: boolean;
  readonly #maxMessageBytes: number;
  /** The size of the length that was read last. */
  #prefixBytes = 0;
  readonly #held: Held = new Held();

  constructor(prefix: ResolvedPrefix, maxMessageBytes: number) {
    this.#headerBytes = prefix.headerBytes;
    this.#mostBytes = prefix.mostBytes;
    this.#isVarint = prefix.isVarint;
    this.#isLittle = prefix.isLittle;
    this.#countedBytes = prefix.countedBytes;
    this.#uncountedBytes = prefix.uncountedBytes;
    this.#strip = prefix.strip;
    this.#maxMessageBytes = maxMessageBytes;
  }

  decode(chunk: Buffer, deliver: Deliver): void {
    const { buffer, byteOffset, length } = chunk;
    const headerBytes = this.#headerBytes;
    const isCopied = this.#strip && headerBytes > 0;
    let isHandedOn = false;
    let at = this.#held.length > 0 ? this.#goOn(chunk, deliver) : 0;
    while (at < length) {
      const needed = this.#bytesNeeded(chunk, at, length - at);
      if (needed > length - at) {
        this.#held.add(chunk, at, length, needed);
        break;
      }
      const cutBytes = this.#strip ? this.#prefixBytes : 0;
      if (isCopied) {
        deliver(this.#copyOf(chunk, at, needed));
      } else {
        isHandedOn = true;
        deliver(view(buffer, byteOffset + at + cutBytes, needed - cutBytes));
      }
      at += needed;
    }
    if (!isHandedOn) release(chunk);
  }

  /** Goes on with the message that is held. Answers where the chunk goes on behind it, or the chunk's end. */
  #goOn(chunk: Buffer, deliver: Deliver): number {
    const held = this.#held;
    for (let at = 0; ;) {
      const needed = this.#bytesNeeded(held.memory, 0, held.length);
      const missing = needed - held.length;
      if (missing === 0) {
        deliver(this.#takeHeld());
        return at;
      }
      const to = Math.min(at + missing, chunk.length);
      held.add(chunk, at, to, needed);
      at = to;
      if (held.length < needed) return at;
    }
  }

  /**
   * How many bytes must be here before the decoder can go on: all of the message, or more of its length. Throws where
   * the length cannot be that of a message.
   */
  #bytesNeeded(from: Buffer, at: number, available: number): number {
    const headerBytes = this.#headerBytes;
    let prefixBytes = this.#mostBytes;
    let length: number;
    if (this.#isVarint) {
      length = 0;
      let isLast = false;
      for (prefixBytes = 0; !isLast; prefixBytes++) {
        if (prefixBytes === this.#mostBytes) throw streamFault(`a length of more than ${prefixBytes} bytes`);
        if (headerBytes + prefixBytes >= available) return headerBytes + prefixBytes + 1;
        const byte = from[at + headerBytes + prefixBytes] as number;
        length += (byte & 0x7f) * 0x80 ** prefixBytes;
        isLast = byte < 0x80;
      }
    } else {
      if (headerBytes + prefixBytes > available) return headerBytes + prefixBytes;
      length = readLength(from, at + headerBytes, prefixBytes, this.#isLittle);
    }
    if (length < this.#countedBytes) {
      throw streamFault(`a length of ${length}, which counts ${this.#countedBytes} bytes of its own`);
    }
    const rest = length - this.#countedBytes + this.#uncountedBytes;
    const whole = headerBytes + prefixBytes + rest;
    if (whole - (this.#strip ? prefixBytes : 0) > this.#maxMessageBytes) throw oversized(this.#maxMessageBytes);
    this.#prefixBytes = prefixBytes;
    return whole;
  }

  /** A message without its length, which stands in the middle of it. */
  #copyOf(chunk: Buffer, at: number, bytes: number): Buffer {
    const headerBytes = this.#headerBytes;
    const message = Buffer.allocUnsafe(bytes - this.#prefixBytes);
    for (let n = 0; n < headerBytes; n++) message[n] = chunk[at + n] as number;
    chunk.copy(message, headerBytes, at + headerBytes + this.#prefixBytes, at + bytes);
    return message;
  }

  #takeHeld(): Buffer {
    if (!this.#strip) return this.#held.take();
    // The memory is ours: the header may be moved over the length.
    if (this.#headerBytes > 0) this.#held.memory.copyWithin(this.#prefixBytes, 0, this.#headerBytes);
    return this.#held.take(this.#prefixBytes);
  }

  end(): void {
    if (this.#held.length > 0) throw partAtEnd(this.#held.length);
  }
}
