/**
 * The header of the PROXY protocol, by which a balancer says whose connection it passes on: version 1, a line of text,
 * and version 2, in binary, as HAProxy's proxy-protocol.txt has them.
 */
import { isIPv4, isIPv6 } from "node:net";
import { canonicalIPv6 } from "./address-list.ts";
import { crc32c } from "./crc32c.ts";

/** A header, as far as its bytes have come. */
export type ProxyHeader =
  | { state: "incomplete" }
  /** The first `length` bytes are the header. */
  | ({ state: "complete"; length: number } & ProxiedEnds)
  | { state: "wrong"; problem: string };

/** The two ends of a client's connection to the balancer. */
export interface ProxiedEnds {
  /**
   * The client's address; "" for a client on a Unix socket of the balancer; undefined if the header names none, and the
   * address of the connection itself counts.
   */
  source: string | undefined;
  /** The client's port. Undefined unless `source` is an IP address. */
  sourcePort: number | undefined;
  /** Where the client connected to. Undefined unless `source` is an IP address. */
  destination: { address: string; port: number } | undefined;
}

/** The most bytes of a header, with its TLVs. Version 2 could state 65,551, and says itself that a header is short. */
export const MOST_HEADER_BYTES = 4_096;
/** The most bytes of a version 1 line, with its CRLF. */
const MOST_LINE_BYTES = 107;

const LINE_BEGINS = Buffer.from("PROXY ");
const BINARY_BEGINS = Buffer.from("\r\n\r\n\0\r\nQUIT\n");
const BINARY_HEAD_BYTES = 16;

const INCOMPLETE: ProxyHeader = { state: "incomplete" };
const NO_ENDS: ProxiedEnds = { source: undefined, sourcePort: undefined, destination: undefined };

/** `bytes`: everything that has come on the connection, and at least one byte. */
export function readProxyHeader(bytes: Buffer): ProxyHeader {
  if (beginsAs(LINE_BEGINS, bytes)) return readLine(bytes);
  if (beginsAs(BINARY_BEGINS, bytes)) return bytes.length < BINARY_HEAD_BYTES ? INCOMPLETE : readBinary(bytes);
  return wrong("no header");
}

/** Whether the bytes begin with the signature, or are the beginning of it. */
function beginsAs(signature: Buffer, bytes: Buffer): boolean {
  const length = Math.min(signature.length, bytes.length);
  return signature.compare(bytes, 0, length, 0, length) === 0;
}

function wrong(problem: string): ProxyHeader {
  return { state: "wrong", problem };
}

// ── version 1 ───────────────────────────────────────────────────────────────────────────────────────────────────────

function readLine(bytes: Buffer): ProxyHeader {
  const end = bytes.subarray(0, MOST_LINE_BYTES).indexOf("\r\n");
  if (end < 0)
    return bytes.length < MOST_LINE_BYTES ? INCOMPLETE : wrong(`a line of more than ${MOST_LINE_BYTES} bytes`);
  const [family, ...fields] = bytes.toString("latin1", LINE_BEGINS.length, end).split(" ");
  const length = end + 2;
  // Whatever follows on the line says nothing.
  if (family === "UNKNOWN") return { state: "complete", length, ...NO_ENDS };
  if (family !== "TCP4" && family !== "TCP6") return wrong("a line of another family than TCP4, TCP6 and UNKNOWN");
  const [source = "", destination = "", ...ports] = fields;
  const [sourcePort = NaN, port = NaN] = ports.map(Number);
  const isAddress = family === "TCP4" ? isIPv4 : isIPv6WithoutZone;
  if (!isAddress(source) || !isAddress(destination)) return wrong(`a line whose addresses are not two of ${family}`);
  if (ports.length !== 2 || !ports.every(isPort)) return wrong("a line that does not end with two ports");
  const [client, address] =
    family === "TCP4" ? [source, destination] : [canonicalIPv6(source), canonicalIPv6(destination)];
  return { state: "complete", length, source: client, sourcePort, destination: { address, port } };
}

function isIPv6WithoutZone(address: string): boolean {
  return isIPv6(address) && !address.includes("%");
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 65_535;
}

// ── version 2 ───────────────────────────────────────────────────────────────────────────────────────────────────────

