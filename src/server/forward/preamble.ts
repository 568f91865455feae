/**
 * The bytes that two servers exchange before one forwards a connection to the other. The receiver greets with a nonce; the
 * sender says for whom the connection is, and from whom; the receiver answers, and the connection's own bytes follow.
 *
 *     greeting  "RSPF" | version u8 | nonce 16
 *     preamble  "RSPF" | version u8 | zero u8 | address length u16 | certificate length u16 | server id 6 | nonce 16 |
 *               address | certificate | MAC 32
 *     answer    "RSPF" | version u8 | code u8 | zero u16 | MAC 32
 *
 * With a key the MACs are HMAC-SHA-256 over both nonces and everything that is said, so none can be used on another
 * connection. Without a key they are zeros: then a folder, or TLS, has made sure who is at the other end.
 */
import { SERVER_ID_BYTES } from "../../core/wire/frames.ts";
import type { Entropy } from "../../core/session/proof.ts";

const MAGIC = Buffer.from("RSPF");
const VERSION = 1;
export const FORWARD_NONCE_BYTES = 16;
const MAC_BYTES = 32;
export const GREETING_BYTES: number = MAGIC.length + 1 + FORWARD_NONCE_BYTES;
export const ANSWER_BYTES: number = MAGIC.length + 4 + MAC_BYTES;
const HEADER_BYTES = 32;
const SERVER_ID_AT = 10;
const NONCE_AT: number = SERVER_ID_AT + SERVER_ID_BYTES;
/** An address has at most 256 characters, each of at most 3 bytes. */
const MOST_ADDRESS_BYTES = 768;
/** The most that fits into the length; OpenSSL takes no more than 100 KiB of certificates from a client. */
const MOST_CERTIFICATE_BYTES = 65_535;

const PREAMBLE_LABEL = Buffer.from("resplice forward 1\0");
const ANSWER_LABEL = Buffer.from("resplice forward answer 1\0");
const NO_MAC = Buffer.alloc(MAC_BYTES);

/** In the order of their numbers. `another-server`: the id is not the receiver's. */
const ANSWERS = ["taken", "another-server"] as const;
export type Answer = (typeof ANSWERS)[number];

export interface Preamble {
  /** The server that the connection is for. */
  serverId: string;
  /** The sender's. */
  nonce: Buffer;
  remoteAddress: string;
  /** The certificate that the client has presented, in DER; empty without. */
  certificate: Buffer;
}

/** The key that all servers share, if there is one, and what is done with it. */
export interface Macs {
  key: Buffer | undefined;
  entropy: Pick<Entropy, "hmac" | "equal">;
}

export function encodeGreeting(nonce: Buffer): Buffer {
  return Buffer.concat([MAGIC, Buffer.of(VERSION), nonce]);
}

/** Answers the receiver's nonce; undefined if it is no greeting of this version. `bytes` has the length of one. */
export function parseGreeting(bytes: Buffer): Buffer | undefined {
  if (bytes.length !== GREETING_BYTES || !isOurs(bytes)) return undefined;
  return bytes.subarray(MAGIC.length + 1);
}

/** Undefined if it does not fit: an address or a certificate that is too long. */
export function encodePreamble(preamble: Preamble, greeted: Buffer, macs: Macs): Buffer | undefined {
  const { serverId, nonce, remoteAddress, certificate } = preamble;
  const address = Buffer.from(remoteAddress);
  if (address.length > MOST_ADDRESS_BYTES || certificate.length > MOST_CERTIFICATE_BYTES) return undefined;
  const header = Buffer.alloc(HEADER_BYTES);
  MAGIC.copy(header);
  header[4] = VERSION;
  header.writeUInt16BE(address.length, 6);
  header.writeUInt16BE(certificate.length, 8);
  header.write(serverId, SERVER_ID_AT, "hex");
  nonce.copy(header, NONCE_AT);
  const said = Buffer.concat([header, address, certificate]);
  return Buffer.concat([said, macOf(macs, [PREAMBLE_LABEL, greeted, said])]);
}

/** How many bytes the preamble has, as far as its beginning says; undefined if it is no preamble of this version. */
export function preambleLength(bytes: Buffer): number | undefined {
  // A wrong beginning is noticed with the first byte that is wrong.
  const begins = bytes.subarray(0, MAGIC.length);
  if (!MAGIC.subarray(0, begins.length).equals(begins)) return undefined;
  if (bytes.length < HEADER_BYTES) return HEADER_BYTES;
  if (!isOurs(bytes) || bytes[5] !== 0) return undefined;
  const addressBytes = bytes.readUInt16BE(6);
  if (addressBytes > MOST_ADDRESS_BYTES) return undefined;
  return HEADER_BYTES + addressBytes + bytes.readUInt16BE(8) + MAC_BYTES;
}

/** `bytes` are as many as `preambleLength()` says. Undefined if the address is not UTF-8. */
export function parsePreamble(
  bytes: Buffer,
  greeted: Buffer,
  macs: Macs,
): { preamble: Preamble; isProven: boolean } | undefined {
  const addressEnd = HEADER_BYTES + bytes.readUInt16BE(6);
  const macAt = bytes.length - MAC_BYTES;
  const address = bytes.subarray(HEADER_BYTES, addressEnd);
  const remoteAddress = address.toString();
  if (!Buffer.from(remoteAddress).equals(address)) return undefined;
  const said = bytes.subarray(0, macAt);
  return {
    preamble: {
      serverId: bytes.toString("hex", SERVER_ID_AT, NONCE_AT),
      nonce: bytes.subarray(NONCE_AT, HEADER_BYTES),
      remoteAddress,
      certificate: bytes.subarray(addressEnd, macAt),
    },
    isProven: macs.entropy.equal(bytes.subarray(macAt), macOf(macs, [PREAMBLE_LABEL, greeted, said])),
  };
}

/** `nonce` is that of the preamble, `greeted` that of the greeting. */
export function encodeAnswer(answer: Answer, nonce: Buffer, greeted: Buffer, macs: Macs): Buffer {
  const code = ANSWERS.indexOf(answer);
  const said = Buffer.concat([MAGIC, Buffer.of(VERSION, code, 0, 0)]);
  return Buffer.concat([said, macOf(macs, [ANSWER_LABEL, greeted, nonce, said])]);
}

/** Undefined if it is no answer of this version, or not one to this preamble by an end that has the key. */
export function parseAnswer(bytes: Buffer, nonce: Buffer, greeted: Buffer, macs: Macs): Answer | undefined {
  if (bytes.length !== ANSWER_BYTES || !isOurs(bytes) || bytes.readUInt16BE(6) !== 0) return undefined;
  const macAt = ANSWER_BYTES - MAC_BYTES;
  const mac = macOf(macs, [ANSWER_LABEL, greeted, nonce, bytes.subarray(0, macAt)]);
  return macs.entropy.equal(bytes.subarray(macAt), mac) ? ANSWERS[bytes[5] as number] : undefined;
}

function isOurs(bytes: Buffer): boolean {
  return bytes.subarray(0, MAGIC.length).equals(MAGIC) && bytes[4] === VERSION;
}

function macOf({ key, entropy }: Macs, parts: readonly Buffer[]): Buffer {
  return key === undefined ? NO_MAC : entropy.hmac(key, parts);
}
