/** The places where a server listens, as its options name them. */
import { boolean, group, hostName, integer, text } from "../../link/check.ts";
import { invalidOption, invalidWord } from "../../link/errors.ts";
import { addressText } from "../../telemetry/address-text.ts";

/** An address that is bound; or a file descriptor that this process was given, bound by another. */
export type ListenAddress = PortAddress | PathAddress | FdAddress | SystemdAddress;

/** A TCP port. */
export interface PortAddress {
  /** 0: any free port; `listen()` answers which. */
  port: number;
  /** Default: every address, as in net. */
  host?: string;
  /**
   * Default false. true: other processes may listen on the same port in the same way, and the kernel spreads the
   * clients over them. On Linux and some others; needs Node 22.12 or 23.1.
   */
  reusePort?: boolean;
  /** Default false. true: an IPv6 address, also `::`, takes no IPv4 clients. */
  ipv6Only?: boolean;
}

/** A Unix socket. */
export interface PathAddress {
  /** A Unix socket's path. */
  path: string;
  /** The permissions of the socket's file, 0o600 for example. Default: what the process's umask leaves. */
  mode?: number;
}

/** A socket that another process has bound, and handed over. */
export interface FdAddress {
  /** A file descriptor of this process, of a socket that is bound. */
  fd: number;
}

/** Sockets of a systemd unit. */
export interface SystemdAddress {
  /** The sockets that systemd has opened for this process: all of them, or those with this name. */
  systemd: true | string;
}

/** What a net.Server can be told. */
export type Place = PortAddress | PathAddress | FdAddress;

/** The most addresses of one server: each of them takes a descriptor. */
const MOST_ADDRESSES = 64;
const MOST_MODE = 0o777;
/** The first that knows `reusePort`: an older one ignores it. */
const REUSES_PORT = { 22: 12, 23: 1 } as Readonly<Record<number, number>>;

/** Throws INVALID_OPTION. */
export function resolveAddresses(
  given: readonly ListenAddress[] | undefined,
  nodeVersion: string = process.versions.node,
): ListenAddress[] {
  if (!Array.isArray(given) || given.length === 0 || given.length > MOST_ADDRESSES)
    throw invalidOption("addresses", given, `a list of 1 to ${MOST_ADDRESSES} addresses`);
  return given.map((address: unknown, n) => resolveAddress(`addresses[${n}]`, address, nodeVersion));
}

function resolveAddress(name: string, given: unknown, nodeVersion: string): ListenAddress {
  const isObject = typeof given === "object" && given !== null;
  if (isObject && "port" in given) return resolvePort(name, given as PortAddress, nodeVersion);
  if (isObject && "path" in given) return resolvePath(name, given as PathAddress);
  if (isObject && "fd" in given) {
    const { fd } = group(name, given as FdAddress, ["fd"]);
    return { fd: integer(`${name}.fd`, fd, 0, MOST_FD) };
  }
  if (isObject && "systemd" in given) {
    const { systemd } = group(name, given as SystemdAddress, ["systemd"]);
    if (systemd === true || (typeof systemd === "string" && systemd !== "")) return { systemd };
    throw invalidOption(`${name}.systemd`, systemd, "true, or the name of a socket");
  }
  throw invalidOption(name, given, "an object with port, path, fd or systemd");
}

const MOST_FD = 2_147_483_647;

function resolvePort(name: string, given: PortAddress, nodeVersion: string): PortAddress {
  const {
    port,
    host,
    reusePort = false,
    ipv6Only = false,
  } = group(name, given, ["port", "host", "reusePort", "ipv6Only"]);
  if (boolean(`${name}.reusePort`, reusePort) && !reusesPort(nodeVersion))
    throw invalidOption(`${name}.reusePort`, reusePort, `false with Node ${nodeVersion}: it needs 22.12 or 23.1`);
  return {
    port: integer(`${name}.port`, port, 0, 65_535),
    ...(host !== undefined && { host: hostName(`${name}.host`, host) }),
    ...(reusePort && { reusePort }),
    ...(boolean(`${name}.ipv6Only`, ipv6Only) && { ipv6Only }),
  };
}

function reusesPort(nodeVersion: string): boolean {
  const [major = 0, minor = 0] = nodeVersion.split(".").map(Number);
  return minor >= (REUSES_PORT[major] ?? 0);
}

function resolvePath(name: string, given: PathAddress): PathAddress {
  const { path, mode } = group(name, given, ["path", "mode"]);
  return {
    path: text(`${name}.path`, path),
    ...(mode !== undefined && { mode: integer(`${name}.mode`, mode, 0, MOST_MODE) }),
  };
}

/** The short way, with `port` and `host`, or `path`. Undefined: nowhere. Throws INVALID_OPTION. */
export function resolveShort(options: { port?: number; host?: string; path?: string }): Place | undefined {
  const { port, host, path } = options;
  if (path !== undefined) {
    if (port !== undefined) throw invalidWord("path", path, "either path or port");
    if (host !== undefined) throw invalidWord("host", host, "nothing: a path has no host");
    return { path: text("path", path) };
  }
  // A port that is named and undefined (an environment without it, say) was meant to be one.
  if (host === undefined && !("port" in options)) return undefined;
  const checked = integer("port", port, 0, 65_535);
  return host === undefined ? { port: checked } : { port: checked, host: hostName("host", host) };
}

/**
 * An address as a server has it when it listens. Of a Unix socket `host` is the path, and `port` is 0; of one that was
 * given as a descriptor `host` is "file descriptor 3", as nobody knows its path.
 */
export interface BoundAddress {
  /** An IP address, a path, or a text. */
  host: string;
  /** The TCP port; 0 where there is none. */
  port: number;
}

/** Where a server listens: the first address, and all. */
export interface Listening extends BoundAddress {
  /** In the order of the options. */
  addresses: readonly BoundAddress[];
}

/** A place for people, before it is bound. */
export function placeText(place: Place): string {
  if ("path" in place) return place.path;
  if ("fd" in place) return `file descriptor ${place.fd}`;
  const { host, port } = place;
  return host === undefined ? `port ${port}` : addressText({ host, port });
}
