/** The package's one error class, and how the core's outcomes and faults become errors. */
import { nearest } from "./nearest.ts";
import type { RefuseCode } from "../core/wire/frames.ts";
import type { AttemptFailed, Outcome } from "../core/session/link-events.ts";
import { isBytes } from "../core/foreign.ts";
import { printable } from "../telemetry/printable.ts";

/** What went wrong. docs/delivery.md says of each code what it means and what to do. */
export type ErrorCode =
  // the call was wrong, or came at the wrong moment
  | "INVALID_OPTION"
  | "INVALID_ARGUMENT"
  | "INVALID_STATE"
  | "NOT_SUPPORTED"
  | "CONSUMER_BUSY"
  | "MESSAGE_TOO_LARGE"
  | "QUEUE_FULL"
  | "NOT_CONNECTED"
  | "LINK_ENDED"
  | "ABORTED"
  // a message or a link is lost
  | "DROPPED"
  | "SESSION_LOST"
  | "SESSION_EXPIRED"
  | "CLOSE_TIMEOUT"
  | "TAKEN_OVER"
  | "PEER_ABORTED"
  | "HANDLER_FAILED"
  | "GAVE_UP"
  // an attempt failed, and is retried
  | "CONNECT_FAILED"
  | "CONNECTION_LOST"
  | "TIMED_OUT"
  | "OVERLOADED"
  | "AUTHENTICATION_UNAVAILABLE"
  // an attempt failed for good
  | "AUTHENTICATION_REFUSED"
  | "LOGIN_REFUSED"
  | "CERTIFICATE_INVALID"
  | "PROTOCOL_MISMATCH"
  | "PROTOCOL_ERROR"
  | "LISTEN_FAILED";

/**
 * What is known of a message. "not-sent": it was never written on any connection. "maybe": it was written, and nobody
 * can say whether the peer's application has it. "delivered": the peer has accepted it.
 */
export type Delivery = "not-sent" | "maybe" | "delivered";

const RETRYABLE: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "QUEUE_FULL",
  "NOT_CONNECTED",
  "CONNECT_FAILED",
  "CONNECTION_LOST",
  "TIMED_OUT",
  "OVERLOADED",
  "AUTHENTICATION_UNAVAILABLE",
]);

interface Details {
  cause?: unknown;
  retryable?: boolean;
  retryAfterMs?: number;
  delivery?: Delivery;
  option?: { name: string; value: unknown; allowed: string };
  peerCode?: string;
}

/**
 * The only class the package throws. With ABORTED its `name` is "AbortError", as in Node.
 *
 * @example
 * ```ts
 * try {
 *   await link.send("hello", { until: "accepted" });
 * } catch (error) {
 *   if (!(error instanceof RespliceError) || error.code !== "SESSION_LOST") throw error;
 *   console.log(error.delivery); // "maybe"
 * }
 * ```
 */
export class RespliceError extends Error {
  /** What went wrong. The codes are stable; the text of `message` is not. */
  readonly code: ErrorCode;
  /** Trying again may succeed. Links retry by themselves: an error that ended a link is not retryable. */
  readonly retryable: boolean;
  /** How far the message came. "not-sent": never written on any connection. "delivered": accepted by the peer. */
  readonly delivery: Delivery | undefined;
  /** The delay, in milliseconds, that a refusing server asked for. */
  readonly retryAfterMs: number | undefined;
  /**
   * INVALID_OPTION: the option's path, the given value, and the values allowed. A given string or object may be a
   * secret, so `value` only describes it ("a string of length 12"), unless the option takes a name.
   */
  readonly option: { name: string; value: unknown; allowed: string } | undefined;
  /**
   * PEER_ABORTED: the code that the peer gave to abort(). AUTHENTICATION_REFUSED: the reason, if the server's
   * authenticate() gave one. Here it is unchanged; in `message` it is escaped.
   */
  readonly peerCode: string | undefined;

  /**
   * For functions of the options that resplice calls, such as login(): `new RespliceError("LOGIN_REFUSED", "not let in")`.
   * `details`: `cause`, what was caught; `retryable`, where it is not what the code says.
   */
  constructor(code: ErrorCode, message: string, details: Details = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = code === "ABORTED" ? "AbortError" : "RespliceError";
    this.code = code;
    this.retryable = details.retryable ?? RETRYABLE.has(code);
    this.delivery = details.delivery;
    this.retryAfterMs = details.retryAfterMs;
    this.option = details.option;
    this.peerCode = details.peerCode;
  }
}

