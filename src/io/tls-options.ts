/** Options of node:tls as applications give them, and the errors of node:tls about them. */
import { type ConnectionOptions, createSecureContext, type SecureContextOptions, type TlsOptions } from "node:tls";
import { types } from "node:util";
import { tlsWords } from "./tls-words.ts";
import { codeOf, isError } from "../core/foreign.ts";

/**
 * Whether `given` can be TLS options at all. Bytes and arrays (a PEM, for example) and a promise that was not awaited
 * are objects too. node:tls would find no options in them and use its defaults: without their `ca` it would trust all
 * public authorities.
 */
export function isTlsOptions(given: unknown): given is object {
  if (typeof given !== "object" || given === null || "then" in given) return false;
  return !Array.isArray(given) && !ArrayBuffer.isView(given) && !types.isAnyArrayBuffer(given);
}

const CERTIFICATE = "a certificate in PEM, which begins with -----BEGIN CERTIFICATE-----";
const CERTIFICATES = /-----BEGIN [\w ]*CERTIFICATE-----/;
const KEY_FILE = "a private key in PEM, which begins with -----BEGIN, and its `passphrase` if it is encrypted";
const FILES: ReadonlyArray<[name: keyof SecureContextOptions, takes: string]> = [
  ["ca", CERTIFICATE],
  ["cert", CERTIFICATE],
  ["key", KEY_FILE],
  ["pfx", "a PKCS#12 archive, and its `passphrase` if it is encrypted"],
  ["crl", "a revocation list in PEM, which begins with -----BEGIN X509 CRL-----"],
];

/**
 * What node:tls cannot use of the options `option`, as the arguments of invalidOption(); undefined if it can use all.
 * Which file is wrong is found by trying each alone.
 */
export function tlsProblem(
  option: string,
  given: SecureContextOptions,
): [name: string, given: unknown, allowed: string] | undefined {
  const options = whatIsGiven(given);
  const refused = refusal(options);
  // Node takes a text without a certificate for an empty list of authorities.
  if (refused === undefined && [options.ca ?? []].flat().every((ca) => CERTIFICATES.test(String(ca)))) return undefined;
  if (refused === undefined) return [`${option}.ca`, options.ca, CERTIFICATE];
  const { passphrase } = options;
  for (const [name, takes] of FILES) {
    const file = options[name];
    if (file === undefined) continue;
    const why = refusal({ [name]: file, ...(passphrase !== undefined && { passphrase }) });
    if (why !== undefined) return [`${option}.${name}`, file, `${takes}. node:tls says: ${why}`];
  }
  return [option, given, `what node:tls takes: ${refused}`];
}

function refusal(options: SecureContextOptions): string | undefined {
  try {
    createSecureContext(options);
    return undefined;
  } catch (error) {
    return tlsRefusal(error);
  }
}

/** The options bring a certificate, and the key that belongs to it. An engine of OpenSSL may have the key. */
export function hasCertificate(options: SecureContextOptions): boolean {
  const { cert, key, pfx } = options;
  return pfx !== undefined || (cert !== undefined && (key !== undefined || "privateKeyIdentifier" in options));
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

/** The text of a handshake that has failed, with what it means and what to do. */
export function tlsFailure(error: unknown): string {
  const code = codeOf(error) ?? "";
  const words = tlsWords(code);
  if (words === undefined) return tlsRefusal(error);
  // OpenSSL's own texts have names of its files and functions.
  return `${code.startsWith("ERR_SSL_") ? code : tlsRefusal(error)}: ${words}`;
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
