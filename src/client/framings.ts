/**
 * The framings that the package exports: those of src/plain, where a wrong option is an error of the package. Both ends
 * take them.
 */
import { invalidOption } from "../link/errors.ts";
import { bytes as plainBytes } from "../plain/bytes.ts";
import { delimited as plainDelimited } from "../plain/delimited.ts";
import { fixed as plainFixed } from "../plain/fixed.ts";
import { type Framing, FramingError } from "../plain/framing.ts";
import type { LengthPrefix } from "../plain/length-prefix.ts";
import { lengthPrefixed as plainLengthPrefixed } from "../plain/length-prefixed.ts";
import { type LineOptions, lines as plainLines } from "../plain/lines.ts";

/**
 * Messages are lines, without their ends; "\n" and "\r\n" both end one. An empty line is an empty message. Bytes are not
 * decoded: any encoding will do in which no other character holds the byte 0x0A, such as UTF-8.
 *
 * A message that holds "\n", or ends with "\r", is not one line: sending it rejects with INVALID_ARGUMENT. Any other "\r"
 * is sent as it is. Danger: some servers take it for a line end, so text of others may hold commands.
 *
 * A message that is received keeps the chunk in memory that it came in, 64 KiB from a socket: copy what is kept for long.
 *
 * Throws INVALID_OPTION.
 */
export function lines(options?: LineOptions): Framing {
  return made(() => plainLines(options));
}

/**
 * Messages of any bytes, each followed by `delimiter`, of 1 to 256 bytes; a string is taken as UTF-8. A message cannot
 * hold the delimiter: sending one rejects with INVALID_ARGUMENT. Messages may be empty. A last message whose delimiter
 * has not come when the peer ends is not delivered: nobody can tell it from a part of one.
 *
 * A message that is received keeps the chunk in memory that it came in, 64 KiB from a socket: copy what is kept for long.
 *
 * Throws INVALID_OPTION.
 */
export function delimited(delimiter: string | Uint8Array): Framing {
  return made(() => plainDelimited(delimiter));
}

/**
 * Messages with their length in front of them. Default: 4 bytes, the highest first, which count what follows. On the wire
 * a message is
 *
 *     headerBytes | length | rest
 *
 * and without `strip: false` it is sent and received as its header and its rest. Messages may be empty.
 *
 * A message rejects with MESSAGE_TOO_LARGE if its length does not fit into the prefix, and with INVALID_ARGUMENT if it has
 * fewer bytes than `headerBytes` and `uncountedBytes`. A length that is received is refused if it is smaller than what
 * it must count, or if the message would be larger than the link's `maxMessageBytes`, before any memory is taken for it.
 * A part of a message at the peer's end is not delivered.
 *
 * A message that is received keeps at most 64 KiB of memory besides its own bytes, or the chunk in which the application's
 * own stream brought it: copy what is kept for long.
 *
 * Throws INVALID_OPTION.
 */
export function lengthPrefixed(options?: LengthPrefix): Framing {
  return made(() => plainLengthPrefixed(options));
}

/**
 * Messages of exactly `messageBytes` bytes, with nothing between them: records of a device. Sending one of another size
 * rejects with INVALID_ARGUMENT. A part of one at the peer's end is not delivered.
 *
 * A message that is received keeps the chunk in memory that it came in, 64 KiB from a socket: copy what is kept for long.
 *
 * Throws INVALID_OPTION.
 */
export function fixed(messageBytes: number): Framing {
  return made(() => plainFixed(messageBytes));
}

/**
 * No framing: messages are chunks as they come, split and joined at will, and bytes are sent as they are given. A chunk
 * that is larger than the link's `maxMessageBytes` is handed out in pieces of that size.
 */
export function bytes(): Framing {
  return plainBytes();
}

function made(make: () => Framing): Framing {
  try {
    return make();
  } catch (error) {
    if (!(error instanceof FramingError) || error.option === undefined) throw error;
    const { name, value, allowed } = error.option;
    throw invalidOption(name, value, allowed);
  }
}
