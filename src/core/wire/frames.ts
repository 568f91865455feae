/**
 * The frames of the session protocol (docs/protocol.md): their fields, their numbers on the wire, and how they are
 * written. `decoder.ts` reads them.
 *
 *     type u8 | flags u8 | zero u16 | body length u32 | body
 */
import { writePosition, writeUint32 } from "./bytes.ts";

/** Node makes the global a getter, which takes a tenth of the time of a small frame. */
const Bytes = Buffer;

export const PROTOCOL_VERSION = 1;
export const FRAME_HEADER_BYTES = 8;
export const DATA_HEADER_BYTES = 16;
/** An ACK, whole. */
export const ACK_BYTES = 28;
/** The most bytes of payload in a DATA frame: another frame waits behind no more than this. */
export const MAX_DATA_BYTES = 65_536;
export const MAX_CREDENTIALS_BYTES = 16_384;
export const MAX_OPEN_PAYLOAD_BYTES = 4_096;
export const MAX_ABORT_CODE_BYTES = 64;
export const MAX_REASON_BYTES = 256;
export const ID_BYTES = 16;
/** The id of a server: the first bytes of the incarnation of each session that it has opened. */
export const SERVER_ID_BYTES = 6;
export const SECRET_BYTES = 32;
export const PROOF_BYTES = 32;
export const NONCE_BYTES = 16;

/**
 * Numbers on the wire. A type of 0x80 or above that is unknown, or not expected now, is skipped. Any other type is a
 * bad frame in that case.
 */
export const FrameType = {
  hello: 1,
  welcome: 2,
  refuse: 3,
  confirm: 4,
  data: 5,
  ack: 6,
  ping: 7,
  pong: 8,
  standby: 9,
  ready: 10,
  commit: 11,
  committed: 12,
  goaway: 13,
  reset: 14,
  // 0x80 stays without a meaning: tests of skipped frames use it.
  reason: 0x81,
  later: 0x82,
} as const;
export type FrameName = keyof typeof FrameType;

/** Flags of DATA. */
export const DATA_END_FINAL = 1;
export const DATA_END_MOVED = 2;
/** The sender waits for acceptance: no delayed ACK. */
export const DATA_ACK_NOW = 4;
/** The sender has more than its credit allows: a larger window would help. */
export const DATA_BLOCKED = 8;
/** Flags of HELLO, WELCOME, ACK, COMMIT and COMMITTED. */
export const FLAG_STOP = 1;
export const FLAG_DONE = 2;
export const FLAG_GOAWAY = 4;
export const FLAG_RESUME = 16;
export const FLAG_FALLBACK = 32;

export type Mode = "messages" | "bytes";
/** Compared by epoch, then by counter. */
export type Generation = { epoch: number; counter: number };
/** The positions that each end states of its side of a session. `window` counts from `accepted`. */
export type Positions = { received: number; accepted: number; window: number; stop: boolean; done: boolean };

export interface Hello {
  version: number;
  mode: Mode;
  resume: boolean;
  /** Hexadecimal, as every id in the core. */
  sessionId: string;
  /** All zeros in an open. */
  incarnation: string;
  generation: Generation;
  instance: string;
  positions: Positions;
  maxMessageBytes: number;
  /** In an open this is the session's secret, else the proof that the sender knows the secret. */
  secretOrProof: Buffer;
  fallback: { id: string; secret: Buffer } | undefined;
  credentials: Buffer;
  openPayload: Buffer;
}

/** In the order of their numbers on the wire. */
export const WELCOME_RESULTS = ["new", "resumed", "lost"] as const;

export interface Welcome {
  result: (typeof WELCOME_RESULTS)[number];
  incarnation: string;
  nonce: Buffer;
  positions: Positions;
  goaway: boolean;
  maxMessageBytes: number;
  resumeForMs: number;
}

