/** Options of node:tls as applications give them, and what node:tls says of them. */
import type { ConnectionOptions, SecureContextOptions, TlsOptions } from "node:tls";
import { types } from "node:util";

/**
 * Whether they can be options at all. Bytes and arrays, of a PEM say, and a promise that nobody has awaited are objects as
 * well, in which node:tls would find nothing, and go on with its defaults: without their `ca`, it would trust all that are public.
 */
export function isTlsOptions(given: unknown): given is object {
  if (typeof given !== "object" || given === null || "then" in given) return false;
  return !Array.isArray(given) && !ArrayBuffer.isView(given) && !types.isAnyArrayBuffer(given);
}

/** What is undefined was not given: a name to check the certificate against, say, must not be replaced by nothing. */
export function whatIsGiven<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

/**
 * A server's, whose SNICallback may throw or reject: node:tls would let whoever connects end the process with a name that
 * it does not know. To answer with no context takes the server's own.
 */
export function withContainedSni(options: TlsOptions): TlsOptions {
  const { SNICallback } = options;
  if (typeof SNICallback !== "function") return options;
  return {
    ...options,
    SNICallback(name, answer) {
      let isAnswered = false;
      const once: typeof answer = (error, context) => {
        if (isAnswered) return;
        isAnswered = true;
        answer(error, context);
      };
      const ask = async (): Promise<unknown> => SNICallback.call(this, name, once);
      ask().catch((error: unknown) => once(asError(error, "SNICallback failed")));
    },
  };
}

/** A client's, whose checkServerIdentity may throw, or give what is no verdict: then the certificate is not the right one. */
export function withContainedCheck(options: ConnectionOptions): ConnectionOptions {
  const { checkServerIdentity } = options;
  if (typeof checkServerIdentity !== "function") return options;
  return {
    ...options,
    checkServerIdentity(host, certificate) {
      try {
        const verdict: unknown = checkServerIdentity(host, certificate);
        if (verdict === undefined || verdict === null) return undefined;
        // Of a promise there may be a rejection that nobody else hears of.
        Promise.resolve(verdict).catch(() => {});
        return asError(verdict, "checkServerIdentity gave neither undefined nor an Error");
      } catch (error) {
        return asError(error, "checkServerIdentity failed");
      }
    },
  };
}

function asError(given: unknown, otherwise: string): Error {
  return given instanceof Error ? given : new Error(otherwise);
}

/**
 * The options of a secure context that is renewed. node:tls would take what is not given from its defaults, and so trust
 * every public authority where the one before had a `ca` of its own.
 */
export function renewed(before: SecureContextOptions, changes: SecureContextOptions): SecureContextOptions {
  const kept = { ...before };
  // A key comes instead of the one before, whichever way that was given.
  if ("pfx" in changes || "key" in changes) for (const name of KEY) delete kept[name];
  if ("pfx" in changes) delete kept.cert;
  return { ...kept, ...changes };
}

const KEY = ["key", "pfx", "passphrase"] as const;

/** Node's errors about the kind of a value quote the value, which may be a key or a passphrase; those of OpenSSL never do. */
export function quotesValues(error: unknown): boolean {
  return error instanceof TypeError || error instanceof RangeError;
}

/** What went wrong, without the values of options. */
export function tlsRefusal(error: unknown): string {
  if (!(error instanceof Error)) return "an error that is none";
  const code = "code" in error ? String(error.code) : error.name;
  // Of a name with several addresses only the code says something.
  if (!quotesValues(error)) return error.message === "" ? code : error.message;
  return code === "ERR_INVALID_ARG_TYPE" ? (error.message.split(" Received ")[0] ?? code) : code;
}