const COMMAND_AT = 12;
const FAMILY_AT = 13;
const LENGTH_AT = 14;
const LOCAL = 0;
const PROXY = 1;
const UNSPECIFIED = 0;
const INET = 1;
const INET6 = 2;
const STREAM = 1;
const DATAGRAM = 2;
/** By family, the bytes of both addresses with their ports: none are specified, IPv4, IPv6, Unix sockets. */
const ADDRESS_BYTES = [0, 12, 36, 216] as const;

function readBinary(bytes: Buffer): ProxyHeader {
  const version = bytes.readUInt8(COMMAND_AT) >> 4;
  const command = bytes.readUInt8(COMMAND_AT) & 0x0f;
  if (version !== 2 || (command !== LOCAL && command !== PROXY)) return wrong("another version or command");
  const length = BINARY_HEAD_BYTES + bytes.readUInt16BE(LENGTH_AT);
  if (length > MOST_HEADER_BYTES) return wrong(`a header of more than ${MOST_HEADER_BYTES} bytes`);
  const ofItself: ProxyHeader = { state: "complete", length, ...NO_ENDS };
  // A connection of the balancer's own: whatever the header says of addresses is to be ignored.
  if (command === LOCAL) return bytes.length < length ? INCOMPLETE : ofItself;
  const family = bytes.readUInt8(FAMILY_AT) >> 4;
  const transport = bytes.readUInt8(FAMILY_AT) & 0x0f;
  const addressBytes = ADDRESS_BYTES[family];
  if (addressBytes === undefined || transport > DATAGRAM) return wrong("another family or transport");
  const isSpecified = family !== UNSPECIFIED && transport !== UNSPECIFIED;
  const tlvsAt = BINARY_HEAD_BYTES + addressBytes;
  if (isSpecified && length < tlvsAt) return wrong("addresses that are cut short");
  if (bytes.length < length) return INCOMPLETE;
  if (!isSpecified) return ofItself;
  const problem = tlvProblem(bytes.subarray(0, length), tlvsAt);
  if (problem !== undefined) return wrong(problem);
  // A client of a datagram socket cannot be the peer of this connection.
  return transport === STREAM ? { state: "complete", length, ...endsOf(family, bytes) } : ofItself;
}

function endsOf(family: number, bytes: Buffer): ProxiedEnds {
  // The path of a Unix socket is not an address to count clients by.
  if (family !== INET && family !== INET6) return { ...NO_ENDS, source: "" };
  const size = family === INET ? 4 : 16;
  const [sourceAt, destinationAt] = [BINARY_HEAD_BYTES, BINARY_HEAD_BYTES + size];
  const portsAt = destinationAt + size;
  return {
    source: addressAt(bytes, sourceAt, size),
    sourcePort: bytes.readUInt16BE(portsAt),
    destination: { address: addressAt(bytes, destinationAt, size), port: bytes.readUInt16BE(portsAt + 2) },
  };
}

function addressAt(bytes: Buffer, at: number, size: 4 | 16): string {
  if (size === 4) return bytes.subarray(at, at + size).join(".");
  const groups = Array.from({ length: 8 }, (_, group) => bytes.readUInt16BE(at + 2 * group).toString(16));
  return canonicalIPv6(groups.join(":"));
}

const TLV_HEAD_BYTES = 3;
const CRC32C_TYPE = 3;
const CRC32C_BYTES = 4;
const ZEROS = Buffer.alloc(CRC32C_BYTES);

/** Skips all TLVs, but for a checksum, which is verified. Answers what is wrong with them. */
function tlvProblem(header: Buffer, tlvsAt: number): string | undefined {
  let checksumAt: number | undefined;
  for (let at = tlvsAt; at < header.length;) {
    const valueAt = at + TLV_HEAD_BYTES;
    const end = valueAt > header.length ? Infinity : valueAt + header.readUInt16BE(at + 1);
    if (end > header.length) return "a TLV that is cut short";
    if (header.readUInt8(at) === CRC32C_TYPE) {
      if (end - valueAt !== CRC32C_BYTES || checksumAt !== undefined) return "a checksum that is not one of 4 bytes";
      checksumAt = valueAt;
    }
    at = end;
  }
  if (checksumAt === undefined) return undefined;
  const behind = header.subarray(checksumAt + CRC32C_BYTES);
  // Computed with zeros in its own place.
  const checksum = crc32c(header.subarray(0, checksumAt), ZEROS, behind);
  return checksum === header.readUInt32BE(checksumAt) ? undefined : "a wrong checksum";
}
