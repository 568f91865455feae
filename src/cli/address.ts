/** Addresses on the command line. */
import { UsageError } from "./usage.ts";

/** Where to listen or to connect. */
export interface Address {
  /** Undefined: every address for `listen`, localhost for `connect`. */
  readonly host: string | undefined;
  readonly port: number;
}

/** PORT, HOST:PORT, [IPv6]:PORT. */
export function parseAddress(given: string, leastPort: 0 | 1): Address {
  const { ipv6, host, port } = /^(?:(?:\[(?<ipv6>[^\]]*)\]|(?<host>[^:]*)):)?(?<port>\d+)$/.exec(given)?.groups ?? {};
  if (port === undefined) {
    // The address is not shown: in a URL the password stands before the @.
    if (given.includes("@")) throw new UsageError("an address with an @ in it is no PORT or HOST:PORT");
    const hint = given.split(":").length > 2 ? "; an IPv6 address goes in brackets, as in [::1]:7000" : "";
    throw new UsageError(`${JSON.stringify(given)} is no PORT or HOST:PORT${hint}`);
  }
  if (ipv6 === "" || (ipv6 !== undefined && !/^[\da-f:.]+(%[^\s/%]+)?$/i.test(ipv6))) {
    throw new UsageError(`${JSON.stringify(given)}: ${JSON.stringify(ipv6)} is no IPv6 address`);
  }
  const checked = Number(port);
  if (checked < leastPort || checked > 65_535) {
    throw new UsageError(`port ${port}: from ${leastPort} to 65535${leastPort === 0 ? " (0: any free one)" : ""}`);
  }
  const name = ipv6 ?? host;
  return { host: name === "" ? undefined : name, port: checked };
}

/** HOST:PORT, with an IPv6 address in brackets. */
export function formatAddress({ host, port }: { host?: string | undefined; port: number }): string {
  const shown = host ?? "localhost";
  return shown.includes(":") ? `[${shown}]:${port}` : `${shown}:${port}`;
}
