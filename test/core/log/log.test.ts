import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BLOCK_BYTES, BlockPool, PREFIX_BYTES } from "../../../src/core/log/blocks.ts";
import type { Mode } from "../../../src/core/wire/frames.ts";
import { Log, memoryFor } from "../../../src/core/log/log.ts";
import { Account } from "../../../src/core/log/window.ts";
import { runs } from "../../properties.ts";
import { ampleAccount, CountingBudget } from "../support.ts";

/** What a log should be: all its bytes, and where each message stands. */
class Model {
  readonly mode: Mode;
  bytes: Buffer = Buffer.alloc(0);
  start = 0;
  readonly messages: Array<{ payload: Buffer; start: number; end: number }> = [];

  constructor(mode: Mode) {
    this.mode = mode;
  }

  get end(): number {
    return this.bytes.length;
  }

  append(payload: Buffer): void {
    const start = this.end;
    const prefix = Buffer.alloc(this.mode === "messages" ? PREFIX_BYTES : 0);
    if (this.mode === "messages") prefix.writeUInt32BE(payload.length);
    this.bytes = Buffer.concat([this.bytes, prefix, payload]);
    this.messages.push({ payload, start, end: this.end });
  }
}

type Operation =
  | { do: "append"; as: "copy" | "given" | "string"; payloadBytes: number; seed: number }
  | { do: "read"; at: number; maxBytes: number }
  | { do: "release"; at: number; where: "message" | "anywhere" };

/** Around everything that the log treats apart: nothing, its blocks of 2 KiB to 64 KiB, and payloads kept by reference. */
const payloadBytes = fc.oneof(
  { weight: 4, arbitrary: fc.nat({ max: 100 }) },
  { weight: 3, arbitrary: fc.integer({ min: 2_030, max: 2_060 }) },
  { weight: 2, arbitrary: fc.integer({ min: 8_180, max: 8_200 }) },
  { weight: 1, arbitrary: fc.integer({ min: 60_000, max: 70_000 }) },
);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("append" as const),
      as: fc.constantFrom("copy" as const, "given" as const, "string" as const),
      payloadBytes,
      seed: fc.nat({ max: 255 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("read" as const),
      at: fc.nat(),
      maxBytes: fc.integer({ min: 1, max: 80_000 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("release" as const),
      at: fc.nat(),
      where: fc.constantFrom("message" as const, "anywhere" as const),
    }),
  },
);

/** Text of exactly so many bytes, some of its characters of two and four of them. */
function text(bytes: number, seed: number): string {
  const wide = seed % 2 === 0 && bytes >= 6 ? "é🔌" : "";
  return wide + String.fromCodePoint(97 + (seed % 26)).repeat(bytes - Buffer.byteLength(wide));
}

function append(log: Log, model: Model, step: Extract<Operation, { do: "append" }>): void {
  if (step.as === "string") {
    const payload = text(step.payloadBytes, step.seed);
    log.append(payload, step.payloadBytes, false);
    model.append(Buffer.from(payload));
    return;
  }
  // A view into the middle of a larger buffer, as a caller may well hand over.
  const whole = Buffer.alloc(step.payloadBytes + 16, step.seed);
  const payload = new Uint8Array(whole.buffer, whole.byteOffset + 8, step.payloadBytes);
  for (let at = 0; at < payload.length; at += 97) payload[at] = at;
  model.append(Buffer.from(payload));
  log.append(payload, step.payloadBytes, step.as === "given");
  if (step.as === "copy") whole.fill(0xdd);
}

function readAll(log: Log): Buffer {
  const pieces: Buffer[] = [];
  for (let at = log.start; at < log.end; at += pieces.at(-1)?.length ?? 0) pieces.push(log.read(at, Infinity));
  return Buffer.concat(pieces);
}

