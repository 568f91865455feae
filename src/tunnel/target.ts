/** What a tunnel connects to at its far end: how it is written, and what of that can be connected to at all. */
import { posix } from "node:path";
import { isIPv4, isIPv6 } from "node:net";
import { RespliceError } from "../index.ts";
import { canonicalIPv6, comparable, unmapped } from "../io/address-list.ts";
import { MOST_SOCKET_PATH_BYTES } from "../io/unix-socket.ts";
import { addressText } from "../telemetry/address-text.ts";
import { printable } from "../telemetry/printable.ts";

/** `host`: a name in lower case, or an IP address. `path`: of a Unix socket. */
export type Target = { readonly host: string; readonly port: number } | { readonly path: string };

/** What a text begins with that names a Unix socket. */
export const UNIX_PREFIX = "unix:";

const MOST_NAME_CHARACTERS = 254;
const NAME = /^[a-z\d_-]{1,63}(?:\.[a-z\d_-]{1,63})*\.?$/;
/** Resolvers take a name that ends so for an IPv4 address in some other form: 127.1, 0x7f.1, 2130706433, 010.0.0.1. */
const LIKE_A_NUMBER = /(?:^|\.)(?:\d+|0x[\da-f]*)\.?$/;
const ZONE = /^%[\w.-]+$/;
const ADDRESSES_OF_NOTHING: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

/** HOST:PORT, [IPv6]:PORT or unix:PATH. Throws INVALID_ARGUMENT, which says what is wrong with the text. */
export function parseTarget(text: string): Target {
  if (text.startsWith(UNIX_PREFIX)) return { path: socketPathIn(text, text) };
  const { host, inBrackets, port } = hostAndPort(text, text);
  return { host: connectable(text, host, inBrackets), port: portIn(text, port) };
}

/** As parseTarget() reads it. */
export function formatTarget(target: Target): string {
  return "path" in target ? `${UNIX_PREFIX}${target.path}` : addressText(target);
}

/** The error of a text that is no target, or no entry of an allow-list. */
export function unusable(text: string, problem: string): RespliceError {
  // In a URL the password stands before the @.
  const shown = text.includes("@") ? "a text with an @ in it" : JSON.stringify(printable(text, 100));
  return new RespliceError("INVALID_ARGUMENT", `${shown}: ${problem}`);
}

/** The parts of HOST:PORT, not checked yet. `text`: all of what was given, for the error INVALID_ARGUMENT. */
export function hostAndPort(text: string, target: string): { host: string; inBrackets: boolean; port: string } {
  const { ipv6, host, port } = /^(?:\[(?<ipv6>[^\]]*)\]|(?<host>[^:[\]]*)):(?<port>[^:]*)$/.exec(target)?.groups ?? {};
  if (port !== undefined) return { host: ipv6 ?? host ?? "", inBrackets: ipv6 !== undefined, port };
  const hint = target.split(":").length > 2 ? "; an IPv6 address goes in brackets, as in [::1]:5432" : "";
  throw unusable(text, `neither HOST:PORT nor ${UNIX_PREFIX}/PATH${hint}`);
}

export function portIn(text: string, port: string): number {
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  if (number < 1 || number > 65_535) throw unusable(text, "a port is a number from 1 to 65535");
  return number;
}

/**
 * The host in the form in which hosts are compared: a name in lower case, an address as sockets report it, IPv4 where it
 * is an IPv4-mapped IPv6 address. A trailing dot stays: to a resolver that is another name. Throws INVALID_ARGUMENT.
 */
export function connectable(text: string, host: string, inBrackets: boolean): string {
  if (host === "") throw unusable(text, "a host stands before the port, as in localhost:5432");
  if (inBrackets !== isIPv6(host)) {
    throw unusable(text, inBrackets ? "in brackets stands an IPv6 address" : "an IPv6 address goes in brackets");
  }
  if (inBrackets) {
    const [address = ""] = host.split("%");
    const zone = host.slice(address.length);
    if (zone !== "" && !ZONE.test(zone)) throw unusable(text, "the zone of the address is the name of an interface");
    return checked(text, unmapped(canonicalIPv6(address) + zone));
  }
  return checked(text, isIPv4(host) ? host : nameIn(text, host.toLowerCase()));
}

function checked(text: string, host: string): string {
  if (isNowhere(host)) throw unusable(text, "that is an address to listen at, and none to connect to");
  return host;
}

/** Whether it is the unspecified address. The kernel would connect to this machine. */
export function isNowhere(address: string): boolean {
  return ADDRESSES_OF_NOTHING.has(comparable(address));
}

function nameIn(text: string, name: string): string {
  if (LIKE_A_NUMBER.test(name)) throw unusable(text, "an IPv4 address is written as in 127.0.0.1");
  if (!NAME.test(name) || name.length > MOST_NAME_CHARACTERS)
    throw unusable(text, "a host is an IP address or a name of letters, digits, dots and hyphens (xn--… for others)");
  return name;
}

/** The path without `.`, `..` and doubled slashes. Throws INVALID_ARGUMENT. */
export function socketPathIn(text: string, target: string): string {
  const path = target.slice(UNIX_PREFIX.length);
  if (!path.startsWith("/"))
    throw unusable(text, `the path of a socket begins with /, as in ${UNIX_PREFIX}/run/db.sock`);
  // oxlint-disable-next-line no-control-regex -- These are what a path must not have.
  if (/[\0-\x1f\x7f]/.test(path)) throw unusable(text, "the path of a socket has no control characters");
  const normal = posix.normalize(path);
  if (normal.endsWith("/")) throw unusable(text, "that is a folder, and not the path of a socket");
  if (Buffer.byteLength(normal) > MOST_SOCKET_PATH_BYTES)
    throw unusable(text, `the path of a socket has at most ${MOST_SOCKET_PATH_BYTES} bytes`);
  return normal;
}
