/** Messages that are lines of text. */
import { DelimitedDecoder } from "./delimited.ts";
import { type FrameDecoder, type FrameLimits, type Framing, FramingError } from "./framing.ts";
import { boolean, group, oneOf } from "./framing-options.ts";
import { ended } from "./pieces.ts";

const LINE_FEED = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const DELIMITER: Buffer = Buffer.of(LINE_FEED);
type LineEnding = "\n" | "\r\n";
const ENDINGS: Readonly<Record<LineEnding, Buffer>> = {
  "\n": DELIMITER,
  "\r\n": Buffer.of(CARRIAGE_RETURN, LINE_FEED),
};

export interface LineOptions {
  /** What is sent behind each line. Both are understood. Default "\n". Most Internet protocols (SMTP, IRC) want "\r\n". */
  ending?: LineEnding;
  /**
   * Whether a last line counts that the peer has ended without a line end. Default false: it is not delivered, since it
   * may be a part of a line. Danger if true: a process that was killed ends its connections in the same way, so half a
   * line may be delivered as a whole one.
   */
  allowUnendedLast?: boolean;
}

/** See client/framings.ts, which exports it. Throws a FramingError. */
export function lines(options?: LineOptions): Framing {
  const given = group("lines", options, ["ending", "allowUnendedLast"]);
  const ending = oneOf<LineEnding>("lines.ending", given.ending ?? "\n", ["\n", "\r\n"]);
  return new LineFraming(ENDINGS[ending], boolean("lines.allowUnendedLast", given.allowUnendedLast ?? false));
}

class LineFraming implements Framing {
  readonly name = "lines";
  readonly #ending: Buffer;
  readonly #deliversRest: boolean;

  constructor(ending: Buffer, deliversRest: boolean) {
    this.#ending = ending;
    this.#deliversRest = deliversRest;
  }

  encode(message: Buffer): Buffer | readonly Buffer[] {
    const at = message.indexOf(LINE_FEED);
    if (at !== -1) throw new FramingError("INVALID_ARGUMENT", `the message has a line end, "\\n", at byte ${at}`);
    if (message.length > 0 && message[message.length - 1] === CARRIAGE_RETURN) {
      throw new FramingError(
        "INVALID_ARGUMENT",
        'the message ends with "\\r", which would become a part of its line end',
      );
    }
    return ended(message, this.#ending);
  }

  decoder(limits: FrameLimits): FrameDecoder {
    return new DelimitedDecoder(DELIMITER, limits, { trimsReturn: true, deliversRest: this.#deliversRest });
  }
}
