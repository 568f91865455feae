import { describe, expect, test, vi } from "vitest";
import type { LengthPrefix } from "../../src/plain/length-prefix.ts";
import { lengthPrefixed } from "../../src/plain/length-prefixed.ts";
import { chunked, decode, decoded, decodedToEnd, MOST, streamOf } from "./decoding.ts";
import { refusal } from "../support.ts";

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(" ", ""), "hex");
const encoded = (options: LengthPrefix, message: string | Buffer): string =>
  streamOf(lengthPrefixed(options), [message]).toString("hex");

describe("the length", () => {
  test.each<[LengthPrefix, string]>([
    [{}, "00000003"],
    [{ bytes: 1 }, "03"],
    [{ bytes: 2 }, "0003"],
    [{ bytes: 3 }, "000003"],
    [{ bytes: 4, endian: "big" }, "00000003"],
    [{ bytes: 8 }, "0000000000000003"],
    [{ bytes: 2, endian: "little" }, "0300"],
    [{ bytes: 3, endian: "little" }, "030000"],
    [{ bytes: 4, endian: "little" }, "03000000"],
    [{ bytes: 8, endian: "little" }, "0300000000000000"],
    [{ bytes: "varint" }, "03"],
    [{ counts: "itself" }, "00000007"],
    [{ bytes: 2, endian: "little", counts: "whole" }, "0500"],
  ])("%j: %s before three bytes", (options, prefix) => {
    expect(encoded(options, "abc")).toBe(`${prefix}616263`);
    expect(decoded(lengthPrefixed(options), hex(`${prefix}616263`))).toEqual({ messages: ["abc"] });
  });

  test.each<[LengthPrefix, string, string]>([
    [{ headerBytes: 1 }, "61 00000002 6263", "abc"],
    [{ headerBytes: 1, counts: "itself" }, "61 00000006 6263", "abc"],
    [{ headerBytes: 1, counts: "whole" }, "61 00000007 6263", "abc"],
    [{ bytes: 1, uncountedBytes: 1 }, "02 616263", "abc"],
    [{ bytes: 1, uncountedBytes: 1, headerBytes: 1 }, "61 01 6263", "abc"],
    [{ bytes: 1, headerBytes: 3 }, "616263 00", "abc"],
    [{ bytes: "varint", headerBytes: 2 }, "6162 01 63", "abc"],
  ])("%j: %s", (options, wire, message) => {
    expect(encoded(options, message)).toBe(hex(wire).toString("hex"));
    expect(decoded(lengthPrefixed(options), Buffer.concat([hex(wire), hex(wire)]))).toEqual({
      messages: [message, message],
    });
    // Without strip: false it is taken out, with it the message is what is on the wire.
    const whole = lengthPrefixed({ ...options, strip: false });
    expect(decoded(whole, hex(wire))).toEqual({ messages: [hex(wire).toString("latin1")] });
    expect(streamOf(whole, [hex(wire)])).toEqual(hex(wire));
  });

  test.each<[number, string]>([
    [127, "7f"],
    [128, "8001"],
    [16_383, "ff7f"],
    [16_384, "808001"],
    [2_097_152, "80808001"],
  ])("a varint of %i", (bytes, prefix) => {
    const framing = lengthPrefixed({ bytes: "varint4" });
    const message = Buffer.alloc(bytes, "x");
    const stream = streamOf(framing, [message]);
    expect(stream.subarray(0, stream.length - bytes).toString("hex")).toBe(prefix);
    expect(decoded(framing, stream, 2 * 2 ** 20 + 1).messages.map(({ length }) => length)).toEqual([bytes]);
  });

  test("a varint may be longer than it must, up to its limit", () => {
    expect(decoded(lengthPrefixed({ bytes: "varint4" }), hex("81808000 61"))).toEqual({ messages: ["a"] });
    expect(decoded(lengthPrefixed({ bytes: "varint" }), hex("8180808000 61"))).toEqual({ messages: ["a"] });
    const fault = { messages: [], fault: "a length of more than 4 bytes" };
    expect(decoded(lengthPrefixed({ bytes: "varint4" }), hex("81808080"))).toEqual(fault);
    expect(
      decode(lengthPrefixed({ bytes: "varint4" }).decoder({ maxMessageBytes: 9 }), chunked(hex("81808080"), 1)),
    ).toEqual(fault);
    expect(decoded(lengthPrefixed({ bytes: "varint" }), hex("818080808000")).fault).toBe(
      "a length of more than 5 bytes",
    );
  });

  test("of 5 bytes", () => {
    const { fault } = decoded(lengthPrefixed({ bytes: "varint" }), hex("ffffffff0f"));
    expect(fault).toBe("a message of more than maxMessageBytes, 1048576 bytes");
  });
});

