import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, type MockInstance, test, vi } from "vitest";
import { MAX_POSITION, writePosition } from "../../../src/core/wire/bytes.ts";
import { FrameDecoder } from "../../../src/core/wire/decoder.ts";
import { frameMask } from "../../../src/core/wire/frame-rules.ts";
import { NO_INCARNATION } from "../../../src/core/session/proof.ts";
import { ownChunk } from "../../../src/core/wire/own-chunks.ts";
import {
  DATA_ACK_NOW,
  DATA_END_FINAL,
  DATA_END_MOVED,
  DATA_HEADER_BYTES,
  encodeDataHeader,
  encodeHello,
  encodePositionsFrame,
  encodeReady,
  encodeReason,
  encodeRefuse,
  encodeReset,
  encodeToken,
  encodeWelcome,
  type Frame,
  FRAME_HEADER_BYTES,
  type FrameName,
  FrameType,
  type Hello,
  MAX_ABORT_CODE_BYTES,
  MAX_CREDENTIALS_BYTES,
  MAX_DATA_BYTES,
  MAX_OPEN_PAYLOAD_BYTES,
  MAX_REASON_BYTES,
  type Positions,
  type Welcome,
} from "../../../src/core/wire/frames.ts";
import { buffer, cut, cuts } from "./arbitraries.ts";
import { Collector, decoded, EVERY_FRAME } from "../support.ts";

const FRAME_NAMES = Object.keys(FrameType) as FrameName[];
/** A frame of such a type is skipped where it is not expected. */
const isExtension = (type: number): boolean => type >= 0x80;

/** The largest frame that is gathered whole. */
const MOST_HELD_BYTES = FRAME_HEADER_BYTES + 180 + MAX_CREDENTIALS_BYTES + MAX_OPEN_PAYLOAD_BYTES;

let held: MockInstance<typeof Buffer.allocUnsafeSlow>;
beforeEach(() => {
  held = vi.spyOn(Buffer, "allocUnsafeSlow");
});
afterEach(() => {
  held.mockRestore();
});
const mostHeld = (): number => Math.max(0, ...held.mock.calls.map(([bytes]) => bytes));

// ── DATA in pieces ────────────────────────────────────────────────────────────────────────────────────────────────────

describe("the body of DATA", () => {
  test("is handed on piece by piece as it arrives, uncopied, with the flags at the last", () => {
    const payload = Buffer.alloc(MAX_DATA_BYTES, "abcdefg");
    const decoder = new FrameDecoder(frameMask("data"));
    const pieces: Array<[number, Buffer, number]> = [];
    const sink = { onFrame: () => {}, onData: (...piece: [number, Buffer, number]) => void pieces.push(piece) };
    decoder.push(encodeDataHeader(1_000, payload.length, DATA_END_FINAL), sink);
    expect(pieces).toEqual([]);
    for (let at = 0; at < payload.length; at += 1_024) {
      const chunk = payload.subarray(at, at + 1_024);
      expect(decoder.push(chunk, sink)).toBeUndefined();
      const [offset, bytes, flags] = pieces.at(-1) as [number, Buffer, number];
      expect([offset, bytes.length, flags]).toEqual([
        1_000 + at,
        1_024,
        at + 1_024 < payload.length ? 0 : DATA_END_FINAL,
      ]);
      expect([bytes.buffer, bytes.byteOffset]).toEqual([chunk.buffer, chunk.byteOffset]);
    }
    expect(pieces).toHaveLength(64);
    expect(mostHeld()).toBe(0);
  });

  test("needs no more than its header to be here, and no more is held for it", () => {
    const decoder = new FrameDecoder(frameMask("data"));
    const sink = new Collector();
    const bytes = Buffer.concat([encodeDataHeader(0, MAX_DATA_BYTES, 0), Buffer.of(1, 2)]);
    for (const byte of bytes) decoder.push(Buffer.of(byte), sink);
    expect(sink.seen).toHaveLength(2);
    expect(mostHeld()).toBe(DATA_HEADER_BYTES);
  });

  test("may be missing where the frame is only an end", () => {
    expect(decoded(encodeDataHeader(17, 0, DATA_END_MOVED))).toEqual([
      { type: "data", offset: 17, bytes: Buffer.alloc(0), flags: DATA_END_MOVED },
    ]);
  });
});

