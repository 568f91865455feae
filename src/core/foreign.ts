/**
 * Values that another realm may have made: a `vm` context, or the environment of a test runner, such as jest with jsdom.
 * They have other constructors and prototypes than ours, so `instanceof` says nothing of them.
 */

/** A Uint8Array, such as a Buffer, of any realm. */
export function isBytes(given: unknown): given is Uint8Array {
  // The first is right for most, and quick.
  return given instanceof Uint8Array || (ArrayBuffer.isView(given) && kindOf(given) === "[object Uint8Array]");
}

/** An error that JavaScript or Node has made, or an instance of a class of errors, of any realm. */
export function isError(given: unknown): given is Error {
  return given instanceof Error || kindOf(given) === "[object Error]";
}

/** The code of an error, such as ECONNRESET. Undefined for what has none, or is no error. */
export function codeOf(given: unknown): string | undefined {
  if (!isError(given) || !("code" in given)) return undefined;
  return typeof given.code === "string" ? given.code : undefined;
}

/** Made by `{}` in any realm, or without a prototype. No instance of a class. */
export function isPlainObject(given: unknown): given is object {
  if (typeof given !== "object" || given === null) return false;
  const prototype: unknown = Object.getPrototypeOf(given);
  return prototype === null || Object.getPrototypeOf(prototype) === null;
}

function kindOf(given: unknown): string {
  return Object.prototype.toString.call(given);
}
