/** What is fed into the decoder: streams of frames, whole, damaged, and no frames at all, drawn from a seed. */
import { MAX_POSITION } from "../../src/core/wire/bytes.ts";
import {
  encodeConfirm,
  encodeDataHeader,
  encodeGoaway,
  encodeHello,
  encodePositionsFrame,
  encodeReady,
  encodeLater,
  encodeReason,
  encodeRefuse,
  encodeReset,
  encodeToken,
  encodeWelcome,
  FRAME_HEADER_BYTES,
  type Hello,
  MAX_CREDENTIALS_BYTES,
  MAX_DATA_BYTES,
  MAX_OPEN_PAYLOAD_BYTES,
  type Positions,
  REFUSE_CODES,
  type RefuseCode,
  RESET_CODES,
  type ResetCode,
  WELCOME_RESULTS,
} from "../../src/core/wire/frames.ts";
import { NO_INCARNATION } from "../../src/core/session/proof.ts";
import { Draw } from "./draw.ts";

/** Numbers at which something changes. */
const EDGES = [0, 1, 7, 8, 16, 180, 255, 256, 65_535, 65_536, 65_537, 2 ** 31, 2 ** 32 - 1];
const FRAMES_KEPT = 300;
const KEPT_FOR_INPUTS = 20_000;
const LARGEST_BYTES = 4 * (MAX_DATA_BYTES + 64);

export interface Input {
  /** Valid until the next one is drawn. */
  bytes: Buffer;
  /** Where it is cut, ascending. */
  cuts: readonly number[];
}

export class Inputs {
  readonly #draw: Draw;
  readonly #scratch: Buffer = Buffer.alloc(LARGEST_BYTES);
  #frames: Buffer[] = [];
  #drawn = 0;

  constructor(seed: number) {
    this.#draw = new Draw(seed);
  }

  next(): Input {
    if (this.#drawn++ % KEPT_FOR_INPUTS === 0) {
      this.#frames = Array.from({ length: FRAMES_KEPT }, () => anyFrame(this.#draw));
    }
    const draw = this.#draw;
    const bytes = draw.oneIn(10) ? this.#noise() : this.#stream();
    return { bytes, cuts: this.#cuts(bytes.length) };
  }

  #noise(): Buffer {
    const bytes = this.#scratch.subarray(0, 1 + this.#draw.below(200));
    this.#draw.fill(bytes);
    return bytes;
  }

  #stream(): Buffer {
    const draw = this.#draw;
    let length = 0;
    for (let frames = 1 + draw.below(4); frames > 0; frames--) {
      length += (this.#frames[draw.below(FRAMES_KEPT)] as Buffer).copy(this.#scratch, length);
    }
    // One in five stays whole.
    if (draw.oneIn(5)) return this.#scratch.subarray(0, length);
    for (let changes = 1 + draw.below(3); changes > 0 && length > 0; changes--) length = this.#damage(length);
    return this.#scratch.subarray(0, Math.max(1, length));
  }

  /** Answers how many bytes there are afterwards. */
  #damage(length: number): number {
    const draw = this.#draw;
    const bytes = this.#scratch;
    // Most of it where lengths, flags and positions stand.
    const at = draw.below(draw.oneIn(3) ? length : Math.min(length, 48));
    switch (draw.below(7)) {
      case 0:
        (bytes[at] as number) ^= 1 << draw.below(8);
        return length;
      case 1:
        bytes[at] = draw.below(256);
        return length;
      case 2:
        if (at + 4 <= length) bytes.writeUInt32BE(draw.of(EDGES), at);
        return length;
      case 3: // a hole
        return length - (length - at - bytes.copy(bytes, at, Math.min(length, at + 1 + draw.below(20)), length));
      case 4: {
        // a piece twice
        const piece = Math.min(1 + draw.below(40), length - at, bytes.length - length);
        bytes.copyWithin(at + piece, at, length);
        return length + piece;
      }
      case 5:
        return at;
      default: {
        // another frame's head in the middle
        const other = this.#frames[draw.below(FRAMES_KEPT)] as Buffer;
        return Math.max(length, at + other.copy(bytes, at, 0, draw.below(40)));
      }
    }
  }

  #cuts(length: number): number[] {
    const draw = this.#draw;
    if (length < 300 && draw.oneIn(20)) return Array.from({ length }, (_, at) => at);
    return Array.from({ length: draw.below(8) }, () => draw.below(length + 1)).toSorted((a, b) => a - b);
  }
}

