/**
 * Who speaks on a connection that was to speak another protocol: a guess by its first bytes, for the texts of errors.
 * Nothing else depends on it.
 */
import { HELLO_MAGIC, FRAME_HEADER_BYTES, FrameType } from "./frames.ts";

export type Stranger =
  | "AMQP"
  | "HTTP"
  | "IMAP"
  | "MySQL"
  | "NATS"
  | "POP3"
  | "a PROXY header"
  | "Redis"
  | "resplice"
  | "SMTP or FTP"
  | "SSH"
  | "TLS"
  | "VNC";

/** So many of the first bytes show who speaks. They hold no secret of a HELLO that is sent back: those begin later. */
export const FIRST_BYTES = 40;

type Beginnings = ReadonlyArray<readonly [begins: RegExp, who: Stranger]>;

const METHODS = "GET|HEAD|POST|PUT|DELETE|OPTIONS|PATCH|CONNECT|TRACE|PRI";
/** What clients say first, as a text of which every character is a byte. It may hold a password. */
const REQUESTS: Beginnings = [
  [/^CONNECT \{/, "NATS"],
  [new RegExp(`^(${METHODS}) `), "HTTP"],
  [/^\*[1-9]\d*\r\n\$/, "Redis"],
  [/^(PROXY (TCP|UNKNOWN)|\r\n\r\n\0\r\nQUIT\n)/, "a PROXY header"],
];
/** What servers say first, or answer. */
const ANSWERS: Beginnings = [
  [/^HTTP\/\d/, "HTTP"],
  [/^SSH-/, "SSH"],
  [/^[1-5]\d\d[ -]/, "SMTP or FTP"],
  [/^(-(ERR|NOAUTH|DENIED|WRONGTYPE|MISCONF|LOADING) |\+PONG\r)/, "Redis"],
  [/^\+OK/, "POP3"],
  [/^\* (OK|BYE|PREAUTH)/, "IMAP"],
  [/^AMQP/, "AMQP"],
  [/^INFO \{/, "NATS"],
  [/^RFB \d/, "VNC"],
];

/** Undefined: the bytes do not show it. */
export function strangerIn(first: Uint8Array): Stranger | undefined {
  const bytes = Buffer.from(first.buffer, first.byteOffset, Math.min(first.length, FIRST_BYTES));
  if (isHello(bytes)) return "resplice";
  if (isTls(bytes)) return "TLS";
  if (isMysql(bytes)) return "MySQL";
  return whoBegins(bytes, REQUESTS) ?? whoBegins(bytes, ANSWERS);
}

/** A client says so: the bytes may hold its password, and at a client they are its own, sent back. */
export function isRequest(first: Uint8Array): boolean {
  return whoBegins(first.subarray(0, FIRST_BYTES), REQUESTS) !== undefined;
}

function whoBegins(first: Uint8Array, among: Beginnings): Stranger | undefined {
  const text = Buffer.from(first).toString("latin1");
  return among.find(([begins]) => begins.test(text))?.[1];
}

function isHello(bytes: Buffer): boolean {
  const isLong = bytes.length >= FRAME_HEADER_BYTES + 4;
  return isLong && bytes[0] === FrameType.hello && bytes.readUInt32BE(FRAME_HEADER_BYTES) === HELLO_MAGIC;
}

/** A record of the kind "alert" or "handshake", of version 3.0 to 3.4. */
function isTls([kind, major, minor]: Uint8Array): boolean {
  return (kind === 21 || kind === 22) && major === 3 && minor !== undefined && minor <= 4;
}

/** The first packet of a server: its length, the number 0, and 10, the version of the protocol. */
function isMysql([, two, three, number, version]: Uint8Array): boolean {
  return two === 0 && three === 0 && number === 0 && version === 10;
}

const FRAME_TYPES: ReadonlySet<number> = new Set(Object.values(FrameType));

/** The bytes may be frames of our own protocol. */
export function mayBeFrames(first: Uint8Array): boolean {
  return first.length >= 4 && FRAME_TYPES.has(first[0] as number) && first[2] === 0 && first[3] === 0;
}

/** For the end of a text about bytes that are not what was expected; empty if they do not show who speaks. */
export function looksLike(first: Uint8Array): string {
  const who = strangerIn(first);
  if (who === undefined) return "";
  return who === "TLS" ? "; it looks like TLS: only the other end has `tls`" : `; it looks like ${who}`;
}
