/** Messages that are lines of text. */
import { DelimitedDecoder } from "./delimited.ts";
import { type FrameDecoder, type FrameLimits, type Framing, SuffixFraming } from "./framing.ts";
import { RespliceError } from "../link/errors.ts";
import { boolean, group, oneOf } from "../link/check.ts";

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const DELIMITER: Buffer = Buffer.of(LINE_FEED);
type LineEnding = "\n" | "\r\n";
const ENDINGS: Readonly<Record<LineEnding, Buffer>> = {
  "\n": DELIMITER,
  "\r\n": Buffer.of(CARRIAGE_RETURN, LINE_FEED),
};

/** The options of lines(). */
export interface LineOptions {
  /**
   * The bytes that are sent behind each line. Both are understood. Default "\n". Most Internet protocols (SMTP, IRC)
   * want "\r\n".
   */
  ending?: LineEnding;
  /**
   * Whether a last line counts that the peer has ended without a line end. Default false: it is not delivered, since it
   * may be a part of a line. Danger if true: a process that was killed ends its connections in the same way, so half a
   * line may be delivered as a whole one.
   */
  allowUnendedLast?: boolean;
}

/**
 * Messages are lines, without their ends; "\n" and "\r\n" both end one. An empty line is an empty message. Bytes are
 * not decoded: any encoding will do in which no other character holds the byte 0x0A, such as UTF-8.
 *
 * A message that holds "\n", or ends with "\r", is not one line: sending it rejects with INVALID_ARGUMENT. Any other
 * "\r" is sent as it is. Danger: some servers take it for a line end, so text of others may hold commands.
 *
 * A message that is received keeps the chunk in memory that it came in, 64 KiB from a socket: copy what is kept for
 * long.
 *
 * Throws INVALID_OPTION.
 *
 * @example
 * ```ts
 * plain({ framing: lines({ ending: "\r\n" }) });
 * ```
 */
export function lines(options?: LineOptions): Framing {
  const given = group("lines", options, ["ending", "allowUnendedLast"]);
  const ending = oneOf<LineEnding>("lines.ending", given.ending ?? "\n", ["\n", "\r\n"]);
  return new LineFraming(ENDINGS[ending], boolean("lines.allowUnendedLast", given.allowUnendedLast ?? false));
}

class LineFraming extends SuffixFraming {
  readonly name = "lines";
  readonly #deliversRest: boolean;

  constructor(ending: Buffer, deliversRest: boolean) {
    super(ending);
    this.#deliversRest = deliversRest;
  }

  check(message: Buffer): void {
    const at = message.indexOf(LINE_FEED);
    if (at !== -1) throw new RespliceError("INVALID_ARGUMENT", `the message has a line end, "\\n", at byte ${at}`);
    if (message.length > 0 && message[message.length - 1] === CARRIAGE_RETURN) {
      throw new RespliceError(
        "INVALID_ARGUMENT",
        'the message ends with "\\r", which would become a part of its line end',
      );
    }
  }

  decoder(limits: FrameLimits): FrameDecoder {
    return new DelimitedDecoder(DELIMITER, limits, { trimsReturn: true, deliversRest: this.#deliversRest });
  }
}