/** A sound frame. One in a hundred is as large as it may be. */
export function anyFrame(draw: Draw): Buffer {
  switch (draw.below(12)) {
    case 0:
      return encodeHello("hello", anyHello(draw));
    case 1:
      return encodeHello("standby", { ...anyHello(draw), resume: true, fallback: undefined });
    case 2:
      return encodeWelcome({
        result: draw.of(WELCOME_RESULTS),
        incarnation: draw.bytes(16).toString("hex"),
        nonce: draw.bytes(16),
        positions: anyPositions(draw),
        goaway: draw.oneIn(2),
        maxMessageBytes: draw.below(2 ** 32),
        resumeForMs: draw.below(2 ** 32),
      });
    case 3:
      return encodeRefuse(draw.of(Object.keys(REFUSE_CODES) as RefuseCode[]), draw.of(EDGES));
    case 4:
      return encodeConfirm(draw.bytes(32));
    case 5:
      return encodePositionsFrame(draw.of(["ack", "commit", "committed"] as const), anyPositions(draw));
    case 6:
      return encodeToken(draw.of(["ping", "pong"] as const), anyPosition(draw));
    case 7:
      return draw.of([
        () => encodeReady(),
        () => encodeGoaway(draw.of(EDGES)),
        () => encodeLater(draw.of(EDGES)),
        () => encodeReason("née ".repeat(draw.below(80))),
      ])();
    case 8:
      return encodeReset(
        draw.of(Object.keys(RESET_CODES) as ResetCode[]),
        anyPosition(draw),
        "code".repeat(draw.below(17)),
      );
    case 9:
      return anyExtension(draw);
    default:
      return anyData(draw);
  }
}

function anyData(draw: Draw): Buffer {
  const bytes = draw.bytes(draw.oneIn(100) ? MAX_DATA_BYTES : draw.below(120));
  const end = bytes.length === 0 ? 1 : draw.of([0, 0, 0, 1, 2]);
  const offset = Math.min(anyPosition(draw), MAX_POSITION - bytes.length - 1);
  return Buffer.concat([encodeDataHeader(offset, bytes.length, end | (4 * draw.below(4))), bytes]);
}

function anyExtension(draw: Draw): Buffer {
  const frame = draw.bytes(FRAME_HEADER_BYTES + draw.below(60));
  frame.writeUInt32BE(frame.length - FRAME_HEADER_BYTES, 4);
  frame.writeUInt16BE(0, 2);
  frame[0] = 0x80 + draw.below(0x80);
  return frame;
}

function anyHello(draw: Draw): Hello {
  const resume = draw.oneIn(2);
  return {
    version: draw.oneIn(4) ? draw.below(256) : 1,
    mode: draw.oneIn(4) ? "bytes" : "messages",
    resume,
    sessionId: draw.bytes(16).toString("hex"),
    incarnation: resume ? draw.bytes(16).toString("hex") : NO_INCARNATION,
    generation: { epoch: anyPosition(draw), counter: anyPosition(draw) },
    instance: draw.bytes(16).toString("hex"),
    positions: anyPositions(draw),
    maxMessageBytes: draw.below(2 ** 32),
    secretOrProof: draw.bytes(32),
    fallback: resume && draw.oneIn(2) ? { id: draw.bytes(16).toString("hex"), secret: draw.bytes(32) } : undefined,
    credentials: draw.bytes(draw.oneIn(50) ? MAX_CREDENTIALS_BYTES : draw.below(40)),
    openPayload: draw.bytes(draw.oneIn(50) ? MAX_OPEN_PAYLOAD_BYTES : draw.below(40)),
  };
}

function anyPosition(draw: Draw): number {
  if (draw.oneIn(2)) return draw.of(EDGES);
  return draw.oneIn(3) ? MAX_POSITION - draw.below(70_000) : Math.floor(MAX_POSITION * draw.random());
}

function anyPositions(draw: Draw): Positions {
  const [one, other] = [anyPosition(draw), anyPosition(draw)];
  return {
    received: Math.max(one, other),
    accepted: Math.min(one, other),
    window: draw.of(EDGES),
    stop: draw.oneIn(4),
    done: draw.oneIn(4),
  };
}
