/** Turns whatever made an attempt fail, before a server could refuse it, into a RespliceError. */
import { DialError } from "../io/dial-error.ts";
import { opensslText } from "../io/tls-options.ts";
import { RespliceError } from "../link/errors.ts";
import { MOST_MESSAGE_CHARACTERS, printable } from "../telemetry/printable.ts";
import { messageOf } from "../telemetry/thrown.ts";

/** p-retry must see only RespliceErrors: it gives up at a TypeError, and does not know which errors may be retried. */
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
    // The message may quote the certificate, which the server wrote: escape it.
    return new RespliceError(codes[error.kind], printable(error.message, MOST_MESSAGE_CHARACTERS), {
      cause: error.cause,
    });
  }
  const text = opensslText(error) ?? messageOf(error);
  return new RespliceError("CONNECT_FAILED", printable(text, MOST_MESSAGE_CHARACTERS), { cause: error });
}