/** An INVALID_OPTION error. A given string or object may be or hold a secret, so it is only described. */
export function invalidOption(name: string, given: unknown, allowed: string, delivery?: Delivery): RespliceError {
  const value = withoutSecrets(given);
  return optionError(name, value, shownValue(value), allowed, delivery);
}

/** As invalidOption(), of an option that is a name or a number: a string is shown as it was given. */
export function invalidWord(name: string, given: unknown, allowed: string, delivery?: Delivery): RespliceError {
  if (typeof given !== "string") return invalidOption(name, given, allowed, delivery);
  return optionError(name, given, JSON.stringify(printable(given, MOST_NAME_CHARACTERS)), allowed, delivery);
}

/** An INVALID_OPTION error for a name that is none of `known`: it says so, and which of them is nearly the same. */
export function unknownOption(
  prefix: string,
  name: string,
  given: unknown,
  known: readonly string[],
  delivery?: Delivery,
): RespliceError {
  const shownName = printable(prefix + name, MOST_NAME_CHARACTERS);
  const meant = nearest(name, known);
  const hint = meant === undefined ? "" : ` (did you mean ${prefix}${meant}?)`;
  const allowed = known.join(", ");
  const option = { name: shownName, value: withoutSecrets(given), allowed };
  return new RespliceError("INVALID_OPTION", `there is no option ${shownName}${hint}; allowed: ${allowed}`, {
    option,
    ...(delivery && { delivery }),
  });
}

/** An INVALID_ARGUMENT error that says what was given instead of `allowed`, without showing a secret. */
export function invalidArgument(what: string, given: unknown, delivery?: Delivery): RespliceError {
  const message = `${what}, and not ${shownValue(withoutSecrets(given))}`;
  return new RespliceError("INVALID_ARGUMENT", message, delivery && { delivery });
}

/** Of a value that `withoutSecrets()` has answered. */
function shownValue(value: unknown): string {
  return typeof value === "bigint" ? `${value}n` : String(value);
}

const MOST_NAME_CHARACTERS = 100;
/** The longest reason that fits into a frame, and some escapes. */
const MOST_REASON = 300;
/** Such a reason, with words of our own before it. */
const MOST_DETAIL = 500;

function optionError(
  name: string,
  value: unknown,
  shown: string,
  allowed: string,
  delivery: Delivery | undefined,
): RespliceError {
  // The name may be that of an option that does not exist: it can be any text.
  const option = { name: printable(name, MOST_NAME_CHARACTERS), value, allowed };
  const message = `option ${option.name} is ${shown}; allowed: ${allowed}`;
  return new RespliceError("INVALID_OPTION", message, { option, ...(delivery && { delivery }) });
}

/** Describes a value that may be or hold a secret, in place of the value. */
export function withoutSecrets(given: unknown): unknown {
  switch (typeof given) {
    case "string":
      return given === "" ? "an empty string" : `a string of length ${given.length}`;
    case "function":
      return "a function";
    case "symbol":
      return "a symbol";
    case "object":
      if (given === null) return null;
      if (Array.isArray(given)) return `an array of length ${given.length}`;
      return isBytes(given) ? `${given.length} bytes` : "an object";
    default:
      return given;
  }
}

export function aborted(signal: AbortSignal, delivery?: Delivery): RespliceError {
  const details: Details = { cause: signal.reason };
  if (delivery !== undefined) details.delivery = delivery;
  return new RespliceError("ABORTED", "the wait was aborted", details);
}

/**
 * The error that ended a link; undefined if it closed in order. `handlerError` is the error that its own handler
 * threw.
 */