test.each<Mode>(["messages", "bytes"])(
  "whatever is appended, read and released, a log of %s is as it should be",
  (mode) => {
    fc.assert(
      fc.property(fc.array(operation, { minLength: 1, maxLength: 25 }), (operations) => {
        const log = new Log(mode, new BlockPool(), ampleAccount());
        const model = new Model(mode);
        const views: Array<{ view: Buffer; at: number }> = [];
        for (const step of operations) {
          switch (step.do) {
            case "append":
              append(log, model, step);
              break;
            case "read": {
              if (log.end === log.start) break;
              const at = log.start + (step.at % (log.end - log.start));
              const view = log.read(at, step.maxBytes);
              expect(view.length).toBeGreaterThan(0);
              expect(view.length).toBeLessThanOrEqual(step.maxBytes);
              views.push({ view, at });
              break;
            }
            case "release": {
              const ends = [model.start, ...model.messages.map(({ end }) => end).filter((end) => end > model.start)];
              const to =
                step.where === "anywhere" ? step.at % (model.end + 1) : (ends[step.at % ends.length] as number);
              log.release(to);
              model.start = Math.max(model.start, to);
              break;
            }
          }
          expect([log.start, log.end]).toEqual([model.start, model.end]);
          check(log, model);
        }
        // What sockets were handed stays what it was until it is released: only then are blocks used again.
        for (const { view, at } of views) {
          if (at + view.length <= model.start) continue;
          expect(view.equals(model.bytes.subarray(at, at + view.length))).toBe(true);
        }
      }),
      { numRuns: runs(80) },
    );
  },
);

/** Compares without `toEqual` where there may be much. */
function check(log: Log, model: Model): void {
  expect(readAll(log).equals(model.bytes.subarray(model.start))).toBe(true);
  const messages = log.messages();
  if (model.mode === "bytes") {
    expect(Buffer.concat(messages.map(({ payload }) => payload)).equals(model.bytes.subarray(model.start))).toBe(true);
    let at = model.start;
    for (const { payload, start, end } of messages) {
      expect([start, end]).toEqual([at, at + payload.length]);
      at = end;
    }
    return;
  }
  const kept = model.messages.filter(({ start }) => start >= model.start);
  expect(messages.map(({ start, end }) => [start, end])).toEqual(kept.map(({ start, end }) => [start, end]));
  for (const [at, { payload }] of messages.entries()) {
    expect(payload.equals(kept[at]?.payload as Buffer)).toBe(true);
  }
  expect(log.releasedMessages()).toBe(model.messages.length - kept.length);
}

describe("an acknowledgement in the middle of a message", () => {
  test.each([1, 4, 5, 2_047, 2_048, 2_049, 10_003, 10_004])(
    "at %d throws nothing, and what follows it is kept",
    (at) => {
      const log = new Log("messages", new BlockPool(), ampleAccount());
      log.append(Buffer.alloc(10_000, 1), 10_000, false);
      log.append("next", 4, false);
      log.release(at);
      expect(log.messages()).toEqual([{ payload: Buffer.from("next"), start: 10_004, end: 10_012 }]);
      expect(log.releasedMessages()).toBe(1);
      expect(readAll(log)).toHaveLength(10_012 - at);
    },
  );

  test("whose payload is kept by reference, and is the last, leaves no message", () => {
    const log = new Log("messages", new BlockPool(), ampleAccount());
    log.append(Buffer.alloc(20_000, 1), 20_000, true);
    log.release(10_000);
    expect(log.messages()).toEqual([]);
    expect(log.releasedMessages()).toBe(1);
    log.append("next", 4, false);
    expect(log.messages()).toMatchObject([{ start: 20_004, end: 20_012 }]);
  });
});