// ── what is not a frame ───────────────────────────────────────────────────────────────────────────────────────────────

const A_HELLO: Hello = {
  version: 1,
  mode: "messages",
  resume: true,
  sessionId: "11".repeat(16),
  incarnation: "22".repeat(16),
  generation: { epoch: 1, counter: 2 },
  instance: "33".repeat(16),
  positions: { received: 5, accepted: 5, window: 100, stop: false, done: false },
  maxMessageBytes: 1_000,
  secretOrProof: Buffer.alloc(32, 4),
  fallback: undefined,
  credentials: Buffer.from("token"),
  openPayload: Buffer.from("target"),
};
const AN_OPEN: Hello = { ...A_HELLO, resume: false, incarnation: NO_INCARNATION };
const A_WELCOME: Welcome = {
  result: "resumed",
  incarnation: "22".repeat(16),
  nonce: Buffer.alloc(16, 5),
  positions: A_HELLO.positions,
  goaway: false,
  maxMessageBytes: 1_000,
  resumeForMs: 300_000,
};
const NOTHING_RECEIVED: Positions = { received: 0, accepted: 0, window: 0, stop: false, done: false };

/** `frame` with the bytes at `at` replaced. */
function patched(frame: Buffer, at: number, ...bytes: number[]): Buffer {
  frame.set(bytes, at);
  return frame;
}

function beyondLastPosition(frame: Buffer, at: number): Buffer {
  return patched(frame, FRAME_HEADER_BYTES + at, 0, 0x20, 0, 0, 0, 0, 0, 0);
}

function withEnd(offset: number, flags: number): Buffer {
  return encodeDataHeader(offset, 0, flags);
}

function header(type: number, flags: number, bytes: number): Buffer {
  const frame = Buffer.alloc(FRAME_HEADER_BYTES);
  frame.set([type, flags]);
  frame.writeUInt32BE(bytes, 4);
  return frame;
}

