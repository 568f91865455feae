/** Messages that end with a delimiter of one byte or several. Also the decoder of lines. */
import { isBytes } from "../core/foreign.ts";
import { ownCopy } from "../core/wire/bytes.ts";
import { release, view } from "./chunks.ts";
import {
  type Deliver,
  type FrameDecoder,
  type FrameLimits,
  type Framing,
  oversized,
  partAtEnd,
  SuffixFraming,
} from "./framing.ts";
import { invalidOption, RespliceError } from "../link/errors.ts";
import { Held } from "./held.ts";

/**
 * While bytes of a delimiter may be missing, each chunk is searched together with as many bytes that came before it.
 */
const MOST_DELIMITER_BYTES = 256;
const CARRIAGE_RETURN = 0x0d;

/**
 * Messages of any bytes, each followed by `delimiter`, of 1 to 256 bytes; a string is taken as UTF-8. A message cannot
 * hold the delimiter: sending one rejects with INVALID_ARGUMENT. Messages may be empty. A last message whose delimiter
 * has not come when the peer ends is not delivered: nobody can tell it from a part of one.
 *
 * A message that is received keeps the chunk in memory that it came in, 64 KiB from a socket: copy what is kept for
 * long.
 *
 * Throws INVALID_OPTION.
 *
 * @example
 * ```ts
 * plain({ framing: delimited("\0") });
 * ```
 */
export function delimited(delimiter: string | Uint8Array): Framing {
  if (typeof delimiter !== "string" && !isBytes(delimiter)) throw invalidDelimiter(delimiter);
  const bytes = ownCopy(typeof delimiter === "string" ? Buffer.from(delimiter) : delimiter);
  if (bytes.length === 0 || bytes.length > MOST_DELIMITER_BYTES) throw invalidDelimiter(delimiter);
  return new DelimitedFraming(bytes);
}

function invalidDelimiter(given: unknown): RespliceError {
  return invalidOption("delimiter", given, `a string or bytes, of 1 to ${MOST_DELIMITER_BYTES} bytes`);
}

class DelimitedFraming extends SuffixFraming {
  readonly name = "delimited";
  /** The delimiter begins as it ends, such as "--": it may then begin within a message that does not hold it. */
  readonly #overlaps: boolean;

  constructor(delimiter: Buffer) {
    super(delimiter);
    this.#overlaps = beginsAsItEnds(delimiter);
  }

  check(message: Buffer): void {
    const delimiter = this.suffix;
    let at = message.indexOf(delimiter);
    if (at === -1 && this.#overlaps) {
      const tail = Math.max(0, message.length - delimiter.length + 1);
      const found = tail + Buffer.concat([message.subarray(tail), delimiter]).indexOf(delimiter);
      if (found < message.length) at = found;
    }
    if (at === -1) return;
    throw new RespliceError("INVALID_ARGUMENT", `the message would end at its byte ${at}, where the delimiter begins`);
  }

  decoder(limits: FrameLimits): FrameDecoder {
    return new DelimitedDecoder(this.suffix, limits);
  }
}

function beginsAsItEnds(bytes: Buffer): boolean {
  for (let length = 1; length < bytes.length; length++) {
    if (bytes.subarray(0, length).equals(bytes.subarray(-length))) return true;
  }
  return false;
}

export class DelimitedDecoder implements FrameDecoder {
  readonly #delimiter: Buffer;
  /** The delimiter, if it is one byte: to look for a byte is faster. */
  readonly #search: Buffer | number;
  readonly #maxMessageBytes: number;
  readonly #trimsReturn: boolean;
  readonly #deliversRest: boolean;
  /** The most bytes that a message can have while its delimiter is not here whole. */
  readonly #mostHeld: number;
  readonly #held: Held = new Held();

  /**
   * `trimsReturn`: a carriage return before the delimiter belongs to it. `deliversRest`: a last message without its
   * delimiter counts.
   */
  constructor(
    delimiter: Buffer,
    { maxMessageBytes }: FrameLimits,
    { trimsReturn = false, deliversRest = false }: { trimsReturn?: boolean; deliversRest?: boolean } = {},
  ) {
    this.#delimiter = delimiter;
    this.#search = delimiter.length === 1 ? (delimiter[0] as number) : delimiter;
    this.#maxMessageBytes = maxMessageBytes;
    this.#trimsReturn = trimsReturn;
    this.#deliversRest = deliversRest;
    this.#mostHeld = maxMessageBytes + (trimsReturn ? 1 : delimiter.length - 1);
  }

  decode(chunk: Buffer, deliver: Deliver): void {
    const { buffer, byteOffset } = chunk;
    const bytes = this.#delimiter.length;
    const most = this.#maxMessageBytes;
    const trims = this.#trimsReturn;
    let isHandedOn = false;
    let at = this.#held.length > 0 ? this.#goOn(chunk, deliver) : 0;
    for (let found = chunk.indexOf(this.#search, at); found !== -1; found = chunk.indexOf(this.#search, at)) {
      // Before an empty line stands the end of another one, and so no carriage return that could be taken for its own.
      const end = trims && chunk[found - 1] === CARRIAGE_RETURN ? found - 1 : found;
      if (end - at > most) throw oversized(most);
      isHandedOn = true;
      deliver(view(buffer, byteOffset + at, end - at));
      at = found + bytes;
    }
    this.#hold(chunk, at);
    if (!isHandedOn) release(chunk);
  }

  /**
   * Looks for the end of the message that is held, in the new bytes only. Answers where the chunk goes on behind it: at
   * its end if the message does not end here.
   */
  #goOn(chunk: Buffer, deliver: Deliver): number {
    const held = this.#held;
    const before = held.length;
    const { length } = this.#delimiter;
    // The delimiter may begin in the held bytes, and end in so many of the new ones.
    const across = Math.min(length - 1, chunk.length);
    if (across > 0) {
      held.add(chunk, 0, across, this.#mostHeld);
      const found = held.indexOf(this.#delimiter, before - length + 1);
      if (found !== -1) {
        held.length = found;
        this.#deliverHeld(deliver);
        return found + length - before;
      }
    }
    const found = chunk.indexOf(this.#search);
    if (found === -1) {
      this.#hold(chunk, across);
      return chunk.length;
    }
    if (before + found > this.#mostHeld) throw oversized(this.#maxMessageBytes);
    held.length = before + Math.min(across, found);
    held.add(chunk, Math.min(across, found), found, before + found);
    this.#deliverHeld(deliver);
    return found + length;
  }

  /** Holds the chunk from `from` on, in which no message ends. */
  #hold(chunk: Buffer, from: number): void {
    if (this.#held.length + chunk.length - from > this.#mostHeld) throw oversized(this.#maxMessageBytes);
    this.#held.add(chunk, from, chunk.length, this.#mostHeld);
  }

  #deliverHeld(deliver: Deliver): void {
    const held = this.#held;
    if (this.#trimsReturn && held.memory[held.length - 1] === CARRIAGE_RETURN) held.length--;
    if (held.length > this.#maxMessageBytes) throw oversized(this.#maxMessageBytes);
    deliver(held.take());
  }

  end(deliver: Deliver): void {
    const { length } = this.#held;
    if (length === 0) return;
    if (!this.#deliversRest) throw partAtEnd(length);
    this.#deliverHeld(deliver);
  }
}
