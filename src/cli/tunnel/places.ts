/** Where the ends of a tunnel listen, and whether that is this machine alone. */
import { isIPv4 } from "node:net";
import { socketPathIn, UNIX_PREFIX } from "../../tunnel/target.ts";
import { formatAddress, parseAddress } from "../address.ts";
import { UsageError } from "../usage.ts";
import type { Place } from "./types.ts";

export const LOOPBACK = "127.0.0.1";
/** systemd gives a service at most so many sockets. */
const MOST_FD = 1_024;

/** `[HOST:]PORT`, `unix:PATH` or `fd:N`. `host`: of a port alone; undefined: every address. Throws a UsageError. */
export function parsePlace(given: string, host?: string): Place {
  if (given.startsWith(UNIX_PREFIX)) return { path: usable(() => socketPathIn(given, given)) };
  if (given.startsWith("fd:")) {
    const fd = /^fd:\d{1,4}$/.test(given) ? Number(given.slice("fd:".length)) : -1;
    if (fd < 3 || fd > MOST_FD)
      throw new UsageError(`${JSON.stringify(given)}: a descriptor from fd:3 to fd:${MOST_FD}`);
    return { fd };
  }
  const address = parseAddress(given, 0);
  const at = address.host ?? host;
  return { port: address.port, ...(at !== undefined && { host: at }) };
}

/** As parsePlace() reads it. */
export function formatPlace(place: Place): string {
  if ("path" in place) return `${UNIX_PREFIX}${place.path}`;
  if ("fd" in place) return `fd:${place.fd}`;
  return place.host === undefined ? String(place.port) : formatAddress({ ...place, host: place.host });
}

/** Whether only this machine can connect there. Of a descriptor, and of a name other than localhost, nobody knows. */
export function isLocal(place: Place): boolean {
  if ("path" in place) return true;
  return "port" in place && place.host !== undefined && isLoopback(place.host);
}

export function isLoopback(host: string): boolean {
  if (host.toLowerCase() === "localhost" || host === "::1") return true;
  const [, mapped = host] = /^::ffff:([\d.]+)$/i.exec(host) ?? [];
  return isIPv4(mapped) && mapped.startsWith("127.");
}

/** What `read` answers. Its error, that of a text that makes no sense, is a UsageError. */
export function usable<T>(read: () => T): T {
  try {
    return read();
  } catch (error) {
    throw new UsageError((error as Error).message, { cause: error });
  }
}