describe("a frame is refused by its header alone", () => {
  test.each<[string, Buffer, string]>([
    ["reserved bits that are set", patched(encodeReady(), 2, 1), "bad-frame"],
    ["reserved bits that are set in an extension", patched(header(0x80, 0, 0), 3, 1), "bad-frame"],
    ["type 0", header(0, 0, 0), "bad-frame"],
    ["an unknown type that may not be skipped", header(0x7f, 0, 0), "bad-frame"],
    ["an extension too large to skip", header(0x80, 0, 65_537), "oversized"],
    ["DATA of 4 GiB", header(FrameType.data, 0, 0xffff_ffff), "oversized"],
    ["DATA one byte too large", header(FrameType.data, 0, 8 + MAX_DATA_BYTES + 1), "oversized"],
    ["DATA too short for its offset", header(FrameType.data, 0, 7), "bad-frame"],
    ["HELLO of 4 GiB", header(FrameType.hello, 0, 0xffff_ffff), "oversized"],
    ["HELLO one byte too large", header(FrameType.hello, 0, MOST_HELD_BYTES - FRAME_HEADER_BYTES + 1), "oversized"],
    ["HELLO too short", header(FrameType.hello, 0, 179), "bad-frame"],
    ["WELCOME too short", header(FrameType.welcome, 0, 63), "bad-frame"],
    ["CONFIRM with half a MAC", header(FrameType.confirm, 0, 16), "bad-frame"],
    ["ACK too large", header(FrameType.ack, 0, 21), "oversized"],
    ["READY with a body", header(FrameType.ready, 0, 1), "oversized"],
    ["RESET with a reason above 64 bytes", header(FrameType.reset, 0, 12 + 65), "oversized"],
    ["REASON above 256 bytes", header(FrameType.reason, 0, 257), "oversized"],
    ["REASON with flags", header(FrameType.reason, 1, 5), "bad-frame"],
    ["ACK with flags it has not", header(FrameType.ack, 4, 20), "bad-frame"],
    ["DATA with flags it has not", header(FrameType.data, 16, 9), "bad-frame"],
    ["STANDBY with a fallback", header(FrameType.standby, 16 | 32, 180), "bad-frame"],
    ["PING with flags", header(FrameType.ping, 1, 8), "bad-frame"],
  ])("%s", (_, bytes, code) => {
    const sink = new Collector();
    expect(new FrameDecoder(EVERY_FRAME).push(bytes.subarray(0, FRAME_HEADER_BYTES), sink)).toMatchObject({ code });
    expect(sink.seen).toEqual([]);
    expect(held).not.toHaveBeenCalled();
  });

  const openBytes = 180 + MAX_CREDENTIALS_BYTES + MAX_OPEN_PAYLOAD_BYTES;
  const shapes: Record<FrameName, { flags: number; least: number; most: number }> = {
    hello: { flags: 1 | 2 | 16 | 32, least: 180, most: openBytes },
    welcome: { flags: 1 | 2 | 4, least: 64, most: 64 },
    refuse: { flags: 0, least: 8, most: 8 },
    confirm: { flags: 0, least: 32, most: 32 },
    data: { flags: 1 | 2 | 4 | 8, least: 8, most: 8 + MAX_DATA_BYTES },
    ack: { flags: 1 | 2, least: 20, most: 20 },
    ping: { flags: 0, least: 8, most: 8 },
    pong: { flags: 0, least: 8, most: 8 },
    standby: { flags: 1 | 2 | 16, least: 180, most: openBytes },
    ready: { flags: 0, least: 0, most: 0 },
    commit: { flags: 1 | 2, least: 20, most: 20 },
    committed: { flags: 1 | 2 | 4, least: 20, most: 20 },
    goaway: { flags: 0, least: 4, most: 4 },
    reset: { flags: 0, least: 12, most: 12 + MAX_ABORT_CODE_BYTES },
    reason: { flags: 0, least: 0, most: MAX_REASON_BYTES },
    later: { flags: 0, least: 4, most: 4 },
  };
  test.each(FRAME_NAMES.map((name) => ({ name, ...shapes[name] })))(
    "a $name frame with other flags than $flags, or a body of fewer bytes than $least or more than $most",
    ({ name, flags, least, most }) => {
      const verdict = (given: number, bytes: number): string => {
        // One byte less than the frame, so that nothing but its header is judged.
        const short = Buffer.concat([header(FrameType[name], given, bytes), Buffer.alloc(Math.max(0, bytes - 1))]);
        return new FrameDecoder(EVERY_FRAME).push(short, new Collector())?.code ?? "goes on";
      };
      const ends = name === "data" ? 1 : 0;
      if (least > 0) expect(verdict(ends, least - 1)).toBe("bad-frame");
      expect(verdict(ends, most + 1)).toBe("oversized");
      for (const bytes of [least, most]) {
        for (let bit = 1; bit < 256; bit *= 2) {
          // An end of two kinds is judged by the body.
          const given = name === "data" && bit > 2 ? bit | 1 : bit;
          expect([bit, verdict(given, bytes)]).toEqual([bit, (flags & bit) === 0 ? "bad-frame" : "goes on"]);
        }
      }
    },
  );

  test("each frame that is not expected now, even if its header comes in two parts", () => {
    for (const name of FRAME_NAMES.filter((each) => !isExtension(FrameType[each]))) {
      const decoder = new FrameDecoder(EVERY_FRAME & ~frameMask(name));
      const bytes = header(FrameType[name], 0, name === "data" ? 9 : 8);
      expect(decoder.push(bytes.subarray(0, 3), new Collector())).toBeUndefined();
      expect(decoder.push(bytes.subarray(3), new Collector())).toEqual({
        code: "bad-frame",
        detail: `unexpected ${name} frame`,
      });
    }
    expect(mostHeld()).toBe(FRAME_HEADER_BYTES);
  });
});

