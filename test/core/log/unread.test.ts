import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { FrameDecoder } from "../../../src/core/wire/decoder.ts";
import { frameMask } from "../../../src/core/wire/frame-rules.ts";
import { encodeDataHeader, type Mode } from "../../../src/core/wire/frames.ts";
import { Receiver } from "../../../src/core/log/receiver.ts";
import { Unread } from "../../../src/core/log/unread.ts";
import { Allowance } from "../../../src/core/log/window.ts";
import { runs } from "../../properties.ts";
import { CountingBudget } from "../support.ts";

const KIB = 1_024;
const MIB = 1_048_576;

type Step =
  /** A chunk: what is kept of it, piece by piece, and what lies between those. */
  | { do: "arrive"; pieces: Array<{ bytes: number; gap: number }> }
  | { do: "drop" | "gather"; bytes: number }
  | { do: "hand out" | "rest" };

const size = fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 1_900, max: 2_200 }), fc.nat({ max: 20_000 }));
const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("arrive" as const),
      pieces: fc.array(fc.record({ bytes: size.map((bytes) => bytes + 1), gap: fc.oneof(fc.constant(16), size) }), {
        minLength: 1,
        maxLength: 6,
      }),
    }),
  },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("drop" as const, "gather" as const), bytes: size }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("hand out" as const, "rest" as const) }) },
);

describe("what waits", () => {
  test("is the same bytes in the same order, and when the turn is over holds at most twice its bytes and 8 KiB", () => {
    let seed = 0;
    fc.assert(
      fc.property(fc.array(step, { minLength: 5, maxLength: 60 }), (steps) => {
        const unread = new Unread();
        let model = Buffer.alloc(0);
        for (const each of steps) {
          switch (each.do) {
            case "arrive": {
              const chunk = Buffer.alloc(each.pieces.reduce((sum, { bytes, gap }) => sum + bytes + gap, 0));
              for (let at = 0; at < chunk.length; at++) chunk[at] = seed++;
              let at = 0;
              for (const { bytes, gap } of each.pieces) {
                const piece = chunk.subarray(at + gap, at + gap + bytes);
                unread.push(piece);
                model = Buffer.concat([model, piece]);
                at += gap + bytes;
              }
              break;
            }
            case "drop":
            case "gather": {
              const bytes = Math.min(each.bytes, model.length);
              if (each.do === "drop") unread.skip(bytes);
              else expect(unread.gather(bytes).equals(model.subarray(0, bytes))).toBe(true);
              model = model.subarray(bytes);
              break;
            }
            case "hand out":
              unread.beforeHandingOut();
              break;
            case "rest":
              unread.rest();
              expect(unread.heldBytes).toBeLessThanOrEqual(2 * model.length + 8 * KIB);
          }
          expect(unread.bytes).toBe(model.length);
          const { first, at } = unread;
          if (model.length === 0) expect(first).toBeUndefined();
          else
            expect(
              first !== undefined &&
                first.length > at &&
                first.subarray(at).equals(model.subarray(0, first.length - at)),
            ).toBe(true);
        }
        expect(unread.gather(model.length).equals(model)).toBe(true);
        expect(unread.heldBytes).toBe(0);
      }),
      { numRuns: runs(200) },
    );
  });

  test("is not copied where a chunk is nearly all of it, however many pieces", () => {
    const unread = new Unread();
    const chunk = Buffer.alloc(64 * KIB);
    for (let at = 0; at < chunk.length; at += 16 * KIB) unread.push(chunk.subarray(at + 16, at + 16 * KIB));
    unread.push(Buffer.alloc(64 * KIB));
    unread.rest();
    expect(unread.first?.buffer).toBe(chunk.buffer);
    expect(unread.heldBytes).toBe(128 * KIB);
  });

  test("is copied out of its chunk where that is mostly something else, as soon as the next begins", () => {
    const unread = new Unread();
    unread.push(Buffer.alloc(64 * KIB).subarray(0, 40 * KIB));
    expect(unread.heldBytes).toBe(64 * KIB);
    unread.push(Buffer.alloc(10 * KIB));
    expect(unread.heldBytes).toBe(50 * KIB);
  });

  test("of a chunk that is being read is copied out of it when less than half is left", () => {
    const unread = new Unread();
    const chunk = Buffer.alloc(64 * KIB);
    unread.push(chunk);
    unread.drop(32 * KIB);
    unread.rest();
    expect(unread.first?.buffer).toBe(chunk.buffer);
    unread.drop(1);
    unread.rest();
    expect([unread.bytes, unread.heldBytes]).toEqual([32 * KIB - 1, 32 * KIB - 1]);
  });

  test("in small pieces is put together: a Buffer for each would take many times its bytes", () => {
    const unread = new Unread();
    for (let n = 0; n < 10_000; n++) unread.push(Buffer.alloc(1, n));
    unread.rest();
    expect(unread.heldBytes).toBeLessThan(10_000 + 8 * KIB);
    const read: number[] = [];
    let pieces = 0;
    for (let { first } = unread; first !== undefined; { first } = unread) {
      read.push(...first.subarray(unread.at));
      unread.drop(first.length - unread.at);
      pieces++;
    }
    expect(read.length === 10_000 && read.every((byte, at) => byte === (at & 0xff))).toBe(true);
    expect(pieces).toBeLessThan(20);
  });

  test("in a few small pieces takes no block of 8 KiB", () => {
    const unread = new Unread();
    unread.push(Buffer.from("a"));
    unread.push(Buffer.from("b"));
    unread.rest();
    expect(unread.heldBytes).toBeLessThanOrEqual(513);
  });
});