export type RefuseCode = keyof typeof REFUSE_CODES;
export const REFUSE_CODES = {
  "taken-over": 1,
  authentication: 2,
  mismatch: 3,
  "session-lost": 4,
  stale: 5,
  overloaded: 6,
  "authentication-unavailable": 7,
  "no-standby": 8,
  draining: 9,
} as const;

export type ResetCode = keyof typeof RESET_CODES;
export const RESET_CODES = { aborted: 1, "handler-failed": 2, "close-timeout": 3, protocol: 4 } as const;

export type HelloFrame = {
  type: "hello" | "standby";
  hello: Hello;
  /** The whole frame, over which the proof of a resume or a standby is computed; empty in an open, which has none. */
  raw: Buffer;
};

export type Frame =
  | HelloFrame
  | { type: "welcome"; welcome: Welcome }
  | { type: "refuse"; code: RefuseCode; retryAfterMs: number }
  | { type: "confirm"; mac: Buffer }
  | { type: "ack" | "commit"; positions: Positions }
  | { type: "committed"; positions: Positions; goaway: boolean }
  | { type: "ping" | "pong"; token: number }
  | { type: "ready" }
  | { type: "goaway"; deadlineMs: number }
  | { type: "reset"; code: ResetCode; accepted: number; reason: string }
  | { type: "reason"; text: string }
  | { type: "later"; retryAfterMs: number };

/**
 * Writes the nearest number that fits: a number that comes from options or arithmetic must not make a process throw.
 */
function writeClamped(into: Buffer, at: number, value: number): void {
  writeUint32(into, at, Math.min(0xffff_ffff, Math.max(0, Math.ceil(value))));
}

function encodePositions(into: Buffer, at: number, positions: Positions): number {
  writePosition(into, at, positions.received);
  writePosition(into, at + 8, positions.accepted);
  writeClamped(into, at + 16, positions.window);
  return (positions.stop ? FLAG_STOP : 0) | (positions.done ? FLAG_DONE : 0);
}

export const HELLO_MAGIC = 0x52_53_50_4c; // "RSPL"
/** Where the secret or proof stands in a HELLO frame, header included. */
export const HELLO_PROOF_AT: number = FRAME_HEADER_BYTES + 96;

/** Where the incarnation stands in a HELLO or STANDBY frame, header included. */
export const INCARNATION_AT: number = FRAME_HEADER_BYTES + 24;

export function encodeHello(type: "hello" | "standby", hello: Hello): Buffer {
  const credentialsEnd = FRAME_HEADER_BYTES + 180 + hello.credentials.length;
  const frame = Buffer.alloc(credentialsEnd + hello.openPayload.length);
  const body = frame.subarray(FRAME_HEADER_BYTES);
  body.writeUInt32BE(HELLO_MAGIC, 0);
  body[4] = hello.version;
  body[5] = hello.mode === "messages" ? 0 : 1;
  body.write(hello.sessionId, 8, "hex");
  body.write(hello.incarnation, 24, "hex");
  writePosition(body, 40, hello.generation.epoch);
  writePosition(body, 48, hello.generation.counter);
  body.write(hello.instance, 56, "hex");
  let flags = encodePositions(body, 72, hello.positions) | (hello.resume ? FLAG_RESUME : 0);
  writeClamped(body, 92, hello.maxMessageBytes);
  hello.secretOrProof.copy(body, 96);
  if (hello.fallback !== undefined) {
    flags |= FLAG_FALLBACK;
    body.write(hello.fallback.id, 128, "hex");
    hello.fallback.secret.copy(body, 144);
  }
  body.writeUInt16BE(hello.credentials.length, 176);
  body.writeUInt16BE(hello.openPayload.length, 178);
  hello.credentials.copy(body, 180);
  hello.openPayload.copy(frame, credentialsEnd);
  return writeHeader(frame, type, flags);
}