describe("a frame is refused by its body", () => {
  test.each<[string, Buffer, string]>([
    ["DATA that begins beyond 2^53", beyondLastPosition(withEnd(0, DATA_END_FINAL), 0), "impossible-position"],
    ["DATA with two kinds of end", withEnd(0, DATA_END_FINAL | DATA_END_MOVED), "bad-frame"],
    ["DATA with neither bytes nor an end", withEnd(0, DATA_ACK_NOW), "bad-frame"],
    ["HELLO without its magic", patched(encodeHello("hello", A_HELLO), FRAME_HEADER_BYTES, 0x47), "bad-frame"],
    ["HELLO of an unknown mode", patched(encodeHello("hello", A_HELLO), FRAME_HEADER_BYTES + 5, 2), "bad-frame"],
    ["HELLO with reserved bits", patched(encodeHello("hello", A_HELLO), FRAME_HEADER_BYTES + 7, 1), "bad-frame"],
    ["an epoch beyond 2^53", beyondLastPosition(encodeHello("hello", A_HELLO), 40), "bad-frame"],
    ["a counter beyond 2^53", beyondLastPosition(encodeHello("hello", A_HELLO), 48), "bad-frame"],
    ["HELLO that received beyond 2^53", beyondLastPosition(encodeHello("hello", A_HELLO), 72), "impossible-position"],
    ["credentials that are announced too large", patched(encodeHello("hello", A_HELLO), 184, 0x40, 1), "oversized"],
    ["an open payload that is announced too large", patched(encodeHello("hello", A_HELLO), 186, 0x10, 1), "oversized"],
    ["credentials longer than the frame", patched(encodeHello("hello", A_HELLO), 185, 6), "bad-frame"],
    ["credentials shorter than the frame", patched(encodeHello("hello", A_HELLO), 185, 4), "bad-frame"],
    ["a fallback in an open", patched(encodeHello("hello", AN_OPEN), 1, 32), "bad-frame"],
    ["an open with an incarnation", encodeHello("hello", { ...A_HELLO, resume: false }), "bad-frame"],
    ["the id of a fallback without its flag", patched(encodeHello("hello", A_HELLO), 8 + 128, 1), "bad-frame"],
    ["the secret of a fallback without its flag", patched(encodeHello("hello", A_HELLO), 8 + 175, 1), "bad-frame"],
    ["STANDBY with a fallback's bytes", patched(encodeHello("standby", A_HELLO), 8 + 143, 1), "bad-frame"],
    ["STANDBY without resume", encodeHello("standby", AN_OPEN), "bad-frame"],
    ["WELCOME with reserved bits", patched(encodeWelcome(A_WELCOME), FRAME_HEADER_BYTES + 3, 1), "bad-frame"],
    ["WELCOME with an unknown result", patched(encodeWelcome(A_WELCOME), FRAME_HEADER_BYTES, 3), "bad-frame"],
    ["WELCOME that accepted beyond 2^53", beyondLastPosition(encodeWelcome(A_WELCOME), 44), "impossible-position"],
    [
      "ACK that accepted more than it received",
      patched(encodePositionsFrame("ack", NOTHING_RECEIVED), 23, 1),
      "impossible-position",
    ],
    [
      "COMMITTED that received beyond 2^53",
      beyondLastPosition(encodePositionsFrame("committed", NOTHING_RECEIVED), 0),
      "impossible-position",
    ],
    ["REFUSE without a reason that we know", patched(encodeRefuse("stale", 0), 11, 0), "bad-frame"],
    ["RESET without a reason that we know", patched(encodeReset("aborted", 0, ""), 11, 5), "bad-frame"],
    ["RESET that accepted beyond 2^53", beyondLastPosition(encodeReset("aborted", 0, ""), 4), "impossible-position"],
    ["a token beyond 2^53", beyondLastPosition(encodeToken("ping", 0), 0), "bad-frame"],
  ])("%s", (_, bytes, code) => {
    const sink = new Collector();
    const decoder = new FrameDecoder(EVERY_FRAME);
    expect(decoder.push(bytes, sink)).toMatchObject({ code });
    expect(decoder.push(encodeReady(), sink)).toBeUndefined();
    // Gathered from two chunks, the second of which goes on with a sound frame, it is refused all the same.
    const gathering = new FrameDecoder(EVERY_FRAME);
    expect(gathering.push(bytes.subarray(0, -1), sink)).toBeUndefined();
    const rest = Buffer.concat([bytes.subarray(-1), encodeReady()]);
    expect(gathering.push(rest, sink)).toMatchObject({ code });
    expect(sink.seen).toEqual([]);
  });
});