// ── a peer that puts little of its own into every chunk ─────────────────────────────────────────────────────────────

/** `bytes` of DATA, and an extension frame that fills the rest of what a socket reads at once. */
function thinChunk(offset: number, data: Buffer): Buffer {
  const chunk = Buffer.allocUnsafeSlow(64 * KIB);
  let at = encodeDataHeader(offset, data.length, 0).copy(chunk, 0);
  at += data.copy(chunk, at);
  chunk.writeUInt32BE(0x80_00_00_00, at);
  chunk.writeUInt32BE(chunk.length - at - 8, at + 4);
  return chunk;
}

function receiving(mode: Mode, windowBytes: number, take: (receiver: Receiver) => void): Receiver {
  const receiver = new Receiver(mode, MIB, new Allowance(windowBytes, windowBytes, new CountingBudget()));
  receiver.statedWindow();
  const decoder = new FrameDecoder(frameMask("data"));
  const message = Buffer.alloc(512);
  message.writeUInt32BE(508);
  for (let at = 0; at + 512 <= windowBytes; at += 512) {
    const problem = decoder.push(thinChunk(at, message), {
      onFrame: () => expect.unreachable(),
      onData: (offset, bytes, flags) => expect(receiver.onData(offset, bytes, flags)).toBeUndefined(),
    });
    expect(problem).toBeUndefined();
    take(receiver);
    receiver.rest();
  }
  return receiver;
}

describe("512 bytes of DATA and an extension frame in each 64 KiB", () => {
  test.each([1, 4])("hold at most twice the window of %d MiB that nobody reads", (mebibytes) => {
    const receiver = receiving("bytes", mebibytes * MIB, () => {});
    expect(receiver.readableBytes).toBe(mebibytes * MIB);
    expect(receiver.heldBytes).toBeLessThanOrEqual(2 * mebibytes * MIB);
  });

  test.each<Mode>(["messages", "bytes"])(
    "hold no more when a consumer keeps what it was handed, in mode %s",
    (mode) => {
      const kept: Buffer[] = [];
      receiving(mode, MIB, (receiver) => {
        receiver.handOut(
          (message) => kept.push(message) > 0,
          () => {},
          Infinity,
        );
      });
      expect(kept).toHaveLength(2 * KIB);
      const held = new Set(kept.map(({ buffer }) => buffer));
      expect([...held].reduce((sum, { byteLength }) => sum + byteLength, 0)).toBeLessThanOrEqual(2 * MIB);
    },
  );
});
