import { crc32, deflateSync, inflateSync } from "node:zlib";
import { describe, expect, test } from "vitest";
import { decode, encode, paletteOf, shrink } from "../../scripts/pictures/png.ts";

const SIGNATURE = Buffer.from("89504e470d0a1a0a", "hex");

function part(name: string, data: Buffer): Buffer {
  const whole = Buffer.alloc(data.length + 12);
  whole.writeUInt32BE(data.length);
  whole.write(name, 4, "latin1");
  data.copy(whole, 8);
  whole.writeUInt32BE(crc32(whole.subarray(4, -4)), whole.length - 4);
  return whole;
}

/** Filtered rows, as bytes: the first of each is its filter. The data comes in two parts. */
function png(width: number, form: string, rows: readonly number[][]): Buffer {
  const header = Buffer.concat([Buffer.alloc(8), Buffer.from(form, "hex")]);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(rows.length, 4);
  const data = deflateSync(Buffer.from(rows.flat()));
  const parts = [part("IDAT", data.subarray(0, 5)), part("IDAT", data.subarray(5)), part("IEND", Buffer.alloc(0))];
  return Buffer.concat([SIGNATURE, part("IHDR", header), ...parts]);
}

describe("a PNG", () => {
  test("is read with each filter", () => {
    const rows = [
      [0, 1, 2, 3, 11, 12, 13],
      [1, 1, 2, 3, 10, 10, 10],
      [2, 0, 0, 0, 1, 255, 0],
      [3, 1, 1, 2, 5, 5, 5],
      [4, 0, 0, 1, 0, 255, 0],
    ];
    const { width, height, pixels } = decode(png(2, "0802000000", rows));
    expect([width, height]).toEqual([2, 5]);
    const shown = [...pixels].map((pixel) => pixel.toString(16).padStart(6, "0"));
    expect(shown.join(" ")).toBe("010203 0b0c0d 010203 0b0c0d 010203 0c0b0d 010203 0b0b0d 010204 0b0a0d");
  });

  test("may have a fourth channel, which is not looked at", () => {
    expect([...decode(png(2, "0806000000", [[0, 1, 2, 3, 255, 4, 5, 6, 0]])).pixels]).toEqual([0x01_02_03, 0x04_05_06]);
  });

  test.for(["1002000000", "0802000001", "0803000000"])("of the form %s is not read", (form) => {
    expect(() => decode(png(1, form, [[0, 0, 0, 0]]))).toThrow(form);
  });
});

describe("a palette", () => {
  test("has all colours, the frequent first, where they are few", () => {
    expect(paletteOf(Uint32Array.of(7, 5, 5, 3, 3, 3), 3)).toEqual([3, 5, 7]);
  });

  test("has surfaces that are nearly the same", () => {
    const steps = Array.from({ length: 256 }, (_, at) => at * 0x01_01_01);
    const palette = paletteOf(
      Uint32Array.from([...Array<number>(9).fill(0x14_17_1a), ...Array<number>(8).fill(0x15_18_1b), ...steps]),
      8,
    );
    expect(palette.slice(0, 2)).toEqual([0x14_17_1a, 0x15_18_1b]);
    expect(palette.length).toBeLessThanOrEqual(8);
  });

  test("has a colour that is rare and like no other", () => {
    const greys = Array.from({ length: 256 }, (_, at) => at * 0x01_01_01);
    const palette = paletteOf(Uint32Array.from([...greys, ...greys, 0xff_00_00]), 16);
    expect(palette.length).toBeLessThanOrEqual(16);
    expect(palette).toContain(0xff_00_00);
  });
});

test("each pixel becomes the colour that is next to it", () => {
  const bitmap = { width: 2, height: 2, pixels: Uint32Array.of(0, 0x10_10_10, 0xf0_f0_f0, 0xff_ff_ff) };
  const made = encode(bitmap, [0xff_ff_ff, 0]);
  expect(made.subarray(0, 8)).toEqual(SIGNATURE);
  const parts = new Map<string, Buffer>();
  for (let at = 8; at < made.length; at += 12 + made.readUInt32BE(at)) {
    const whole = made.subarray(at, at + 12 + made.readUInt32BE(at));
    expect(whole.readUInt32BE(whole.length - 4)).toBe(crc32(whole.subarray(4, -4)));
    parts.set(whole.toString("latin1", 4, 8), whole.subarray(8, -4));
  }
  expect([...parts.keys()]).toEqual(["IHDR", "PLTE", "IDAT", "IEND"]);
  expect(parts.get("IHDR")?.toString("hex")).toBe("00000002000000020803000000");
  expect(parts.get("PLTE")?.toString("hex")).toBe("ffffff000000");
  expect([...inflateSync(parts.get("IDAT") ?? Buffer.alloc(0))]).toEqual([0, 1, 1, 0, 0, 0]);
});

test("a screenshot becomes smaller", () => {
  const rows = Array.from({ length: 100 }, (_, row) => [
    0,
    ...Array.from({ length: 100 }, (__, column) => [row, column, (7 * row * column) % 256]).flat(),
  ]);
  const large = png(100, "0802000000", rows);
  expect(shrink(large).length).toBeLessThan(large.length / 2);
});
