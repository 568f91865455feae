/** Why an attempt to connect failed, before there was anybody to refuse it. */
import { DialError } from "../io/dial.ts";
import { RespliceError } from "../link/errors.ts";
import { MOST_MESSAGE_CHARACTERS, printable } from "../telemetry/printable.ts";
import { messageOf } from "../telemetry/thrown.ts";

/** Every failure of an attempt is one of ours: p-retry gives up at a TypeError, and knows nothing of what may be retried. */
export function asError(error: unknown): RespliceError {
  if (error instanceof RespliceError) return error;
  if (error instanceof DialError) {
    const codes = {
      failed: "CONNECT_FAILED",
      "timed-out": "TIMED_OUT",
      certificate: "CERTIFICATE_INVALID",
      aborted: "TIMED_OUT",
    } as const;
    if (error.kind === "aborted" && error.cause instanceof RespliceError) return error.cause;
    // What a certificate says of itself is the server's to write.
    return new RespliceError(codes[error.kind], printable(error.message, MOST_MESSAGE_CHARACTERS), {
      cause: error.cause,
    });
  }
  return new RespliceError("CONNECT_FAILED", printable(messageOf(error), MOST_MESSAGE_CHARACTERS), { cause: error });
}
