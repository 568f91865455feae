/** What protects the ends of a tunnel: TLS, tokens, certificates of clients, and the allow-list. */
import type { OpenOptions } from "../../index.ts";
import { tlsProblem } from "../../io/tls-options.ts";
import type { AllowList } from "../../tunnel/allow.ts";
import { type Proofs, Tokens } from "../../tunnel/tokens.ts";
import { type Pems, read, readPems, readToken, type TlsFiles } from "../files.ts";
import type { CheckArguments, FarArguments, NearArguments, SecretSource } from "./types.ts";

/** What a far end has read. */
export interface FarProtection {
  /** Undefined: there is no TLS. */
  readonly pems: Pems | undefined;
  readonly proofs: Proofs;
  readonly allow: AllowList;
}

/** What a near end has read. */
export interface NearProtection {
  /** Undefined: there is no TLS. */
  readonly tls: (Pems & { servername?: string }) | undefined;
  /** Undefined: none is sent. */
  readonly token: string | undefined;
}

/** Rejects with the file that is no use. */
export async function readFar(
  { tls, tokens, allow }: Pick<FarArguments, "tls" | "tokens" | "allow">,
  before?: FarProtection,
): Promise<FarProtection> {
  const pems = await usablePems(tls);
  const proofs = { tokens: await tokensIn(tokens), certificates: pems?.ca !== undefined };
  if (before !== undefined) {
    checkSame("TLS", before.pems, pems);
    checkSame("tokens", before.proofs.tokens, proofs.tokens);
    checkSame("certificates of clients", before.pems?.ca, pems?.ca);
  }
  return { pems, proofs, allow };
}

/** Rejects with the file that is no use. */
export async function readNear(
  { tls, token }: Pick<NearArguments | CheckArguments, "tls" | "token">,
  before?: NearProtection,
): Promise<NearProtection> {
  const pems = await usablePems(tls);
  const servername = tls?.servername;
  const now = {
    tls: pems && (servername === undefined ? pems : { ...pems, servername }),
    token: await tokenIn(token),
  };
  if (before !== undefined) {
    checkSame("TLS", before.tls, now.tls);
    checkSame("a token", before.token, now.token);
  }
  return now;
}

/** The options of a near end's links. What is read again is used for each attempt from then on. */
export function clientOptions(files: { readonly state: NearProtection }): Pick<OpenOptions, "tls" | "credentials"> {
  const { tls, token } = files.state;
  return {
    ...(tls && { tls: () => files.state.tls ?? tls }),
    ...(token !== undefined && { credentials: () => files.state.token ?? token }),
  };
}

/** A server and its links are made with these or without: reading files again does not change that. */
function checkSame(what: string, before: unknown, now: unknown): void {
  if ((before === undefined) === (now === undefined)) return;
  throw new Error(`only a restart begins or ends to use ${what}`);
}

async function usablePems(files: TlsFiles | undefined): Promise<Pems | undefined> {
  if (files === undefined) return undefined;
  const pems = await readPems(files, "--tls-");
  const [where, , allowed] = tlsProblem("", pems) ?? [];
  if (where === undefined) return pems;
  const name = where.replace(".", "");
  const isOne = name === "cert" || name === "key" || name === "ca";
  if (isOne) throw new Error(`--tls-${name} ${files[name] ?? ""} is not ${allowed ?? ""}`);
  throw new Error(
    `--tls-cert ${files.cert ?? ""} and --tls-key ${files.key ?? ""} cannot be used: not ${allowed ?? ""}`,
  );
}

async function tokensIn(source: SecretSource | undefined): Promise<Tokens | undefined> {
  if (source === undefined) return undefined;
  if ("variable" in source) return new Tokens(process.env[source.variable] ?? "", source.variable);
  return new Tokens(String(await read("--tokens", source.file)), `--tokens ${source.file}`);
}

async function tokenIn(source: SecretSource | undefined): Promise<string | undefined> {
  if (source === undefined) return undefined;
  const [token, name] =
    "variable" in source
      ? [(process.env[source.variable] ?? "").trim(), source.variable]
      : [await readToken(source.file), `--token-file ${source.file}`];
  // The far end has a file with an identity before each token. Here it is the token alone.
  if (/\s/.test(token)) throw new Error(`${name} has more than one word: a near end is given its token alone`);
  return token;
}