describe("memory", () => {
  test("a large payload that is given away is not copied", () => {
    const log = new Log("messages", new BlockPool(), ampleAccount());
    const payload = Buffer.alloc(8_192, "x");
    log.append(payload, payload.length, true);
    const read = log.read(PREFIX_BYTES, Infinity);
    expect([read.buffer, read.byteOffset, read.length]).toEqual([payload.buffer, payload.byteOffset, 8_192]);
  });

  test.each<[string, number, boolean]>([
    ["not given away", 8_192, false],
    ["small, though given away", 8_191, true],
  ])("a payload that is %s is copied: its owner may use the buffer again", (_, bytes, given) => {
    const log = new Log("messages", new BlockPool(), ampleAccount());
    const payload = Buffer.alloc(bytes, "x");
    log.append(payload, bytes, given);
    payload.fill("y");
    expect(log.messages()).toEqual([{ payload: Buffer.alloc(bytes, "x"), start: 0, end: PREFIX_BYTES + bytes }]);
  });

  test("what is reported is the application's own: it shares no memory with the log", () => {
    for (const mode of ["messages", "bytes"] as const) {
      const log = new Log(mode, new BlockPool(), ampleAccount());
      log.append(Buffer.alloc(9_000, "x"), 9_000, true);
      log.append("short", 5, false);
      for (const { payload } of log.messages()) payload.fill(0);
      expect(log.messages().map(({ payload }) => payload[0])).toEqual([120, 115]);
    }
  });

  test("blocks double while there is something in the log, and halve each time there is nothing", () => {
    const log = new Log("bytes", new BlockPool(), ampleAccount());
    const blocks = (messages: number): number[] => {
      for (let message = 0; message < messages; message++) log.append(Buffer.alloc(1_000), 1_000, false);
      const lengths: number[] = [];
      for (let at = log.start; at < log.end; at += lengths.at(-1) ?? 0) lengths.push(log.read(at, Infinity).length);
      log.release(log.end);
      return lengths;
    };
    expect(blocks(192)).toEqual([2_000, 4_000, 8_000, 16_000, 32_000, 65_000, 65_000]);
    expect(blocks(40)).toEqual([16_000, 24_000]);
    expect(blocks(40)).toEqual([16_000, 24_000]);
    for (let times = 0; times < 5; times++) blocks(1);
    expect(blocks(10)).toEqual([2_000, 4_000, 4_000]);
  });

  test("a large message is not strewn over small blocks", () => {
    const log = new Log("messages", new BlockPool(), ampleAccount());
    log.append(Buffer.alloc(60_000), 60_000, false);
    expect(log.read(0, Infinity)).toHaveLength(60_004);
  });

  test("messages that follow each other share a block", () => {
    const log = new Log("messages", new BlockPool(), ampleAccount());
    for (let message = 0; message < 100; message++) log.append("0123456789", 10, false);
    expect(log.read(0, Infinity)).toHaveLength(1_400);
  });
});

describe("memory", () => {
  test("a log that has little to say holds no part of Node's pool, which would be kept with it", () => {
    const log = new Log("messages", new BlockPool(), ampleAccount());
    log.append("0123456789", 10, false);
    expect(log.read(0, 1).buffer.byteLength).toBe(2_048);
  });

  test("a log that may hold no more takes what fits into its last block, and anything when it holds nothing", () => {
    const budget = new CountingBudget(0);
    const log = new Log("bytes", new BlockPool(), new Account(0, budget));
    expect(log.hasRoom(1_000_000)).toBe(true);
    log.append(Buffer.alloc(1_000), 1_000, false);
    expect([log.hasRoom(1_048), log.hasRoom(1_049), log.leftBytes]).toEqual([true, false, 1_048]);
    log.release(1_000);
    expect([log.hasRoom(1_000_000), budget.taken]).toEqual([true, 0]);
  });

  test("a byte stream of which one byte waits goes on: its reader may wait for more before it accepts that", () => {
    const budget = new CountingBudget(0);
    const account = new Account(memoryFor(65_536), budget);
    const log = new Log("bytes", new BlockPool(), account);
    log.append(Buffer.alloc(65_536), 65_536, false);
    expect([log.hasRoom(1), log.leftBytes]).toEqual([false, 0]);
    log.release(65_534);
    expect(log.hasRoom(65_536)).toBe(false);
    log.release(65_535);
    expect(log.hasRoom(65_536)).toBe(true);
    log.append(Buffer.alloc(65_536), 65_536, false);
    expect([account.heldBytes, budget.taken]).toEqual([131_072, 0]);
  });

  test.each<Mode>(["messages", "bytes"])("of %s that are given away it holds little besides", (mode) => {
    const account = ampleAccount();
    const log = new Log(mode, new BlockPool(), account);
    for (let n = 0; n < 100; n++) log.append(new Uint8Array(8_192), 8_192, true);
    expect(account.heldBytes).toBeLessThan(100 * 8_300);
  });

  test("a payload that is given away is kept as it is, unless it is a small part of its memory", () => {
    const memory = Buffer.alloc(40_000);
    const log = new Log("bytes", new BlockPool(), ampleAccount());
    log.append(memory.subarray(0, 35_904), 35_904, true);
    expect(log.read(0, 1).buffer).toBe(memory.buffer);
    log.append(memory.subarray(0, 35_903), 35_903, true);
    expect(log.read(35_904, 1).buffer).not.toBe(memory.buffer);
  });

  test("what is reported of a byte stream has memory of its own", () => {
    const log = new Log("bytes", new BlockPool(), ampleAccount());
    log.append("0123456789", 10, false);
    expect(log.messages().map(({ payload }) => payload.buffer.byteLength)).toEqual([10]);
  });
});

