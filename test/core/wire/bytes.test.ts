import fc from "fast-check";
import { expect, test } from "vitest";
import {
  isZero,
  MAX_POSITION,
  NOT_A_POSITION,
  readPosition,
  readUint32,
  writePosition,
} from "../../../src/core/wire/bytes.ts";
import { runs } from "../../properties.ts";

const position = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 1, 2 ** 32 - 1, 2 ** 32, 2 ** 32 + 1, MAX_POSITION));

test("a position comes back as it was written, and its neighbours are left alone", () => {
  fc.assert(
    fc.property(position, fc.nat({ max: 8 }), (value, at) => {
      const bytes = Buffer.alloc(16, 0xaa);
      writePosition(bytes, at, value);
      expect(readPosition(bytes, at)).toBe(value);
      expect(bytes.subarray(0, at).every((byte) => byte === 0xaa)).toBe(true);
      expect(bytes.subarray(at + 8).every((byte) => byte === 0xaa)).toBe(true);
    }),
    { numRuns: runs(300) },
  );
});

test.each([
  [0, "0000000000000000"],
  [1, "0000000000000001"],
  [0xffff_ffff, "00000000ffffffff"],
  [0x1_0000_0000, "0000000100000000"],
  [0x01_0203_0405_0607, "0001020304050607"],
  [MAX_POSITION, "001fffffffffffff"],
])("%d is %s on the wire", (value, wire) => {
  const bytes = Buffer.alloc(8);
  writePosition(bytes, 0, value);
  expect(bytes.toString("hex")).toBe(wire);
});

test("a length is read as Buffer reads it", () => {
  const lengths = fc.uint8Array({ minLength: 4, maxLength: 12 });
  fc.assert(
    fc.property(lengths, fc.nat({ max: 8 }), (given, from) => {
      const bytes = Buffer.from(given);
      const at = Math.min(from, bytes.length - 4);
      expect(readUint32(bytes, at)).toBe(bytes.readUInt32BE(at));
    }),
    { numRuns: runs(300) },
  );
  expect(readUint32(Buffer.from("ffffffff", "hex"), 0)).toBe(0xffff_ffff);
});

test("a number above 2^53 - 1 is not a position", () => {
  const tooHigh = fc.bigInt({ min: 2n ** 53n, max: 2n ** 64n - 1n });
  fc.assert(
    fc.property(fc.oneof(tooHigh, fc.constantFrom(2n ** 53n, 2n ** 64n - 1n)), (value) => {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64BE(value);
      expect(readPosition(bytes, 0)).toBe(NOT_A_POSITION);
    }),
  );
});

test("bytes are zeros from one place to before another, whatever stands around them", () => {
  const bytes = Buffer.from("ff0000ff", "hex");
  expect([isZero(bytes, 1, 3), isZero(bytes, 0, 3), isZero(bytes, 1, 4), isZero(bytes, 2, 2)]).toEqual([
    true,
    false,
    false,
    true,
  ]);
});
