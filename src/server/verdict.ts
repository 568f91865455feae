/** The answers that authenticate() may give, and their check. */
import type { CheckedVerdict } from "../core/server/server.ts";
import { withoutSecrets } from "../link/errors.ts";

/**
 * Lets a client in. `identity`: 1 to 1,024 characters; a session belongs to the identity that opened it. `claims`: see
 * `link.claims`.
 */
export interface Authenticated {
  identity: string;
  claims?: unknown;
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
export function toVerdict(answer: unknown): CheckedVerdict {
  if (answer === null) return { refused: "" };
  if (typeof answer === "string" && answer !== "") return { identity: kept(answer), claims: undefined };
  if (typeof answer === "object") {
    const { identity, claims, refused } = answer as Record<string, unknown>;
    if (typeof refused === "string" && identity === undefined) return { refused };
    if (typeof identity === "string" && identity !== "" && refused === undefined)
      return { identity: kept(identity), claims };
  }
  throw new TypeError(
    `it answered ${String(withoutSecrets(answer))}: neither an identity, { identity }, null nor { refused }`,
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