test("no fault repeats what the peer sent: secrets stay out of the logs", () => {
  const secret = "53".repeat(32);
  const bytes = encodeHello("hello", { ...A_HELLO, secretOrProof: Buffer.from(secret, "hex") });
  for (const at of [0, 5, 7, 40, 48, 72, 80, 176, 178]) {
    const damaged = Buffer.from(bytes);
    writePosition(damaged, FRAME_HEADER_BYTES + at, MAX_POSITION);
    const problem = new FrameDecoder(EVERY_FRAME).push(damaged, new Collector());
    expect(problem?.detail ?? "").not.toMatch(/53{3}|SSS/u);
  }
});

// ── the decoder as a whole ────────────────────────────────────────────────────────────────────────────────────────────

test("an extension frame that we do not know is skipped, whatever its flags, and however it is cut", () => {
  const known = new Set<number>(Object.values(FrameType));
  const unknown = fc.integer({ min: 0, max: 0xff }).filter((type) => isExtension(type) && !known.has(type));
  const extension = fc.tuple(unknown, fc.nat({ max: 255 }), buffer(0, 300));
  fc.assert(
    fc.property(fc.array(extension, { maxLength: 4 }), cuts, (extensions, places) => {
      const bytes = extensions.flatMap(([type, flags, body]) => [header(type, flags, body.length), body]);
      const decoder = new FrameDecoder(EVERY_FRAME);
      const sink = new Collector();
      for (const chunk of cut(Buffer.concat([encodeReady(), ...bytes, encodeToken("ping", 1)]), places)) {
        expect(decoder.push(chunk, sink)).toBeUndefined();
      }
      expect(sink.seen).toEqual([{ type: "ready" }, { type: "ping", token: 1 }]);
    }),
  );
  expect(mostHeld()).toBeLessThanOrEqual(FRAME_HEADER_BYTES + 8);
});

test("an extension as large as may be skipped is skipped", () => {
  const bytes = Buffer.concat([header(0x90, 0, 65_536), Buffer.alloc(65_536, 0xff), encodeReady()]);
  expect(decoded(bytes)).toEqual([{ type: "ready" }]);
});

test("an extension that we know is skipped where it is not expected, however it is cut, and whatever it holds", () => {
  const bytes = Buffer.concat([header(FrameType.reason, 255, 300), Buffer.alloc(300, 0xff), encodeReady()]);
  for (const step of [1, 5, 9, 100, bytes.length]) {
    const decoder = new FrameDecoder(EVERY_FRAME & ~frameMask("reason"));
    const sink = new Collector();
    for (let at = 0; at < bytes.length; at += step) {
      expect(decoder.push(bytes.subarray(at, at + step), sink)).toBeUndefined();
    }
    expect(sink.seen).toEqual([{ type: "ready" }]);
  }
});

test("an extension that is expected no more by the time it is whole is skipped", () => {
  const decoder = new FrameDecoder(EVERY_FRAME);
  const sink = new Collector();
  const bytes = encodeReason("no");
  decoder.push(bytes.subarray(0, FRAME_HEADER_BYTES + 1), sink);
  decoder.expect = frameMask("ready");
  expect(decoder.push(Buffer.concat([bytes.subarray(FRAME_HEADER_BYTES + 1), encodeReady()]), sink)).toBeUndefined();
  expect(sink.seen).toEqual([{ type: "ready" }]);
});

test("each frame has a bit of its own in a mask", () => {
  const masks = FRAME_NAMES.map((name) => frameMask(name));
  expect(masks.every((mask) => mask !== 0)).toBe(true);
  expect(new Set(masks).size).toBe(masks.length);
  expect(masks.reduce((sum, mask) => sum | mask, 0)).toBe(2 ** masks.length - 1);
});

