/** Headers of the PROXY protocol, as a balancer sends them. */
import { crc32c } from "../../src/io/crc32c.ts";

export interface BinaryHeader {
  version?: number;
  /** 0: LOCAL, 1: PROXY. */
  command?: number;
  /** The byte of family and transport; 0x11: TCP over IPv4. */
  kind?: number;
  addresses?: Uint8Array;
  tlvs?: ReadonlyArray<readonly [type: number, value: Uint8Array]>;
  /** Behind all others, right unless it is given. */
  checksum?: boolean | number;
  /** In place of the length. */
  length?: number;
}

export const SIGNATURE: Buffer = Buffer.from("0d0a0d0a000d0a515549540a", "hex");
const CHECKSUM_TYPE = 3;

export function binaryHeader(header: BinaryHeader = {}): Buffer {
  const { version = 2, command = 1, kind = 0x11, addresses = Buffer.alloc(0), tlvs = [], checksum = false } = header;
  const body = Buffer.concat([addresses, ...tlvs.map(([type, value]) => tlv(type, value))]);
  const sum = checksum === false ? Buffer.alloc(0) : tlv(CHECKSUM_TYPE, Buffer.alloc(4));
  const head = Buffer.alloc(4);
  head.writeUInt8((version << 4) | command, 0);
  head.writeUInt8(kind, 1);
  head.writeUInt16BE(header.length ?? body.length + sum.length, 2);
  const whole = Buffer.concat([SIGNATURE, head, body, sum]);
  if (checksum !== false) {
    whole.writeUInt32BE(typeof checksum === "number" ? checksum : crc32c(whole), whole.length - 4);
  }
  return whole;
}

function tlv(type: number, value: Uint8Array): Buffer {
  const head = Buffer.alloc(3);
  head.writeUInt8(type, 0);
  head.writeUInt16BE(value.length, 1);
  return Buffer.concat([head, value]);
}

/** TCP over IPv4, from this address. */
export function ipv4Header(source: string, more: BinaryHeader = {}): Buffer {
  const addresses = Buffer.from([...source.split(".").map(Number), 127, 0, 0, 1, 0xdc, 4, 1, 187]);
  return binaryHeader({ addresses, ...more });
}

/** TCP over IPv6, from an address of eight groups, to another: by default to :: with both ports 0. */
export function ipv6Header(
  source: readonly number[],
  {
    destination = [],
    ports = [],
    ...more
  }: BinaryHeader & { destination?: readonly number[]; ports?: readonly number[] } = {},
): Buffer {
  const addresses = Buffer.alloc(36);
  for (const [at, group] of source.entries()) addresses.writeUInt16BE(group, 2 * at);
  for (const [at, group] of destination.entries()) addresses.writeUInt16BE(group, 16 + 2 * at);
  for (const [at, port] of ports.entries()) addresses.writeUInt16BE(port, 32 + 2 * at);
  return binaryHeader({ kind: 0x21, addresses, ...more });
}

/** A stream between two Unix sockets. */
export function unixHeader(more: BinaryHeader = {}): Buffer {
  const addresses = Buffer.alloc(216);
  addresses.write("/run/client.sock");
  return binaryHeader({ kind: 0x31, addresses, ...more });
}

export function lineHeader(source: string, family: "TCP4" | "TCP6" = "TCP4"): Buffer {
  const destination = family === "TCP4" ? "192.168.0.11" : "::1";
  return Buffer.from(`PROXY ${family} ${source} ${destination} 56324 443\r\n`);
}