describe("the pool", () => {
  const payload = Buffer.alloc(60_000, "x");

  test("gets a block back when all of it is released and written, and gives it to the next", () => {
    const pool = new BlockPool();
    const log = new Log("bytes", pool, ampleAccount());
    log.append(payload, payload.length, false);
    const { buffer } = log.read(0, 1);
    log.release(59_999);
    log.recycle(60_000);
    expect(pool.take(pool.blockBytes).buffer).not.toBe(buffer);
    log.release(60_000);
    expect(pool.take(pool.blockBytes).buffer).not.toBe(buffer);
    log.recycle(60_000);
    expect(pool.take(pool.blockBytes).buffer).toBe(buffer);
  });

  test("keeps the first block of a log that has little to say, too", () => {
    const pool = new BlockPool();
    const log = new Log("messages", pool, ampleAccount());
    log.append("0123456789", 10, false);
    const { buffer } = log.read(0, 1);
    log.release(14);
    log.recycle(14);
    log.append("0123456789", 10, false);
    expect(log.read(14, 1).buffer).toBe(buffer);
    expect([pool.keeps(2_048), pool.keeps(4_096), pool.keeps(65_536)]).toEqual([true, false, true]);
  });

  test("does not get what the connection in use has still to write, whatever its peer acknowledges", () => {
    const pool = new BlockPool();
    const log = new Log("bytes", pool, ampleAccount());
    log.append(payload, payload.length, false);
    const { buffer } = log.read(0, 1);
    log.release(60_000);
    log.recycle(59_999);
    log.recycle(60_000);
    expect(pool.take(pool.blockBytes).buffer).not.toBe(buffer);
  });

  test("does not get what another connection took over before it was written", () => {
    const pool = new BlockPool();
    const log = new Log("bytes", pool, ampleAccount());
    log.append(payload, payload.length, false);
    const { buffer } = log.read(0, 1);
    log.release(60_000);
    log.share();
    log.recycle(60_000);
    expect(pool.take(pool.blockBytes).buffer).not.toBe(buffer);
  });

  test("does not get what an earlier connection may still have to write", () => {
    const pool = new BlockPool();
    const log = new Log("bytes", pool, ampleAccount());
    log.append(payload, payload.length, false);
    const { buffer } = log.read(0, 1);
    log.share();
    log.release(log.end);
    log.recycle(log.end);
    expect(pool.take(pool.blockBytes).buffer).not.toBe(buffer);
  });

  test("does not get what was given away by the application", () => {
    const pool = new BlockPool();
    const log = new Log("bytes", pool, ampleAccount());
    const given = Buffer.alloc(BLOCK_BYTES);
    log.append(given, given.length, true);
    log.release(log.end);
    log.recycle(log.end);
    expect(pool.take(pool.blockBytes).buffer).not.toBe(given.buffer);
  });

  test("keeps 4 MiB, and no more", () => {
    const pool = new BlockPool();
    const blocks = Array.from({ length: 65 }, () => pool.take(pool.blockBytes));
    for (const block of blocks) pool.give(block);
    const again = new Set(Array.from({ length: 65 }, () => pool.take(pool.blockBytes)));
    expect(blocks.filter((block) => again.has(block))).toHaveLength(64);
  });
});

