/** What protects a link of the command: TLS, and a token that both ends have. */
import type { OpenOptions, ServerSupervisorOptions } from "../../index.ts";
import { isSameSecret } from "../../tunnel/tokens.ts";
import type { PipeArguments } from "../arguments.ts";
import { type Pems, readPems, readToken, type TlsFiles } from "../files.ts";

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
  const pems = tls === undefined ? undefined : await readPems(tls, "--");
  const token = tokenFile === undefined ? undefined : await readToken(tokenFile);
  return {
    ...(pems === undefined ? {} : { tls: { ...pems, requestCert: pems.ca !== undefined } }),
    ...(token === undefined
      ? {}
      : {
          authenticate: ({ credentials }) =>
            isSameSecret(credentials, token) ? "token" : { refused: "another token" },
        }),
  };
}

async function clientTls(files: TlsFiles): Promise<Pems & { servername?: string }> {
  const pems = await readPems(files, "--");
  return files.servername === undefined ? pems : { ...pems, servername: files.servername };
}