describe("a fault", () => {
  test.each<[LengthPrefix, string, string]>([
    [{ counts: "itself" }, "00000003", "a length of 3, which counts 4 bytes of its own"],
    [{ counts: "itself" }, "00000000", "a length of 0, which counts 4 bytes of its own"],
    [{ counts: "whole", headerBytes: 2, bytes: 2 }, "0000 0003", "a length of 3, which counts 4 bytes of its own"],
    // Also where uncounted bytes would make up for it.
    [{ counts: "itself", uncountedBytes: 8 }, "00000003", "a length of 3, which counts 4 bytes of its own"],
  ])("a length that is less than what it counts: %j, %s", (options, wire, fault) => {
    expect(decoded(lengthPrefixed(options), hex(`${wire}0000000000`))).toEqual({ messages: [], fault });
    expect(decode(lengthPrefixed(options).decoder({ maxMessageBytes: 99 }), chunked(hex(wire), 1))).toEqual({
      messages: [],
      fault,
    });
  });

  test.each<[LengthPrefix, string]>([
    [{}, "00000065"],
    [{}, "ffffffff"],
    [{ bytes: 8 }, "ffffffffffffffff"],
    [{ bytes: 8, endian: "little" }, "0000000000000080"],
    [{ bytes: 1, headerBytes: 1 }, "61 64"],
    [{ bytes: 1, uncountedBytes: 1 }, "64"],
    [{ bytes: 1, strip: false }, "64"],
    [{ bytes: "varint" }, "65"],
  ])("above the limit, before anything is kept: %j, %s", (options, wire) => {
    const taken = vi.spyOn(Buffer, "allocUnsafeSlow");
    expect(decoded(lengthPrefixed(options), hex(`${wire}00`), 100).fault).toContain("maxMessageBytes, 100");
    expect(taken).not.toHaveBeenCalled();
    taken.mockRestore();
  });

  test("not at the limit", () => {
    for (const options of [
      {},
      { bytes: 1, headerBytes: 4 },
      { bytes: "varint", uncountedBytes: 9 },
    ] as LengthPrefix[]) {
      const stream = streamOf(lengthPrefixed(options), ["x".repeat(100)]);
      expect(decoded(lengthPrefixed(options), stream, 100)).toEqual({ messages: ["x".repeat(100)] });
      expect(decoded(lengthPrefixed(options), stream, 99).fault).toContain("maxMessageBytes, 99");
    }
  });

  test("a part at the peer's end, however small", () => {
    const framing = lengthPrefixed({ headerBytes: 1 });
    expect(decodedToEnd(framing, "a")).toEqual({
      messages: [],
      fault: "the peer has ended within a message, of which 1 bytes have come",
    });
    expect(decodedToEnd(framing, hex("61 00000002 62")).fault).toBe(
      "the peer has ended within a message, of which 6 bytes have come",
    );
    expect(decodedToEnd(framing, hex("61 00000000"))).toEqual({ messages: ["a"] });
  });
});

test("a length is only believed as far as bytes arrive", () => {
  const taken = vi.spyOn(Buffer, "allocUnsafeSlow");
  expect(decoded(lengthPrefixed(), hex("00100000 616263"))).toEqual({ messages: [] });
  expect(Math.max(...taken.mock.calls.map(([bytes]) => bytes))).toBeLessThanOrEqual(64);
  taken.mockRestore();
});

