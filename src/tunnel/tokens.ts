/** Who a client is: by a token that it has, by a certificate, or by both. */
import { createHash, timingSafeEqual } from "node:crypto";
import type { PeerCertificate } from "node:tls";
import { RespliceError } from "../index.ts";
import { printable } from "../telemetry/printable.ts";

/** A shorter one could be guessed. */
const LEAST_TOKEN_CHARACTERS = 16;
const MOST_TOKEN_CHARACTERS = 1_024;
/** A client's token is compared with all of them. */
const MOST_TOKENS = 1_000;
const MOST_IDENTITY_CHARACTERS = 256;

/** What is expected of clients. At least one of both, else everyone is let in without an identity. */
export interface Proofs {
  /** Undefined: no token is asked for. */
  readonly tokens: Tokens | undefined;
  /** Clients have a certificate that TLS has verified. */
  readonly certificates: boolean;
}

/** The tokens of all clients. They are kept as digests. */
export class Tokens {
  readonly #entries: ReadonlyArray<{ readonly identity: string; readonly digest: Buffer }>;

  /**
   * `text`: a line for each token, `IDENTITY TOKEN`; empty lines and those that begin with # are left out. An identity
   * may have several tokens, so that one can be replaced while clients still have it. `source`: where the text is from,
   * for the error. Throws INVALID_ARGUMENT, which has the number of the line and nothing that stands on it.
   */
  constructor(text: string, source: string) {
    const entries: Array<{ identity: string; digest: Buffer }> = [];
    const lineOf = new Map<string, number>();
    for (const [at, line] of text.split("\n").entries()) {
      const words = line.trim();
      if (words === "" || words.startsWith("#")) continue;
      const where = `${source}, line ${at + 1}`;
      const [identity = "", token = "", ...more] = words.split(/\s+/);
      if (token === "" || more.length > 0) throw wrong(`${where}: two words are expected, an identity and its token`);
      const problem = identityProblem(identity) ?? tokenProblem(token);
      if (problem !== undefined) throw wrong(`${where}: ${problem}`);
      const digest = digestOf(token);
      const before = lineOf.get(digest.toString("hex"));
      if (before !== undefined) throw wrong(`${where}: the token of line ${before} again`);
      lineOf.set(digest.toString("hex"), at + 1);
      entries.push({ identity, digest });
      if (entries.length > MOST_TOKENS) throw wrong(`${where}: more than ${MOST_TOKENS} tokens`);
    }
    if (entries.length === 0) throw wrong(`${source} has no token`);
    this.#entries = entries;
  }

  /** The identities that had a token before, and have it no more. */
  lostSince(before: Tokens): Set<string> {
    const kept = new Set(this.#entries.map(({ identity, digest }) => `${identity} ${digest.toString("hex")}`));
    const lost = before.#entries.filter(({ identity, digest }) => !kept.has(`${identity} ${digest.toString("hex")}`));
    return new Set(lost.map(({ identity }) => identity));
  }

  /** Whose token it is. How long it takes says nothing of the tokens. */
  identityOf(token: Uint8Array): string | undefined {
    const digest = digestOf(token);
    let found: string | undefined;
    for (const entry of this.#entries) {
      if (timingSafeEqual(entry.digest, digest)) found = entry.identity;
    }
    return found;
  }
}

/** The client's identity, or why it is refused, as a server's `authenticate` answers it. Where both are asked for, the token names the client. */
export function identify(
  { tokens, certificates }: Proofs,
  credentials: Uint8Array,
  certificate: PeerCertificate | undefined,
): string | { refused: string } {
  const name = commonName(certificate);
  if (certificates && name === undefined) return { refused: "the certificate has no common name, or several" };
  if (tokens === undefined) return name ?? { refused: "nothing says who this client is" };
  if (credentials.length === 0) return { refused: "a token is needed" };
  return tokens.identityOf(credentials) ?? { refused: "this token is not known" };
}

/** Compares with a secret in a time that says nothing of it. */
export function isSameSecret(given: Uint8Array | string, secret: string): boolean {
  return timingSafeEqual(digestOf(given), digestOf(secret));
}

function digestOf(text: Uint8Array | string): Buffer {
  return createHash("sha256").update(text).digest();
}

function commonName(certificate: PeerCertificate | undefined): string | undefined {
  // A certificate may have several common names, or none, whatever the types of node:tls say.
  const name: unknown = certificate?.subject?.CN;
  return typeof name === "string" && name !== "" && name.length <= MOST_IDENTITY_CHARACTERS ? name : undefined;
}

/** The signs that an entry of an allow-list has between an identity and what stands behind it. */
function identityProblem(identity: string): string | undefined {
  if (/[=:]/.test(identity)) return "an identity has neither = nor : in it";
  if (identity.length > MOST_IDENTITY_CHARACTERS)
    return `an identity has at most ${MOST_IDENTITY_CHARACTERS} characters`;
  return printable(identity, MOST_IDENTITY_CHARACTERS) === identity
    ? undefined
    : "an identity has no invisible characters";
}

function tokenProblem(token: string): string | undefined {
  if (token.length < LEAST_TOKEN_CHARACTERS) return `a token has at least ${LEAST_TOKEN_CHARACTERS} characters`;
  return token.length > MOST_TOKEN_CHARACTERS ? `a token has at most ${MOST_TOKEN_CHARACTERS} characters` : undefined;
}

function wrong(message: string): RespliceError {
  return new RespliceError("INVALID_ARGUMENT", message);
}
