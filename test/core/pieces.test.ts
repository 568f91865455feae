/** The short way of small pieces beside the long one: a twin that only goes the long way comes to the same. */
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { Receiver } from "../../src/core/log/receiver.ts";
import { HEAD_BYTES, type Sender } from "../../src/core/log/sender.ts";
import { FrameDecoder } from "../../src/core/wire/decoder.ts";
import { frameMask } from "../../src/core/wire/frame-rules.ts";
import {
  ACK_BYTES,
  DATA_ACK_NOW,
  DATA_BLOCKED,
  DATA_END_FINAL,
  DATA_HEADER_BYTES,
  encodeDataHeader,
  encodePositionsFrame,
  encodeToken,
  FrameType,
  MAX_DATA_BYTES,
} from "../../src/core/wire/frames.ts";
import { Account } from "../../src/core/log/window.ts";
import { runs } from "../properties.ts";
import { Collector, CountingBudget, decodedData, EVERY_FRAME } from "./support.ts";
import { receiving } from "./log/receiving.ts";
import { sending } from "./log/sending.ts";

const NOWHERE = { received: 3, accepted: 2, window: 9, stop: false, done: false };
const ACK = encodePositionsFrame("ack", NOWHERE);
const data = (offset: number, bytes: number, flags = 0): Buffer =>
  Buffer.concat([encodeDataHeader(offset, bytes, flags), Buffer.alloc(bytes, "x")]);

describe("what a chunk consists of", () => {
  test("is told of DATA without flags that is all of it, also behind an ACK", () => {
    const decoder = new FrameDecoder(EVERY_FRAME);
    expect([decoder.loneData(data(7, 5), 0), decoder.loneData(Buffer.concat([ACK, data(7, 5)]), ACK_BYTES)]).toEqual([
      7, 7,
    ]);
    expect(decoder.leadingAck(Buffer.concat([ACK, data(7, 5)]))).toEqual(NOWHERE);
    expect(decoder.loneData(data(2 ** 40, MAX_DATA_BYTES), 0)).toBe(2 ** 40);
  });

  test.each<[what: string, chunk: Buffer]>([
    ["an ACK alone", ACK],
    ["DATA with flags", data(7, 5, DATA_ACK_NOW)],
    ["DATA that is not here whole", data(7, 5).subarray(0, -1)],
    ["DATA with something behind it", Buffer.concat([data(7, 5), ACK])],
    ["a header alone", data(7, 5).subarray(0, DATA_HEADER_BYTES)],
    ["DATA without bytes", data(7, 0)],
    ["another frame", Buffer.concat([encodeToken("ping", 1), Buffer.alloc(9)])],
    ["reserved bits that are set", Buffer.from(data(7, 5)).fill(1, 2, 3)],
    ["a frame that is too large", Buffer.concat([encodeDataHeader(0, MAX_DATA_BYTES + 1, 0), Buffer.alloc(65_537)])],
    ["a position that is too high", Buffer.from(data(7, 5)).fill(0xff, 8, 16)],
    ["a position whose end is too high", data(Number.MAX_SAFE_INTEGER - 5, 5)],
  ])("is not told of %s", (_, chunk) => {
    const decoder = new FrameDecoder(EVERY_FRAME);
    expect([decoder.loneData(chunk, 0), decoder.leadingAck(chunk)]).toEqual([-1, undefined]);
  });

  test("an ACK with flags, or cut off, is none", () => {
    const decoder = new FrameDecoder(EVERY_FRAME);
    const stops = encodePositionsFrame("ack", { ...NOWHERE, stop: true });
    expect(decoder.leadingAck(Buffer.concat([stops, data(7, 5)]))).toBeUndefined();
    expect(decoder.leadingAck(ACK.subarray(0, 20))).toBeUndefined();
  });

  test("is not told where the frame is not expected, or where its beginning belongs to an earlier one", () => {
    const all = Buffer.concat([ACK, data(7, 5)]);
    const isTold = (decoder: FrameDecoder): boolean =>
      decoder.loneData(all, ACK_BYTES) >= 0 || decoder.leadingAck(all) !== undefined;
    expect(isTold(new FrameDecoder(frameMask("ping")))).toBe(false);
    const extension = Buffer.alloc(8);
    extension[0] = 0x80;
    extension.writeUInt32BE(100, 4);
    for (const before of [data(7, 5).subarray(0, 3), data(7, 5).subarray(0, -1), extension]) {
      const decoder = new FrameDecoder(EVERY_FRAME);
      decoder.push(before, new Collector());
      expect(isTold(decoder)).toBe(false);
    }
    const stopped = new FrameDecoder(EVERY_FRAME);
    stopped.stop();
    expect([isTold(stopped), isTold(new FrameDecoder(EVERY_FRAME))]).toEqual([false, true]);
    expect(FrameType.data).toBeLessThan(0x80);
  });
});

