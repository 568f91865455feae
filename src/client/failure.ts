/**
 * Turns whatever made an attempt fail into a RespliceError, and says in its text where the attempt went, what was heard
 * there, and what may be wrong.
 */
import { X509Certificate } from "node:crypto";
import type { ConnectionOptions } from "node:tls";
import { codeOf } from "../core/foreign.ts";
import { mayBeFrames, strangerIn } from "../core/wire/strangers.ts";
import { type Endpoint, nameOf } from "../io/dial.ts";
import { DialError } from "../io/dial-error.ts";
import { opensslText } from "../io/tls-options.ts";
import { tlsWords } from "../io/tls-words.ts";
import { type ErrorCode, RespliceError } from "../link/errors.ts";
import { heardText } from "../link/heard.ts";
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
      "certificate-dates": "CERTIFICATE_INVALID",
      aborted: "TIMED_OUT",
    } as const;
    if (error.kind === "aborted" && error.cause instanceof RespliceError) return error.cause;
    // The message may quote the certificate, which the server wrote: escape it.
    return new RespliceError(codes[error.kind], printable(error.message, MOST_MESSAGE_CHARACTERS), {
      cause: error.cause,
      ...(error.kind === "certificate-dates" && { retryable: true }),
    });
  }
  const text = opensslText(error) ?? messageOf(error);
  return new RespliceError("CONNECT_FAILED", printable(text, MOST_MESSAGE_CHARACTERS), { cause: error });
}

/** What is known of an attempt that has failed. */
export interface Circumstances {
  /** Undefined: the application's own transport, or the attempt has come to no endpoint. */
  endpoint: Endpoint | undefined;
  /** The options of its TLS; false: it has none. */
  tls: ConnectionOptions | false;
  /** The first bytes that have come; empty: none. Undefined: there was no connection. */
  heard: { readonly first: Uint8Array } | undefined;
  /** The link has been connected, so its configuration was right then. */
  wasConnected: boolean;
  /** The server need not be a resplice server. */
  isPlain: boolean;
}

/** Nobody has refused the attempt: what was heard, or that nothing was, may show why it has failed. */
const UNEXPLAINED: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["CONNECT_FAILED", "CONNECTION_LOST", "TIMED_OUT"]);
/** The link itself has taken the attempt back, or the error is the application's own, which ends the link. */
const AS_IT_IS: ReadonlySet<ErrorCode> = new Set<ErrorCode>(["LINK_ENDED", "ABORTED", "LOGIN_REFUSED"]);

/** The error with a text that says where it happened, what was heard there, and what may be wrong. */
export function explained(error: RespliceError, at: Circumstances, wallMs: number): RespliceError {
  const { code, message, cause, retryable, retryAfterMs, peerCode, delivery, option } = error;
  if (AS_IT_IS.has(code)) return error;
  const name = at.endpoint === undefined ? "" : printable(nameOf(at.endpoint));
  // The texts of some errors of Node and of the dial name it.
  const where = message.includes(name) ? "" : `${name}: `;
  const why = UNEXPLAINED.has(code) ? whatMayBeWrong(error, at, wallMs) : undefined;
  if (where === "" && why === undefined) return error;
  return new RespliceError(code, `${where}${message}${why === undefined ? "" : `; ${why}`}`, {
    cause,
    retryable,
    ...(retryAfterMs !== undefined && { retryAfterMs }),
    ...(peerCode !== undefined && { peerCode }),
    ...(delivery !== undefined && { delivery }),
    ...(option !== undefined && { option }),
  });
}

function whatMayBeWrong(error: RespliceError, at: Circumstances, wallMs: number): string | undefined {
  const { heard, tls } = at;
  if (heard !== undefined && heard.first.length > 0) return whatWasHeard(heard.first, at);
  // With TLS 1.3 a server refuses the client's certificate when the client takes the handshake for done.
  const isSecured = tls !== false && heard !== undefined;
  const ofTls = isSecured ? tlsWords(error.message) : undefined;
  if (ofTls !== undefined) return ofTls;
  const isRefused = tls !== false && (isSecured || isReset(error.cause));
  return (isRefused ? outOfDate(tls, wallMs) : undefined) ?? guess(error.code, isRefused, at);
}

function whatWasHeard(first: Uint8Array, { isPlain, tls }: Circumstances): string | undefined {
  if (!isPlain && mayBeFrames(first)) return undefined;
  const advice = tls === false && strangerIn(first) === "TLS" ? ": the option `tls` is to be set" : "";
  const text = heardText(first, { isPlain });
  return text === undefined ? undefined : `${text}${advice}`;
}

/** The error of a connection that the server has closed, with TLS 1.2 also for the client's certificate. */
function isReset(cause: unknown): boolean {
  return codeOf(cause) === "ECONNRESET";
}

/** Nothing was heard. `isRefused`: the server may have looked at the client's certificate. */
function guess(code: ErrorCode, isRefused: boolean, at: Circumstances): string | undefined {
  const { endpoint, heard, tls, wasConnected } = at;
  if (endpoint === undefined || wasConnected) return undefined;
  if (isRefused && tls !== false && tls.cert !== undefined)
    return "the server may refuse this client's certificate (`tls.cert`): its log may say why";
  if (heard === undefined) return undefined;
  if (code === "TIMED_OUT") return "nothing was heard: another server may have this port";
  if (code !== "CONNECTION_LOST") return undefined;
  const other = tls === false ? "the server may speak TLS (option `tls`)" : "the server's log may say why";
  return `nothing was heard before: ${other}, or another server may have this port`;
}

/** What is wrong with the dates of the certificate that the client shows, by its own clock. */
function outOfDate({ cert }: ConnectionOptions, wallMs: number): string | undefined {
  if (typeof cert !== "string" && !Buffer.isBuffer(cert)) return undefined;
  const own = "this client's own certificate (`tls.cert`)";
  const { fromMs, untilMs } = datesOf(cert);
  if (untilMs < wallMs) return `${own} has expired`;
  return fromMs > wallMs ? `${own} is not valid yet` : undefined;
}

/** NaN where the text is no certificate, and for a certificate without end. */
function datesOf(cert: string | Buffer): { fromMs: number; untilMs: number } {
  try {
    const { validFrom, validTo } = new X509Certificate(cert);
    return { fromMs: Date.parse(validFrom), untilMs: Date.parse(validTo) };
  } catch {
    return { fromMs: NaN, untilMs: NaN };
  }
}
