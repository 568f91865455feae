/** What node:tls says of the options that it is given. */

/** Its errors about the kind of a value quote the value, which may be a key or a passphrase; those of OpenSSL never do. */
export function tlsRefusal(error: unknown): string {
  if (!(error instanceof Error)) return "an error that is none";
  if (!(error instanceof TypeError || error instanceof RangeError)) return error.message;
  const code = "code" in error ? String(error.code) : error.name;
  return code === "ERR_INVALID_ARG_TYPE" ? (error.message.split(" Received ")[0] ?? code) : code;
}