test("cleared, it holds nothing, and still counts what was released", () => {
  const log = new Log("messages", new BlockPool(), ampleAccount());
  for (let i = 0; i < 3; i++) log.append(Buffer.alloc(96), 96, false);
  log.release(100);
  log.clear();
  expect([log.start, log.end, log.releasedMessages()]).toEqual([100, 300, 1]);
  expect(log.messages()).toEqual([]);
  log.release(300);
  expect([log.start, log.countTo(300)]).toEqual([300, 0]);
});

test("messages are counted as far as they have begun, whatever was released meanwhile", () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ sizes: fc.array(payloadBytes, { maxLength: 8 }), to: fc.nat(), release: fc.nat() }), {
        maxLength: 12,
      }),
      (steps) => {
        const log = new Log("messages", new BlockPool(), ampleAccount());
        const starts: number[] = [];
        let counted = 0;
        for (const { sizes, to, release } of steps) {
          for (const bytes of sizes) {
            starts.push(log.end);
            log.append(Buffer.alloc(bytes), bytes, false);
          }
          counted = Math.max(counted, to % (log.end + 1));
          expect(log.countTo(counted)).toBe(starts.filter((start) => start < counted).length);
          if (counted >= log.start) {
            const next = starts.find((start) => start >= counted) ?? log.end;
            expect(log.messageFrom(counted)).toBe(next);
          }
          // What is released was accepted whole, and written before.
          const ends = [...starts, log.end].filter((end) => end > log.start && end <= counted);
          if (ends.length > 0) log.release(ends[release % ends.length] as number);
        }
      },
    ),
    { numRuns: runs(200) },
  );
});

test("what is not in the log cannot be read: that is a mistake of ours, and throws", () => {
  const log = new Log("bytes", new BlockPool(), ampleAccount());
  expect(() => log.read(0, 1)).toThrow(RangeError);
  log.append("0123456789", 10, false);
  expect(() => log.read(10, 1)).toThrow("position 10 is not in the log [0, 10)");
  log.release(10);
  expect(() => log.read(9, 1)).toThrow(RangeError);
});

test("releasing what was released before changes nothing", () => {
  const log = new Log("messages", new BlockPool(), ampleAccount());
  log.append("first", 5, false);
  log.append("second", 6, false);
  log.release(9);
  log.release(0);
  log.release(9);
  expect(log.messages()).toEqual([{ payload: Buffer.from("second"), start: 9, end: 19 }]);
  expect(log.releasedMessages()).toBe(1);
});

test("a message takes its length and its bytes, a byte stream only the bytes", () => {
  expect(new Log("messages", new BlockPool(), ampleAccount()).encodedBytes(10)).toBe(14);
  expect(new Log("bytes", new BlockPool(), ampleAccount()).encodedBytes(10)).toBe(10);
});

test("the pool says how large blocks get, and what does not fit into one lies in several", () => {
  const pool = new BlockPool(64);
  const log = new Log("messages", pool, ampleAccount());
  const payloads = [10, 200, 0, 64, 60, 61].map((bytes) => Buffer.alloc(bytes, bytes));
  for (const payload of payloads) log.append(payload, payload.length, false);
  expect(log.messages().map(({ payload }) => payload)).toEqual(payloads);
  for (let at = 0; at < log.end; at += log.read(at, Infinity).length) {
    expect(log.read(at, Infinity).length).toBeLessThanOrEqual(64);
  }
  const kept = log.read(0, 4).buffer;
  log.release(log.end);
  log.append("again", 5, false);
  expect([pool.take(pool.blockBytes).length, log.read(log.start, 4).length]).toEqual([64, 4]);
  expect(kept.byteLength).toBe(64);
});

test("an empty message is a message", () => {
  const log = new Log("messages", new BlockPool(), ampleAccount());
  log.append("", 0, false);
  log.append(Buffer.alloc(0), 0, true);
  expect(log.messages()).toEqual([
    { payload: Buffer.alloc(0), start: 0, end: 4 },
    { payload: Buffer.alloc(0), start: 4, end: 8 },
  ]);
});
