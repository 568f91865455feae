/**
 * Cuts the received bytes into frames. A frame is checked as soon as its header is here, before anything is allocated
 * for it. The body of DATA is handed on in the pieces in which it arrives, so a large frame is never gathered; any
 * other frame is small.
 */
import { isZero, MAX_POSITION, NOT_A_POSITION, ownCopy, readPosition, readUint32 } from "./bytes.ts";
import { type Fault, fault } from "./faults.ts";
import { releaseChunk } from "./own-chunks.ts";
import { type Rule, RULES } from "./frame-rules.ts";
import {
  ACK_BYTES,
  DATA_END_FINAL,
  DATA_END_MOVED,
  DATA_HEADER_BYTES,
  FLAG_DONE,
  FLAG_FALLBACK,
  FLAG_GOAWAY,
  FLAG_RESUME,
  FLAG_STOP,
  type Frame,
  FRAME_HEADER_BYTES,
  type FrameName,
  FrameType,
  type Hello,
  HELLO_MAGIC,
  MAX_CREDENTIALS_BYTES,
  MAX_DATA_BYTES,
  MAX_OPEN_PAYLOAD_BYTES,
  type Positions,
  REFUSE_CODES,
  RESET_CODES,
  type Welcome,
  WELCOME_RESULTS,
} from "./frames.ts";

const NOTHING = Buffer.alloc(0);
const IMPOSSIBLE: Fault = fault("impossible-position", "positions out of order or beyond 2^53");
const DATA_RULE = RULES[FrameType.data] as Rule;
const ACK_RULE = RULES[FrameType.ack] as Rule;
const FIRST_SKIPPABLE_TYPE = 0x80;
const MAX_SKIPPED_BYTES = 65_536;
/** A peer that waits for an answer has little to say; one chunk of a socket has so much. */
const MAX_HELD_BYTES = 65_536;

export interface FrameSink {
  onFrame(frame: Frame): void;
  /** A piece of a DATA frame. `flags` are the frame's with its last piece, else 0. */
  onData(offset: number, bytes: Buffer, flags: number): void;
}

/** Cuts a stream of bytes into frames. After a fault, or `stop()`, it takes nothing more. */
export class FrameDecoder {
  /**
   * The frames that are legal now (see `frameMask`). Others are refused by their header alone; extensions are skipped.
   */
  expect: number;
  #stopped = false;
  /** The beginning of a frame, or of a header, that has not arrived whole. */
  #held: Buffer | undefined;
  #heldBytes = 0;
  #dataOffset = 0;
  #dataLeft = 0;
  #dataFlags = 0;
  #skipLeft = 0;
  /** The sink was given a view of the chunk that is being taken. */
  #isHandedOn = false;
  /** The bytes that have come since `hold()`; undefined if nothing is held. */
  #rest: Buffer[] | undefined;
  #restBytes = 0;

  constructor(expect: number) {
    this.expect = expect;
  }

  /** Drops the rest of the chunk, and everything later: the sink has closed the connection. */
  stop(): void {
    this.#stopped = true;
    this.#held = undefined;
    this.#rest = undefined;
  }

  /** Takes nothing more for now: keeps the bytes behind the frame that is being taken, until `release()`. */
  hold(): void {
    this.#stopped = true;
    this.#rest = [];
    this.#restBytes = 0;
  }