test("what is expected may change between two frames of one chunk", () => {
  const decoder = new FrameDecoder(frameMask("ready"));
  const sink = new Collector();
  const onFrame = (frame: Frame): void => {
    sink.onFrame(frame);
    decoder.expect = frameMask("ping");
  };
  const bytes = Buffer.concat([encodeReady(), encodeToken("ping", 3), encodeReady()]);
  const problem = decoder.push(bytes, { onFrame, onData: () => {} });
  expect(sink.seen).toEqual([{ type: "ready" }, { type: "ping", token: 3 }]);
  expect(problem).toEqual({ code: "bad-frame", detail: "unexpected ready frame" });
});

test.each<["frame" | "piece", Buffer]>([
  ["frame", encodeToken("ping", 1)],
  ["piece", Buffer.concat([encodeDataHeader(0, 4, 0), Buffer.from("data")])],
])("a reader that stops at a %s is given nothing more, neither of this chunk nor of a later one", (_, first) => {
  const decoder = new FrameDecoder(EVERY_FRAME);
  const sink = new Collector();
  const stopping = {
    onFrame: (frame: Frame) => {
      sink.onFrame(frame);
      decoder.stop();
    },
    onData: (...piece: [number, Buffer, number]) => {
      sink.onData(...piece);
      decoder.stop();
    },
  };
  expect(decoder.push(Buffer.concat([first, encodeReady(), Buffer.alloc(50, 0xff)]), stopping)).toBeUndefined();
  expect(decoder.push(encodeReady(), stopping)).toBeUndefined();
  expect(sink.seen).toHaveLength(1);
});

test("frames before a bad one are handed out", () => {
  const sink = new Collector();
  const bytes = Buffer.concat([encodeReady(), encodeToken("pong", 9), header(0x33, 0, 0), encodeReady()]);
  expect(new FrameDecoder(EVERY_FRAME).push(bytes, sink)).toMatchObject({ code: "bad-frame" });
  expect(sink.seen).toEqual([{ type: "ready" }, { type: "pong", token: 9 }]);
});

test("a STANDBY says that we read no more, as a resume does", () => {
  const closing = { ...A_HELLO, positions: { ...A_HELLO.positions, stop: true } };
  expect(decoded(encodeHello("standby", closing))).toMatchObject([{ type: "standby", hello: closing }]);
});

describe("what becomes of a chunk of our own", () => {
  const hello = encodeHello("hello", { ...AN_OPEN, openPayload: Buffer.alloc(100) });
  const ping = encodeToken("ping", 1);
  const data = [encodeDataHeader(0, 10, 0), Buffer.alloc(10)];

  test.each([
    ["HELLO: it was copied, and is given back", [hello], 0],
    ["the beginning of a frame: it was copied, too", [hello.subarray(0, 100)], 0],
    ["DATA among others: the sink has a view of it", [ping, ...data, ping], 58],
    ["only DATA's header: what follows has its own chunk", data.slice(0, 1), 0],
  ])("%s", (_, parts, left) => {
    const chunk = Buffer.from(new Uint8Array(Buffer.concat(parts)).buffer);
    ownChunk(chunk.buffer);
    const sink = new Collector();
    expect(new FrameDecoder(EVERY_FRAME).push(chunk, sink)).toBeUndefined();
    expect(chunk.length).toBe(left);
  });

  test("HELLO is whole after that; only a resume keeps the bytes that its proof is about", () => {
    const resume = encodeHello("hello", A_HELLO);
    for (const [frame, raw] of [
      [hello, Buffer.alloc(0)],
      [resume, resume],
    ] as const) {
      const chunk = Buffer.from(new Uint8Array(frame).buffer);
      ownChunk(chunk.buffer);
      const sink = new Collector();
      new FrameDecoder(EVERY_FRAME).push(chunk, sink);
      expect(sink.seen).toEqual([{ ...decoded(frame)[0], raw }]);
    }
  });
});
