/** What holds of the codec for any frames, any bytes, and any way in which they arrive. */
import fc from "fast-check";
import { afterEach, beforeEach, expect, type MockInstance, test, vi } from "vitest";
import type { Fault } from "../../../src/core/wire/faults.ts";
import { FrameDecoder } from "../../../src/core/wire/decoder.ts";
import {
  type Frame,
  FRAME_HEADER_BYTES,
  MAX_CREDENTIALS_BYTES,
  MAX_OPEN_PAYLOAD_BYTES,
} from "../../../src/core/wire/frames.ts";
import { runs } from "../../properties.ts";
import { buffer, cut, cuts, joined, sample } from "./arbitraries.ts";
import { Collector, type Data, decoded, encodeAgain, EVERY_FRAME } from "../support.ts";

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

// ── round trips ───────────────────────────────────────────────────────────────────────────────────────────────────────

test("every frame comes back as it was encoded", () => {
  fc.assert(
    fc.property(sample, ({ bytes, frame }) => {
      expect(decoded(bytes)).toEqual([frame]);
    }),
    { numRuns: runs(300) },
  );
});

test("however the stream is cut, the same frames come out, and what is held is bounded", () => {
  fc.assert(
    fc.property(fc.array(sample, { minLength: 1, maxLength: 6 }), cuts, (samples, places) => {
      const decoder = new FrameDecoder(EVERY_FRAME);
      const sink = new Collector();
      for (const chunk of cut(Buffer.concat(samples.map(({ bytes }) => bytes)), places)) {
        expect(decoder.push(chunk, sink)).toBeUndefined();
      }
      expect(joined(sink.seen)).toEqual(joined(samples.map(({ frame }) => frame)));
    }),
    { numRuns: runs(300) },
  );
  expect(mostHeld()).toBeGreaterThan(0);
  expect(mostHeld()).toBeLessThanOrEqual(MOST_HELD_BYTES);
});

test("a stream that comes byte by byte gives the same frames", () => {
  fc.assert(
    fc.property(
      fc.array(
        sample.filter(({ bytes }) => bytes.length < 400),
        { minLength: 1, maxLength: 6 },
      ),
      (samples) => {
        const decoder = new FrameDecoder(EVERY_FRAME);
        const sink = new Collector();
        for (const byte of Buffer.concat(samples.map(({ bytes }) => bytes))) {
          expect(decoder.push(Buffer.of(byte), sink)).toBeUndefined();
        }
        expect(joined(sink.seen)).toEqual(joined(samples.map(({ frame }) => frame)));
      },
    ),
    { numRuns: runs(60) },
  );
});

test("a frame outlives the chunk it came in", () => {
  fc.assert(
    fc.property(sample, ({ bytes, frame }) => {
      const chunk = Buffer.from(bytes);
      const sink = new Collector();
      new FrameDecoder(EVERY_FRAME).push(chunk, sink);
      chunk.fill(0x55);
      expect(sink.seen).toEqual([frame]);
    }),
  );
});

// ── any bytes ─────────────────────────────────────────────────────────────────────────────────────────────────────────

const change = fc.record({ at: fc.nat(), to: fc.oneof(fc.nat({ max: 255 }), fc.constantFrom(0, 1, 0x80, 0xff)) });
const damaged = fc
  .tuple(fc.array(sample, { minLength: 1, maxLength: 3 }), fc.array(change, { maxLength: 4 }))
  .map(([samples, changes]) => {
    const bytes = Buffer.concat(samples.map((each) => each.bytes));
    // Most of the damage is done where the lengths, flags and positions stand.
    for (const { at, to } of changes) bytes[at % Math.min(bytes.length, at % 3 === 0 ? bytes.length : 48)] = to;
    return bytes;
  });
const headed = fc
  .tuple(
    fc.oneof({ weight: 9, arbitrary: fc.nat({ max: 20 }) }, { weight: 1, arbitrary: fc.constant(0x81) }),
    fc.nat({ max: 63 }),
    fc.nat({ max: 250 }),
    buffer(300),
  )
  .map(([type, flags, length, body]) => Buffer.concat([Buffer.of(type, flags, 0, 0, 0, 0, 0, length), body]));
const anyBytes = fc.oneof(buffer(0, 100), damaged, headed);

interface Result {
  seen: Array<Frame | Data>;
  problem: Fault | undefined;
}

/** What becomes of the chunks. After a fault nothing more may come, be it frames or faults. */
function resultOf(chunks: readonly Buffer[]): Result {
  const decoder = new FrameDecoder(EVERY_FRAME);
  const sink = new Collector();
  let problem: Fault | undefined;
  let seenAtFault = 0;
  for (const chunk of chunks) {
    const answer = decoder.push(chunk, sink);
    if (problem === undefined) [problem, seenAtFault] = [answer, sink.seen.length];
    else expect(answer).toBeUndefined();
  }
  if (problem !== undefined) expect(sink.seen).toHaveLength(seenAtFault);
  return { seen: joined(sink.seen), problem };
}

test("arbitrary bytes give frames or a typed fault, never a throw, and hold a bounded amount", () => {
  const codes = new Set<string>();
  fc.assert(
    fc.property(anyBytes, cuts, (bytes, places) => {
      const { problem } = resultOf(cut(bytes, places));
      if (problem === undefined) return;
      codes.add(problem.code);
      expect(problem.detail).not.toBe("");
    }),
    { numRuns: runs(1_000) },
  );
  expect([...codes].toSorted()).toEqual(["bad-frame", "impossible-position", "oversized"]);
  expect(mostHeld()).toBeLessThanOrEqual(MOST_HELD_BYTES);
});

test("arbitrary bytes give the same frames and the same fault, however they are cut", () => {
  let faults = 0;
  fc.assert(
    fc.property(anyBytes, cuts, (bytes, places) => {
      const whole = resultOf([bytes]);
      expect(resultOf(cut(bytes, places))).toEqual(whole);
      if (whole.problem !== undefined) faults++;
    }),
    { numRuns: runs(1_000) },
  );
  expect(faults).toBeGreaterThan(100);
});

test("whatever was decoded is the same when it is encoded and decoded again", () => {
  let frames = 0;
  fc.assert(
    fc.property(anyBytes, (bytes) => {
      for (const frame of resultOf([bytes]).seen) {
        // What is not UTF-8 in a reason was replaced, and is longer now.
        const text = frame.type === "reset" ? frame.reason : frame.type === "reason" ? frame.text : "";
        if (frame.type === "data" || text.includes("\ufffd")) continue;
        frames++;
        const again = decoded(encodeAgain(frame));
        expect(again.map(withoutRaw)).toEqual([withoutRaw(frame)]);
      }
    }),
    { numRuns: runs(500) },
  );
  expect(frames).toBeGreaterThan(100);
});

/** The bytes of a HELLO stand for themselves: what its flags say is not there may be anything. */
function withoutRaw(frame: Frame | Data): object {
  return "raw" in frame ? { ...frame, raw: undefined } : frame;
}
