import { expect, test } from "vitest";
import { readLength, resolvePrefix, varintBytes, writeLength, writeVarint } from "../../src/plain/length-prefix.ts";
import { refusal } from "../support.ts";

test("the defaults", () => {
  expect(resolvePrefix(undefined)).toEqual({
    mostBytes: 4,
    isVarint: false,
    isLittle: false,
    headerBytes: 0,
    countedBytes: 0,
    uncountedBytes: 0,
    strip: true,
    mostLength: 2 ** 32 - 1,
  });
});

test.each([
  [{ bytes: 5 }, "bytes", "1, 2, 3, 4, 8, varint, varint4"],
  [{ bytes: "4" }, "bytes", "1, 2, 3, 4, 8, varint, varint4"],
  [{ endian: "middle" }, "endian", "big, little"],
  [{ bytes: "varint", endian: "big" }, "endian", "nothing, as a varint has an order of its own"],
  [{ counts: "all" }, "counts", "rest, itself, whole"],
  [{ bytes: "varint4", counts: "itself" }, "counts", '"rest", for a varint'],
  [{ headerBytes: -1 }, "headerBytes", "an integer from 0 to 1024"],
  [{ headerBytes: 1_025 }, "headerBytes", "an integer from 0 to 1024"],
  [{ uncountedBytes: 0.5 }, "uncountedBytes", "an integer from 0 to 1024"],
  [{ strip: "yes" }, "strip", "true or false"],
  [{ offset: 1 }, "offset", "bytes, endian, headerBytes, counts, uncountedBytes, strip"],
])("%j is refused", (options, name, allowed) => {
  const { code, option } = refusal(() => resolvePrefix(options as never));
  expect([code, option?.name, option?.allowed]).toEqual(["INVALID_OPTION", `lengthPrefixed.${name}`, allowed]);
});

test("lengths of more than 32 bits are not cut off", () => {
  const into = Buffer.alloc(8);
  for (const isLittle of [true, false]) {
    writeLength(into, 0, 2 ** 40 + 5, 8, isLittle);
    expect(isLittle ? into.readBigUInt64LE() : into.readBigUInt64BE()).toBe(2n ** 40n + 5n);
    expect(readLength(into, 0, 8, isLittle)).toBe(2 ** 40 + 5);
  }
});

test("varints", () => {
  const into = Buffer.alloc(5);
  writeVarint(into, 0, 2 ** 32 - 1);
  expect([into.toString("hex"), varintBytes(2 ** 32 - 1), varintBytes(0), varintBytes(128)]).toEqual([
    "ffffffff0f",
    5,
    1,
    2,
  ]);
});