export function outcomeError(
  outcome: Outcome,
  detail: string,
  peerCode: string,
  handlerError?: unknown,
): RespliceError | undefined {
  switch (outcome) {
    case "closed":
    case "aborted":
      return undefined;
    case "session-lost":
      return new RespliceError("SESSION_LOST", `the session is lost: ${detail}`);
    case "expired":
      return new RespliceError("SESSION_EXPIRED", `the session has expired: ${detail}`);
    case "taken-over":
      return new RespliceError("TAKEN_OVER", detail);
    case "authentication-refused":
      if (peerCode === "") return new RespliceError("AUTHENTICATION_REFUSED", detail);
      return new RespliceError(
        "AUTHENTICATION_REFUSED",
        `the server refused the credentials: ${printable(peerCode, MOST_REASON)}`,
        {
          peerCode,
        },
      );
    case "mismatch":
      // The server's words are at its end.
      return new RespliceError("PROTOCOL_MISMATCH", printable(detail, MOST_DETAIL));
    case "protocol-error":
      // A RESET gives no detail.
      return new RespliceError(
        "PROTOCOL_ERROR",
        detail === "" ? "the peer says that this end broke the protocol" : `the peer broke the protocol: ${detail}`,
      );
    case "peer-aborted":
      return new RespliceError(
        "PEER_ABORTED",
        `the peer aborted the link${peerCode === "" ? "" : `: ${printable(peerCode)}`}`,
        { peerCode },
      );
    case "peer-handler-failed":
      return new RespliceError("SESSION_LOST", "the peer's handler failed", {
        cause: new RespliceError("HANDLER_FAILED", "the peer's handler failed"),
      });
    case "peer-close-timeout":
      return new RespliceError("PEER_ABORTED", "the peer closed the link before everything was accepted", {
        peerCode: "close-timeout",
      });
    case "handler-failed":
      return new RespliceError("HANDLER_FAILED", "the handler of this link failed", { cause: handlerError });
    case "close-timeout":
      return new RespliceError("CLOSE_TIMEOUT", "close() ran out of time before the peer had accepted everything");
    case "gave-up":
      return new RespliceError("GAVE_UP", "no more attempts");
    case "connection-lost":
      // The loss ends the link: nothing is tried again.
      return new RespliceError("CONNECTION_LOST", `the connection is lost: ${printable(detail, MOST_REASON)}`, {
        retryable: false,
      });
  }
}

/** The error for a message whose session was replaced before the message was delivered. */
export function replacedError(reason: "session-lost" | "too-large" | "moved", delivery: Delivery): RespliceError {
  return reason === "too-large"
    ? new RespliceError("MESSAGE_TOO_LARGE", "larger than the peer takes", { delivery })
    : new RespliceError("SESSION_LOST", "the session is lost", { delivery });
}

/** The error that ended a link, as a call is told it that waits for a message. */
export function ofMessage({ code, message, cause }: RespliceError, delivery: Delivery): RespliceError {
  return new RespliceError(code, message, { cause, delivery });
}

/** The error for a message that was written on a connection that is lost, or is for that connection alone. */
export function connectionLostError(delivery: Delivery): RespliceError {
  const text =
    delivery === "not-sent"
      ? "the connection that the message is for is gone"
      : "the connection was lost before it was known that the message arrived";
  return new RespliceError("CONNECTION_LOST", text, { delivery });
}

const REFUSALS: Readonly<Partial<Record<RefuseCode, ErrorCode>>> = {
  "taken-over": "TAKEN_OVER",
  authentication: "AUTHENTICATION_REFUSED",
  mismatch: "PROTOCOL_MISMATCH",
  "session-lost": "SESSION_LOST",
  overloaded: "OVERLOADED",
  draining: "OVERLOADED",
  "authentication-unavailable": "AUTHENTICATION_UNAVAILABLE",
};

/**
 * The error of a failed attempt. `reason` is for people to read: a transport that the application made may put any
 * text there.
 */
export function attemptError({
  reason,
  refused,
  retryAfterMs,
  fault,
}: Pick<AttemptFailed, "reason" | "refused" | "retryAfterMs" | "fault">): RespliceError {
  if (fault !== undefined) {
    return new RespliceError("CONNECT_FAILED", `the server does not speak the protocol: ${fault.detail}`);
  }
  const code = (refused && REFUSALS[refused]) ?? "CONNECTION_LOST";
  return new RespliceError(code, `the attempt failed: ${printable(reason)}`, retryAfterMs > 0 ? { retryAfterMs } : {});
}