type Incoming =
  | { do: "data"; back: number; bytes: number; flags: number }
  | { do: "read" | "state" | "rest" | "accept" };

const incoming: fc.Arbitrary<Incoming> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("data" as const),
      back: fc.constantFrom(0, 0, 0, 0, 3, -2),
      bytes: fc.integer({ min: 1, max: 30 }),
      flags: fc.constantFrom(0, 0, 0, 0, DATA_ACK_NOW, DATA_BLOCKED, DATA_END_FINAL),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constantFrom("read" as const, "state" as const, "accept" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("rest" as const) }) },
);

/** All that a receiver hands out now. */
function textOf(next: () => Buffer | undefined): string {
  let text = "";
  for (let bytes = next(); bytes !== undefined; bytes = next()) text += String(bytes);
  return text;
}

function marks(receiver: Receiver): unknown {
  const { received, handed, accepted, grant, endKind, readableBytes, isFull, endReached, problem, stopped } = receiver;
  return { received, handed, accepted, grant, endKind, readableBytes, isFull, endReached, problem, stopped };
}

describe("a piece that is passed on", () => {
  test("leaves the receiver as one that was taken in and read", () => {
    let passed = 0;
    fc.assert(
      fc.property(
        fc.array(incoming, { maxLength: 60 }),
        fc.array(fc.boolean(), { minLength: 60, maxLength: 60 }),
        (steps, reads) => {
          const short = receiving("bytes", 120, 240).receiver;
          const long = receiving("bytes", 120, 240).receiver;
          const got = { short: "", long: "" };
          const read = (): void => {
            got.short += textOf(() => short.next());
            got.long += textOf(() => long.next(() => {}));
          };
          for (const [at, step] of steps.entries()) {
            if (step.do === "data") {
              const offset = Math.max(0, long.received - step.back);
              const bytes = Buffer.from(Array.from({ length: step.bytes }, (_, n) => 97 + ((offset + n) % 26)));
              const isRead = reads[at] === true;
              if (isRead && step.flags === 0 && short.pass(offset, bytes.length)) {
                passed++;
                got.short += String(bytes);
              } else {
                short.onData(offset, bytes, step.flags);
              }
              long.onData(offset, bytes, step.flags);
              if (isRead) read();
            } else if (step.do === "read") read();
            else if (step.do === "rest") for (const receiver of [short, long]) receiver.rest();
            else if (step.do === "state") for (const receiver of [short, long]) receiver.statedWindow();
            else if (step.do === "accept") for (const receiver of [short, long]) receiver.accept(receiver.handed);
            expect([marks(short), got.short]).toEqual([marks(long), got.long]);
          }
        },
      ),
      { numRuns: runs(300) },
    );
    expect(passed).toBeGreaterThan(100);
  });

  test("is refused where more than the piece is to be dealt with", () => {
    const passes = (prepare: (receiver: Receiver) => void, bytes = 10): boolean => {
      const { receiver } = receiving("bytes", 100);
      prepare(receiver);
      return receiver.pass(receiver.received, bytes);
    };
    expect(passes(() => {})).toBe(true);
    expect(passes((receiver) => void receiver.onData(0, Buffer.alloc(1), 0))).toBe(false);
    expect(passes((receiver) => void receiver.accept(50))).toBe(false);
    expect(passes((receiver) => receiver.stop())).toBe(false);
    expect([passes(() => {}, 99), passes(() => {}, 100)]).toEqual([true, false]);
    expect(receiving("bytes", 100).receiver.pass(1, 1)).toBe(false);
    expect(receiving("messages", 100).receiver.pass(0, 1)).toBe(false);
  });

  test("that is alone is the piece itself, but keeps no chunk alive of which it is a small part", () => {
    const { receiver } = receiving("bytes", 1_000);
    const most = Buffer.alloc(300).subarray(100);
    receiver.onData(0, most, 0);
    expect(receiver.next()).toBe(most);
    receiver.onData(200, Buffer.alloc(1_000).subarray(0, 10), 0);
    expect(receiver.next()?.buffer.byteLength).toBe(10);
    expect([receiver.next(), receiver.readableBytes]).toEqual([undefined, 0]);
  });
});

interface Outgoing {
  /** -1: all that has been written is accepted, and credit is given for 200 bytes more. */
  bytes: number;
  asks: boolean;
  goesShort: boolean;
}