test("a message in many chunks is kept once, in no more memory than it has", () => {
  const framing = lengthPrefixed({ headerBytes: 1, counts: "itself" });
  const message = Buffer.alloc(MOST, "x");
  const found: Buffer[] = [];
  const decoder = framing.decoder({ maxMessageBytes: MOST });
  for (const chunk of chunked(streamOf(framing, [message]), 1_460))
    decoder.decode(chunk, (each) => void found.push(each));
  expect(found.map((each) => each.equals(message))).toEqual([true]);
  expect(found[0]?.buffer.byteLength).toBe(MOST + 4);
});

test("messages are views of their chunk; with a header in front of the length they are copies", () => {
  for (const [options, isView] of [
    [{}, true],
    [{ headerBytes: 1 }, false],
    [{ headerBytes: 1, strip: false }, true],
  ] as const) {
    const framing = lengthPrefixed(options);
    const chunk = streamOf(lengthPrefixed({ ...options, strip: true }), ["one", "two"]);
    const found: Buffer[] = [];
    framing.decoder({ maxMessageBytes: 99 }).decode(chunk, (each) => void found.push(each));
    expect(found).toHaveLength(2);
    expect(
      found.every(
        ({ buffer, byteOffset }) =>
          buffer === chunk.buffer && byteOffset >= chunk.byteOffset && byteOffset < chunk.byteOffset + chunk.length,
      ),
    ).toBe(isView);
  }
});

describe("sent", () => {
  test("large messages are not copied", () => {
    const message = Buffer.alloc(5_000, "x");
    const [front, rest] = lengthPrefixed({ headerBytes: 2 }).encode(message) as [Buffer, Buffer];
    expect(front).toEqual(hex("7878 00001386"));
    expect([rest.buffer === message.buffer, rest.length]).toEqual([true, 4_998]);
  });

  test.each<[LengthPrefix, number, string]>([
    [{ bytes: 1 }, 256, "a length of 256, and the prefix holds at most 255"],
    [{ bytes: 2, counts: "itself" }, 65_534, "a length of 65536, and the prefix holds at most 65535"],
    [{ bytes: "varint4" }, 2 ** 28, "a length of 268435456, and the prefix holds at most 268435455"],
  ])("%j: %i bytes are too many", (options, bytes, text) => {
    // Without the memory.
    const { code, message } = refusal(() => lengthPrefixed(options).encode({ length: bytes } as Buffer));
    expect([code, message]).toEqual(["MESSAGE_TOO_LARGE", text]);
  });

  test("at the most that the prefix holds", () => {
    expect(encoded({ bytes: 1 }, "x".repeat(255))).toMatch(/^ff78/u);
    expect(encoded({ bytes: 1, uncountedBytes: 2 }, "x".repeat(257))).toMatch(/^ff78/u);
  });

  test("a message has what comes before and after the length", () => {
    const { code, message } = refusal(() =>
      lengthPrefixed({ headerBytes: 3, uncountedBytes: 1 }).encode(Buffer.alloc(3)),
    );
    expect([code, message]).toEqual(["INVALID_ARGUMENT", "a message of 3 bytes, where each has at least 4"]);
  });
});

test.each<[LengthPrefix, number, number]>([
  [{ headerBytes: 3, uncountedBytes: 1 }, 3, 4],
  [{ headerBytes: 3, strip: false }, 6, 7],
  [{ bytes: "varint", strip: false, headerBytes: 1 }, 1, 2],
])("%j: no message fits into %i bytes", (options, maxMessageBytes, least) => {
  const { code, option } = refusal(() => lengthPrefixed(options).decoder({ maxMessageBytes }));
  expect([code, option?.name, option?.value]).toEqual(["INVALID_OPTION", "maxMessageBytes", maxMessageBytes]);
  expect(option?.allowed).toContain(`at least ${least}`);
  expect(() => lengthPrefixed(options).decoder({ maxMessageBytes: least })).not.toThrow();
});
