/** Options of node:tls as applications give them, and the errors of node:tls about them. */
import type { ConnectionOptions, SecureContextOptions, TlsOptions } from "node:tls";
import { types } from "node:util";
import { isError } from "../core/foreign.ts";

/**
 * Whether `given` can be TLS options at all. Bytes and arrays (a PEM, for example) and a promise that was not awaited
 * are objects too. node:tls would find no options in them and use its defaults: without their `ca` it would trust all
 * public authorities.
 */
export function isTlsOptions(given: unknown): given is object {
  if (typeof given !== "object" || given === null || "then" in given) return false;
  return !Array.isArray(given) && !ArrayBuffer.isView(given) && !types.isAnyArrayBuffer(given);
}

/** Leaves out undefined options: an undefined `servername`, for example, must not replace the name to check against. */
export function whatIsGiven<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

/**
 * A server's options with a contained SNICallback, which may throw or reject. Without that, any client could end the
 * process with a name that the callback does not know. An answer without a context makes node:tls use the server's
 * own.
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

/**
 * A client's options with a contained checkServerIdentity: if it throws, or answers no verdict, the certificate is
 * refused.
 */
export function withContainedCheck(options: ConnectionOptions): ConnectionOptions {
  const { checkServerIdentity } = options;
  if (typeof checkServerIdentity !== "function") return options;
  return {
    ...options,
    checkServerIdentity(host, certificate) {
      try {
        const verdict: unknown = checkServerIdentity(host, certificate);
        if (verdict === undefined || verdict === null) return undefined;
        // A verdict that is a promise may reject, and nobody else handles that.
        Promise.resolve(verdict).catch(() => {});
        return asError(verdict, "checkServerIdentity gave neither undefined nor an Error");
      } catch (error) {
        return asError(error, "checkServerIdentity failed");
      }
    },
  };
}

function asError(given: unknown, otherwise: string): Error {
  return isError(given) ? given : new Error(otherwise);
}

/**
 * The options of a renewed secure context: those of the one before, with changes. node:tls would use its defaults for
 * options that are not given, and so trust every public authority where the context before had a `ca` of its own.
 */
export function renewed(before: SecureContextOptions, changes: SecureContextOptions): SecureContextOptions {
  const kept = { ...before };
  // A new key replaces the one before, in whichever form that was given.
  if ("pfx" in changes || "key" in changes) for (const name of KEY) delete kept[name];
  if ("pfx" in changes) delete kept.cert;
  return { ...kept, ...changes };
}

const KEY = ["key", "pfx", "passphrase"] as const;

/**
 * Node's errors about the type of a value quote that value, which may be a key or a passphrase; OpenSSL's errors never
 * do.
 */
export function quotesValues(error: unknown): boolean {
  if (error instanceof TypeError || error instanceof RangeError) return true;
  // In the realm of a test runner Node's own errors are of another.
  return isError(error) && (error.name === "TypeError" || error.name === "RangeError");
}

/** The text of a TLS error, without the values of options. */
export function tlsRefusal(error: unknown): string {
  if (!isError(error)) return "an error that is none";
  const code = "code" in error ? String(error.code) : error.name;
  // The error of a name with several addresses has an empty message: only its code says something.
  const ofOpenssl = opensslText(error);
  if (ofOpenssl !== undefined) return ofOpenssl;
  if (!quotesValues(error)) return error.message === "" ? code : error.message;
  return code === "ERR_INVALID_ARG_TYPE" ? (error.message.split(" Received ")[0] ?? code) : code;
}

/**
 * An error of OpenSSL in one line: "SSL routines: wrong version number (ERR_SSL_WRONG_VERSION_NUMBER)". Its message has
 * several, which say where in the sources of OpenSSL it was made. Undefined for any other error.
 */
export function opensslText(error: unknown): string | undefined {
  if (!isError(error)) return undefined;
  const { library, reason, code } = error as Partial<Record<"library" | "reason" | "code", unknown>>;
  if (typeof library !== "string" || typeof reason !== "string") return undefined;
  return typeof code === "string" ? `${library}: ${reason} (${code})` : `${library}: ${reason}`;
}