  /** Answers the bytes that were kept. From now on frames are taken again. */
  release(): Buffer {
    const rest = Buffer.concat(this.#rest ?? []);
    this.#rest = undefined;
    this.#stopped = false;
    return rest;
  }

  /**
   * Frees a chunk of our own (see own-chunks.ts) unless the sink was given a view of it: all other frames are copies.
   */
  push(chunk: Buffer, sink: FrameSink): Fault | undefined {
    this.#isHandedOn = false;
    const problem = this.#take(chunk, sink);
    if (!this.#isHandedOn) releaseChunk(chunk.buffer);
    return problem;
  }

  #take(chunk: Buffer, sink: FrameSink): Fault | undefined {
    let at = 0;
    while (at < chunk.length && !this.#stopped) {
      if (this.#dataLeft > 0) {
        at = this.#pushData(chunk, at, sink);
      } else if (this.#skipLeft > 0) {
        const skipped = Math.min(this.#skipLeft, chunk.length - at);
        this.#skipLeft -= skipped;
        at += skipped;
      } else if (this.#held === undefined) {
        const need = this.#bytesNeeded(chunk, at, chunk.length - at);
        if (typeof need !== "number") return this.#fail(need);
        if (chunk.length - at < need) {
          this.#held = Buffer.allocUnsafeSlow(need);
          this.#heldBytes = chunk.copy(this.#held, 0, at);
          return undefined;
        }
        const problem = this.#frame(chunk, at, need, sink);
        if (problem !== undefined) return this.#fail(problem);
        at += need;
      } else {
        const copied = chunk.copy(this.#held, this.#heldBytes, at);
        this.#heldBytes += copied;
        at += copied;
        if (this.#heldBytes < this.#held.length) return undefined;
        const need = this.#bytesNeeded(this.#held, 0, this.#heldBytes);
        if (typeof need !== "number") return this.#fail(need);
        if (need > this.#held.length) {
          const larger = Buffer.allocUnsafeSlow(need);
          this.#held.copy(larger);
          this.#held = larger;
          continue;
        }
        const whole = this.#held;
        this.#held = undefined;
        const problem = this.#frame(whole, 0, whole.length, sink);
        if (problem !== undefined) return this.#fail(problem);
      }
    }
    return this.#rest === undefined || at === chunk.length ? undefined : this.#keep(chunk.subarray(at), this.#rest);
  }

  #keep(bytes: Buffer, rest: Buffer[]): Fault | undefined {
    this.#restBytes += bytes.length;
    if (this.#restBytes > MAX_HELD_BYTES) return this.#fail(fault("oversized", `${this.#restBytes} bytes held`));
    rest.push(ownCopy(bytes));
    return undefined;
  }

  #fail(problem: Fault): Fault {
    this.stop();
    return problem;
  }

  #pushData(chunk: Buffer, at: number, sink: FrameSink): number {
    const bytes = Math.min(this.#dataLeft, chunk.length - at);
    const offset = this.#dataOffset;
    this.#dataOffset += bytes;
    this.#dataLeft -= bytes;
    this.#isHandedOn = true;
    sink.onData(offset, chunk.subarray(at, at + bytes), this.#dataLeft === 0 ? this.#dataFlags : 0);
    return at + bytes;
  }

  /** What the chunk begins with, if that is an ACK without flags, and something stands behind it. */
  leadingAck(chunk: Buffer): Positions | undefined {
    if (chunk[0] !== FrameType.ack || chunk.length <= ACK_BYTES || !this.#begins(chunk, 0, ACK_RULE, ACK_BYTES))
      return undefined;
    return decodePositions(0, chunk, FRAME_HEADER_BYTES);
  }

  /**
   * The position of the DATA that is all of the chunk from `at` on, as one frame without flags; -1 if anything else is
   * there. Such a chunk may be taken without `push()`.
   */
  loneData(chunk: Buffer, at: number): number {
    const whole = chunk.length - at;
    const bytes = whole - DATA_HEADER_BYTES;
    if (bytes <= 0 || bytes > MAX_DATA_BYTES || !this.#begins(chunk, at, DATA_RULE, whole)) return -1;
    const offset = readPosition(chunk, at + FRAME_HEADER_BYTES);
    return offset + bytes < MAX_POSITION ? offset : -1;
  }

  /** A frame of that kind and size, without flags, begins there, and is expected now. */
  #begins(chunk: Buffer, at: number, rule: Rule, bytes: number): boolean {
    if (this.#stopped || this.#held !== undefined || this.#dataLeft > 0 || this.#skipLeft > 0) return false;
    const isOfKind = readUint32(chunk, at) === rule.type * 0x1_00_00_00;
    return isOfKind && readUint32(chunk, at + 4) === bytes - FRAME_HEADER_BYTES && this.#expects(rule);
  }

  /** How many bytes must be here before the frame at `at` can be taken: all of it, or the header of DATA. */
  #bytesNeeded(from: Buffer, at: number, available: number): number | Fault {
    if (available < FRAME_HEADER_BYTES) return FRAME_HEADER_BYTES;
    const type = from[at] as number;
    const flags = from[at + 1] as number;
    const length = readUint32(from, at + 4);
    if (from[at + 2] !== 0 || from[at + 3] !== 0) return fault("bad-frame", "the header's reserved bits are not zero");
    const rule = RULES[type];
    if (rule === undefined || !this.#expects(rule)) {
      const what = rule === undefined ? `unknown frame type ${type}` : `unexpected ${rule.name} frame`;
      if (type < FIRST_SKIPPABLE_TYPE) return fault("bad-frame", what);
      return length > MAX_SKIPPED_BYTES ? fault("oversized", `extension frame of ${length} bytes`) : FRAME_HEADER_BYTES;
    }
    const { name } = rule;
    if (length > rule.maxBytes) return fault("oversized", `${name} frame of ${length} bytes`);
    if (length < rule.minBytes) return fault("bad-frame", `${name} frame of ${length} bytes`);
    if ((flags & ~rule.flags) !== 0) return fault("bad-frame", `${name} frame with flags ${flags}`);
    return type === FrameType.data ? DATA_HEADER_BYTES : FRAME_HEADER_BYTES + length;
  }

  #frame(from: Buffer, at: number, bytes: number, sink: FrameSink): Fault | undefined {
    const type = from[at] as number;
    const flags = from[at + 1] as number;
    const length = readUint32(from, at + 4);
    if (type === FrameType.data) return this.#dataHeader(from, at, flags, length, sink);
    const rule = RULES[type];
    if (rule === undefined || !this.#expects(rule)) {
      // The frame may be here whole, if it was expected when it began to arrive.
      this.#skipLeft = length - (bytes - FRAME_HEADER_BYTES);
      return undefined;
    }
    const { name } = rule;
    // ACKs are the most frequent frames beside DATA.
    if (name === "ack") {
      const positions = decodePositions(flags, from, at + FRAME_HEADER_BYTES);
      if (positions === undefined) return IMPOSSIBLE;
      sink.onFrame({ type: name, positions });
      return undefined;
    }
    const body = from.subarray(at + FRAME_HEADER_BYTES, at + bytes);
    const frame = decodeBody(name as Exclude<FrameName, "data" | "ack">, flags, body, from.subarray(at, at + bytes));
    if ("detail" in frame) return frame;
    sink.onFrame(frame);
    return undefined;
  }

  #expects(rule: Rule): boolean {
    return (this.expect & rule.bit) !== 0;
  }

  #dataHeader(from: Buffer, at: number, flags: number, length: number, sink: FrameSink): Fault | undefined {
    const offset = readPosition(from, at + FRAME_HEADER_BYTES);
    const bytes = length - 8;
    const end = flags & (DATA_END_FINAL | DATA_END_MOVED);
    if (offset === NOT_A_POSITION) return fault("impossible-position", "DATA beyond 2^53");
    if (offset + bytes >= MAX_POSITION) return fault("impossible-position", "DATA beyond 2^53");
    if (end === (DATA_END_FINAL | DATA_END_MOVED)) return fault("bad-frame", "DATA with two kinds of end");
    if (bytes === 0 && end === 0) return fault("bad-frame", "DATA without bytes");
    this.#dataOffset = offset;
    this.#dataLeft = bytes;
    this.#dataFlags = flags;
    if (bytes === 0) sink.onData(offset, NOTHING, flags);
    return undefined;
  }
}

function decodeBody(name: Exclude<FrameName, "data" | "ack">, flags: number, body: Buffer, raw: Buffer): Frame | Fault {
  switch (name) {
    case "hello":
    case "standby": {
      const hello = decodeHello(name, flags, body);
      return "detail" in hello ? hello : { type: name, hello, raw: hello.resume ? ownCopy(raw) : NOTHING };
    }
    case "welcome": {
      const welcome = decodeWelcome(flags, body);
      return "detail" in welcome ? welcome : { type: name, welcome };
    }
    case "refuse": {
      const code = nameOf(REFUSE_CODES, body.readUInt32BE(0));
      return code === undefined
        ? fault("bad-frame", "unknown REFUSE code")
        : { type: name, code, retryAfterMs: body.readUInt32BE(4) };
    }
    case "confirm":
      return { type: name, mac: ownCopy(body) };
    case "commit": {
      const positions = decodePositions(flags, body, 0);
      return positions === undefined ? IMPOSSIBLE : { type: name, positions };
    }
    case "committed": {
      const positions = decodePositions(flags, body, 0);
      return positions === undefined ? IMPOSSIBLE : { type: name, positions, goaway: (flags & FLAG_GOAWAY) !== 0 };
    }
    case "ping":
    case "pong": {
      const token = readPosition(body, 0);
      return token === NOT_A_POSITION ? fault("bad-frame", "token above 2^53") : { type: name, token };
    }
    case "ready":
      return { type: name };
    case "goaway":
      return { type: name, deadlineMs: body.readUInt32BE(0) };
    case "reset": {
      const code = nameOf(RESET_CODES, body.readUInt32BE(0));
      const accepted = readPosition(body, 4);
      if (code === undefined) return fault("bad-frame", "unknown RESET code");
      if (accepted === NOT_A_POSITION) return fault("impossible-position", "RESET beyond 2^53");
      return { type: name, code, accepted, reason: body.toString("utf8", 12) };
    }
    case "reason":
      return { type: name, text: body.toString("utf8") };
    case "later":
      return { type: name, retryAfterMs: body.readUInt32BE(0) };
  }
}

/** Undefined: `IMPOSSIBLE`. */
function decodePositions(flags: number, body: Buffer, at: number): Positions | undefined {
  const received = readPosition(body, at);
  const accepted = readPosition(body, at + 8);
  if (received === NOT_A_POSITION || accepted === NOT_A_POSITION || accepted > received) return undefined;
  return {
    received,
    accepted,
    window: readUint32(body, at + 16),
    stop: (flags & FLAG_STOP) !== 0,
    done: (flags & FLAG_DONE) !== 0,
  };
}

function decodeHello(name: "hello" | "standby", flags: number, body: Buffer): Hello | Fault {
  if (body.readUInt32BE(0) !== HELLO_MAGIC) return fault("bad-frame", "HELLO without its magic");
  const mode = body[5] as number;
  const positions = decodePositions(flags, body, 72);
  const epoch = readPosition(body, 40);
  const counter = readPosition(body, 48);
  const credentialsBytes = body.readUInt16BE(176);
  const openPayloadBytes = body.readUInt16BE(178);
  const resume = (flags & FLAG_RESUME) !== 0;
  const hasFallback = (flags & FLAG_FALLBACK) !== 0;
  if (positions === undefined) return IMPOSSIBLE;
  if (mode > 1 || body.readUInt16BE(6) !== 0) return fault("bad-frame", `HELLO with mode ${mode}`);
  if (epoch === NOT_A_POSITION || counter === NOT_A_POSITION) return fault("bad-frame", "generation above 2^53");
  if (credentialsBytes > MAX_CREDENTIALS_BYTES) return fault("oversized", `credentials of ${credentialsBytes} bytes`);
  if (openPayloadBytes > MAX_OPEN_PAYLOAD_BYTES) return fault("oversized", `open payload of ${openPayloadBytes} bytes`);
  if (body.length !== 180 + credentialsBytes + openPayloadBytes) return fault("bad-frame", "HELLO of a wrong length");
  if (name === "standby" && !resume) return fault("bad-frame", "STANDBY without resume");
  if (!resume && (hasFallback || !isZero(body, 24, 40))) return fault("bad-frame", "an open with parts of a resume");
  if (!hasFallback && !isZero(body, 128, 176)) return fault("bad-frame", "a fallback without its flag");
  return {
    version: body[4] as number,
    mode: mode === 0 ? "messages" : "bytes",
    resume,
    sessionId: body.toString("hex", 8, 24),
    incarnation: body.toString("hex", 24, 40),
    generation: { epoch, counter },
    instance: body.toString("hex", 56, 72),
    positions,
    maxMessageBytes: body.readUInt32BE(92),
    secretOrProof: ownCopy(body.subarray(96, 128)),
    fallback: hasFallback
      ? { id: body.toString("hex", 128, 144), secret: ownCopy(body.subarray(144, 176)) }
      : undefined,
    credentials: ownCopy(body.subarray(180, 180 + credentialsBytes)),
    openPayload: openPayloadBytes === 0 ? NOTHING : ownCopy(body.subarray(180 + credentialsBytes)),
  };
}

function decodeWelcome(flags: number, body: Buffer): Welcome | Fault {
  const result = WELCOME_RESULTS[body[0] as number];
  const positions = decodePositions(flags, body, 36);
  if (result === undefined || !isZero(body, 1, 4)) return fault("bad-frame", "unknown WELCOME result");
  if (positions === undefined) return IMPOSSIBLE;
  return {
    result,
    incarnation: body.toString("hex", 4, 20),
    nonce: ownCopy(body.subarray(20, 36)),
    positions,
    goaway: (flags & FLAG_GOAWAY) !== 0,
    maxMessageBytes: body.readUInt32BE(56),
    resumeForMs: body.readUInt32BE(60),
  };
}

function nameOf<T extends Record<string, number>>(codes: T, number: number): keyof T | undefined {
  return Object.keys(codes).find((name) => codes[name] === number);
}
