/** An address for people. */

/** A path; or host and port, as they stand in a URL. `port` is 0 where there is none. */
export function addressText({ host, port }: { readonly host: string; readonly port: number }): string {
  if (port === 0) return host;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}