export function encodeWelcome(welcome: Welcome): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + 64);
  const body = frame.subarray(FRAME_HEADER_BYTES);
  body[0] = WELCOME_RESULTS.indexOf(welcome.result);
  body.write(welcome.incarnation, 4, "hex");
  welcome.nonce.copy(body, 20);
  const flags = encodePositions(body, 36, welcome.positions) | (welcome.goaway ? FLAG_GOAWAY : 0);
  writeClamped(body, 56, welcome.maxMessageBytes);
  writeClamped(body, 60, welcome.resumeForMs);
  return writeHeader(frame, "welcome", flags);
}

export function encodeRefuse(code: RefuseCode, retryAfterMs: number): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + 8);
  frame.writeUInt32BE(REFUSE_CODES[code], FRAME_HEADER_BYTES);
  writeClamped(frame, FRAME_HEADER_BYTES + 4, retryAfterMs);
  return writeHeader(frame, "refuse", 0);
}

export function encodeConfirm(mac: Buffer): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + PROOF_BYTES);
  mac.copy(frame, FRAME_HEADER_BYTES);
  return writeHeader(frame, "confirm", 0);
}

export function encodePositionsFrame(
  type: "ack" | "commit" | "committed",
  positions: Positions,
  goaway = false,
): Buffer {
  const frame = Bytes.allocUnsafe(ACK_BYTES);
  const flags = encodePositions(frame, FRAME_HEADER_BYTES, positions) | (goaway ? FLAG_GOAWAY : 0);
  return writeHeader(frame, type, flags);
}

/** `token` is any number up to 2^53, echoed in the PONG. */
export function encodeToken(type: "ping" | "pong", token: number): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + 8);
  writePosition(frame, FRAME_HEADER_BYTES, token);
  return writeHeader(frame, type, 0);
}

export function encodeReady(): Buffer {
  return writeHeader(Buffer.alloc(FRAME_HEADER_BYTES), "ready", 0);
}

export function encodeGoaway(deadlineMs: number): Buffer {
  return encodeTime("goaway", deadlineMs);
}

/** The server asks the client of a live session to come back after `retryAfterMs`, and lets go of the connection. */
export function encodeLater(retryAfterMs: number): Buffer {
  return encodeTime("later", retryAfterMs);
}

function encodeTime(type: "goaway" | "later", ms: number): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + 4);
  writeClamped(frame, FRAME_HEADER_BYTES, ms);
  return writeHeader(frame, type, 0);
}

/** `reason` is the application's own code, at most 64 bytes of UTF-8. */
export function encodeReset(code: ResetCode, accepted: number, reason: string): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + 12 + Buffer.byteLength(reason));
  frame.writeUInt32BE(RESET_CODES[code], FRAME_HEADER_BYTES);
  writePosition(frame, FRAME_HEADER_BYTES + 4, accepted);
  frame.write(reason, FRAME_HEADER_BYTES + 12);
  return writeHeader(frame, "reset", 0);
}

/** The application's reason, sent before a REFUSE: as many characters as fit into 256 bytes of UTF-8. */
export function encodeReason(text: string): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES + MAX_REASON_BYTES);
  // write() never writes a part of a character.
  const bytes = frame.write(text, FRAME_HEADER_BYTES);
  return writeHeader(frame.subarray(0, FRAME_HEADER_BYTES + bytes), "reason", 0);
}

/**
 * The 16 bytes before the payload of a DATA frame, which follows as it stands in the log. `room`: for bytes behind the
 * header that the caller writes.
 */
export function encodeDataHeader(offset: number, bytes: number, flags: number, room = 0): Buffer {
  const header = Bytes.allocUnsafe(DATA_HEADER_BYTES + room);
  header[0] = FrameType.data;
  header[1] = flags;
  header[2] = 0;
  header[3] = 0;
  writeUint32(header, 4, bytes + 8);
  writePosition(header, FRAME_HEADER_BYTES, offset);
  return header;
}

function writeHeader(frame: Buffer, type: FrameName, flags: number): Buffer {
  frame[0] = FrameType[type];
  frame[1] = flags;
  frame[2] = 0;
  frame[3] = 0;
  writeUint32(frame, 4, frame.length - FRAME_HEADER_BYTES);
  return frame;
}