const outgoing: fc.Arbitrary<Outgoing> = fc.record({
  bytes: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(-1, -1, 1_020, 1_030)),
  asks: fc.nat({ max: 9 }).map((drawn) => drawn === 0),
  goesShort: fc.nat({ max: 3 }).map((drawn) => drawn > 0),
});

function sent(sender: Sender): unknown {
  const { acked, sentNow, highestSent, limit, peerReceived, pieceFrom, queuedBytes, unackedBytes, log } = sender;
  const memory = [log.start, log.end, log.memoryBytes, log.leftBytes];
  return { acked, sentNow, highestSent, limit, peerReceived, pieceFrom, queuedBytes, unackedBytes, memory };
}

describe("a piece that is taken and written at once", () => {
  test("is what taking and writing it makes of it", () => {
    let short = 0;
    fc.assert(
      fc.property(fc.array(outgoing, { maxLength: 40 }), fc.constantFrom(150, 100_000), (steps, flightBytes) => {
        const twins = [0, 1].map(() => sending("bytes", { limit: 200, flightBytes, mostWrittenBytes: 3_000 }));
        const [one, other] = twins as [(typeof twins)[0], (typeof twins)[0]];
        for (const { bytes, asks, goesShort } of steps) {
          if (bytes === -1) {
            for (const { sender } of twins) {
              sender.peerReceived = sender.sentNow;
              sender.limit = Math.max(sender.limit, sender.sentNow + 200);
              sender.onAccepted(sender.sentNow);
            }
            expect(one.write()).toEqual(other.write());
            continue;
          }
          const piece = Buffer.alloc(HEAD_BYTES + bytes, bytes % 256);
          const memory = Buffer.concat([Buffer.alloc(9), piece.subarray(HEAD_BYTES), Buffer.alloc(9)]);
          const head = piece.readUInt32BE(0);
          const frame = goesShort ? one.sender.takeNow(head, memory, 9, 9 + bytes, one.flight, 0) : undefined;
          other.sender.take(piece, piece.length, false);
          if (frame === undefined) {
            one.sender.take(piece, piece.length, false);
            if (asks) for (const { sender } of twins) sender.askForAck();
            expect(one.write()).toEqual(other.write());
          } else {
            short++;
            const long: Buffer[] = [];
            other.sender.write(long, 1_000_000, other.flight, 0);
            expect(frame).toEqual(Buffer.concat(long));
          }
          expect(sent(one.sender)).toEqual(sent(other.sender));
          expect(one.sender.log.messages().map(({ payload }) => payload)).toEqual(
            other.sender.log.messages().map(({ payload }) => payload),
          );
        }
      }),
      { numRuns: runs(300) },
    );
    expect(short).toBeGreaterThan(100);
  });

  test("says that no more can be taken, if that is so", () => {
    const flagsWith = (freeBytes: number): number[] => {
      const { sender, flight } = sending("bytes", { account: new Account(65_536, new CountingBudget(freeBytes)) });
      const frame = sender.takeNow(7, Buffer.from("piece"), 0, 5, flight, 0) as Buffer;
      return decodedData([frame]).map(({ flags }) => flags);
    };
    expect([flagsWith(0), flagsWith(1_000_000)]).toEqual([[DATA_BLOCKED], [0]]);
  });

  test("is refused where something else stands before it, or where it meets a limit", () => {
    const takes = (
      options: Parameters<typeof sending>[1],
      prepare: (of: ReturnType<typeof sending>) => void = () => {},
      bytes = 96,
    ): boolean => {
      const of = sending("bytes", options);
      prepare(of);
      return of.sender.takeNow(1, Buffer.alloc(bytes), 0, bytes, of.flight, 0) !== undefined;
    };
    expect(takes({})).toBe(true);
    expect(takes({}, ({ take }) => take(1))).toBe(false);
    expect(takes({}, ({ sender }) => sender.end("final"))).toBe(false);
    expect(takes({}, ({ sender }) => sender.moveOn())).toBe(false);
    expect(takes({}, ({ sender }) => sender.askForAck())).toBe(false);
    expect([takes({}, () => {}, 1_020), takes({}, () => {}, 1_021)]).toEqual([true, false]);
    expect([takes({ limit: 101 }), takes({ limit: 100 })]).toEqual([true, false]);
    expect([takes({ flightBytes: 101 }), takes({ flightBytes: 100 })]).toEqual([true, false]);
    expect([takes({ mostWrittenBytes: 101 }), takes({ mostWrittenBytes: 100 })]).toEqual([true, false]);
    expect(takes({ hasOutbox: true })).toBe(false);
    const { sender, flight } = sending("messages");
    expect(sender.takeNow(1, Buffer.alloc(9), 0, 9, flight, 0)).toBeUndefined();
  });
});
