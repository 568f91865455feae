/** What protects a link of the command: TLS, and a token that both ends have. */
import { createHash, timingSafeEqual } from "node:crypto";
import { readFile } from "node:fs/promises";
import type { OpenOptions, ServerSupervisorOptions } from "../../index.ts";
import type { PipeArguments, TlsFiles } from "../arguments.ts";

type Given = Pick<PipeArguments, "tls" | "tokenFile">;

/**
 * Files are read anew for each attempt: they may be renewed while the link stands. They are also read once before, so
 * that a wrong name is told at once.
 */
export async function clientProtection({ tls, tokenFile }: Given): Promise<Pick<OpenOptions, "tls" | "credentials">> {
  if (tls !== undefined) await clientTls(tls);
  if (tokenFile !== undefined) await readToken(tokenFile);
  return {
    ...(tls === undefined ? {} : { tls: () => clientTls(tls) }),
    ...(tokenFile === undefined ? {} : { credentials: () => readToken(tokenFile) }),
  };
}

/** With a `ca`, clients need a certificate of it. */
export async function serverProtection({
  tls,
  tokenFile,
}: Given): Promise<Pick<ServerSupervisorOptions, "tls" | "authenticate">> {
  const pems = tls === undefined ? undefined : await readPems(tls);
  const token = tokenFile === undefined ? undefined : await readToken(tokenFile);
  return {
    ...(pems === undefined ? {} : { tls: { ...pems, requestCert: pems.ca !== undefined } }),
    ...(token === undefined
      ? {}
      : { authenticate: ({ credentials }) => (isSame(credentials, token) ? "token" : { refused: "another token" }) }),
  };
}

async function clientTls(files: TlsFiles): Promise<Pems & { servername?: string }> {
  const pems = await readPems(files);
  return files.servername === undefined ? pems : { ...pems, servername: files.servername };
}

interface Pems {
  cert?: Buffer;
  key?: Buffer;
  ca?: Buffer;
}

async function readPems(files: TlsFiles): Promise<Pems> {
  const pems: Pems = {};
  for (const name of ["cert", "key", "ca"] as const) {
    const path = files[name];
    if (path !== undefined) pems[name] = await read(`--${name}`, path);
  }
  return pems;
}

async function readToken(path: string): Promise<string> {
  const token = (await read("--token-file", path)).toString().trim();
  if (token === "") throw new Error(`--token-file ${path} is empty`);
  return token;
}

async function read(option: string, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (error) {
    throw new Error(`${option} ${path} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`, {
      cause: error,
    });
  }
}

/** In a time that says nothing of the token. */
function isSame(given: Uint8Array | string, token: string): boolean {
  const [one, other] = [given, token].map((text) => createHash("sha256").update(text).digest()) as [Buffer, Buffer];
  return timingSafeEqual(one, other);
}
