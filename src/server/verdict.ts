/** The answers that authenticate() may give, and their check. */
import type { CheckedVerdict } from "../core/server/server.ts";
import { withoutSecrets } from "../link/errors.ts";

/**
 * Lets a client in. `identity`: 1 to 1,024 characters; a session belongs to the identity that opened it. `claims`: see
 * `link.claims`.
 */
export interface Authenticated {
  /** Who the client is: 1 to 1,024 characters. */
  identity: string;
  /** Anything that the handler is to know of the client: see `link.claims`. */
  claims?: unknown;
  /**
   * When the credentials expire, by the wall clock: milliseconds since 1970, as `Date.now()` has them; a JSON Web Token
   * says so in seconds. The server gives the connection up then, and keeps the session: the client dials at once, and
   * `authenticate()` is asked about what its function `credentials` gives for that attempt. So that not all clients
   * come at the same moment, it may be later by a tenth of the time that was left, and by 30 s at most. A time that has
   * passed already is no answer: the client tries again later. Default: they do not expire while the connection stands.
   */
  expiresAtMs?: number;
}

/** The verdict on a connection, besides the identity. The core carries it as the claims. */
export interface Admitted {
  readonly claims: unknown;
  /** Infinity: the credentials do not expire. */
  readonly expiresAtMs: number;
}

/**
 * An identity (1 to 1,024 characters) lets the client in. null, and `refused` with a reason, end its link for good: the
 * client's error has the code AUTHENTICATION_REFUSED, and shows as many characters of the reason as fit into 256 bytes
 * of UTF-8.
 */
export type Verdict = string | Authenticated | { refused: string } | null;

/** Bounded, since identities are kept: one for each session, and those of recent clients. */
const MOST_IDENTITY_LENGTH = 1_024;

/** Throws for any other answer: undefined, from a forgotten `return`, is neither a yes nor a no. */
export function toVerdict(answer: unknown, wallMs: number): CheckedVerdict {
  if (answer === null) return { refused: "" };
  if (typeof answer === "string" && answer !== "") return admitted(answer, undefined, Infinity);
  if (typeof answer === "object") {
    const { identity, claims, refused, expiresAtMs = Infinity } = answer as Record<string, unknown>;
    if (typeof refused === "string" && identity === undefined) return { refused };
    if (typeof identity === "string" && identity !== "" && refused === undefined)
      return admitted(identity, claims, future(expiresAtMs, wallMs));
  }
  throw new TypeError(
    `it answered ${String(withoutSecrets(answer))}: neither an identity, { identity }, null nor { refused }`,
  );
}

function admitted(identity: string, claims: unknown, expiresAtMs: number): CheckedVerdict {
  const given: Admitted = { claims, expiresAtMs };
  return { identity: kept(identity), claims: given };
}

/** Seconds since 1970, as a token has them, are always in the past. */
function future(expiresAtMs: unknown, wallMs: number): number {
  if (typeof expiresAtMs === "number" && expiresAtMs > wallMs) return expiresAtMs;
  throw new RangeError(
    `it answered expiresAtMs: ${String(withoutSecrets(expiresAtMs))}, no time to come in milliseconds since 1970`,
  );
}

/**
 * A copy of the identity. A string that split() cut out of the credentials would keep all of the credentials in memory.
 */
function kept(identity: string): string {
  const { length } = identity;
  if (length > MOST_IDENTITY_LENGTH) {
    throw new RangeError(`it answered an identity of ${length} characters: at most ${MOST_IDENTITY_LENGTH}`);
  }
  return Buffer.from(identity, "utf16le").toString("utf16le");
}
