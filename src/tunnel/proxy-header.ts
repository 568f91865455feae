/** Writes the header of the PROXY protocol, by which a far end tells its targets whose connection it passes on. */
import { isIP, isIPv4 } from "node:net";
import { comparable } from "../io/address-list.ts";

/** The two ends of a client's connection. */
export interface Ends {
  readonly source: End;
  readonly destination: End;
}

/** `address`: an IP address, in any form. */
export interface End {
  readonly address: string;
  readonly port: number;
}

/** As HAProxy's proxy-protocol.txt has them: a line of text, and binary. */
export type ProxyVersion = 1 | 2;

/**
 * `ends`: undefined where the client has no address, as on a Unix socket. The header then says nothing of it; so it does
 * where an address or a port is none, which another process has given.
 */
export function proxyHeader(version: ProxyVersion, ends: Ends | undefined): Buffer {
  if (ends === undefined || ![ends.source, ends.destination].every(isEnd)) {
    return version === 1 ? Buffer.from("PROXY UNKNOWN\r\n") : LOCAL;
  }
  const both = [ends.source, ends.destination];
  const compared = both.map(({ address }) => comparable(address));
  const isV4 = compared.every(isIPv4);
  const addresses = isV4 ? compared : compared.map(mapped);
  if (version === 1) {
    const fields = [isV4 ? "TCP4" : "TCP6", ...addresses, ...both.map(({ port }) => port)];
    return Buffer.from(`PROXY ${fields.join(" ")}\r\n`);
  }
  const body = Buffer.concat([
    ...addresses.map((address) => (isV4 ? bytesOfV4(address) : bytesOfV6(address))),
    ...both.map(({ port }) => twoBytes(port)),
  ]);
  return Buffer.concat([SIGNATURE, Buffer.from([PROXY, isV4 ? TCP4 : TCP6]), twoBytes(body.length), body]);
}

function isEnd({ address, port }: End): boolean {
  return isIP(comparable(address)) !== 0 && Number.isInteger(port) && port >= 0 && port <= 65_535;
}

const SIGNATURE = Buffer.from("\r\n\r\n\0\r\nQUIT\n");
/** Version 2, and the command. */
const PROXY = 0x21;
const TCP4 = 0x11;
const TCP6 = 0x21;
/** A connection of which nothing is said. */
const LOCAL = Buffer.concat([SIGNATURE, Buffer.from([0x20, 0, 0, 0])]);

/** Both addresses of a header are of one family: IPv4 beside IPv6 is written as IPv6. */
function mapped(address: string): string {
  return isIPv4(address) ? `::ffff:${address}` : address;
}

function bytesOfV4(address: string): Buffer {
  return Buffer.from(address.split(".").map(Number));
}

function bytesOfV6(address: string): Buffer {
  const [before = EMPTY, after = EMPTY] = address.split("::").map(bytesOfGroups);
  return Buffer.concat([before, Buffer.alloc(16 - before.length - after.length), after]);
}

const EMPTY = Buffer.alloc(0);

/** The last group may be an IPv4 address, which has the bytes of two. */
function bytesOfGroups(groups: string): Buffer {
  const each = groups === "" ? [] : groups.split(":");
  return Buffer.concat(each.map((group) => (isIPv4(group) ? bytesOfV4(group) : twoBytes(Number.parseInt(group, 16)))));
}

function twoBytes(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}
