/** Screenshots with few colours: a third of the bytes. */
import { crc32, deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = Buffer.from("89504e470d0a1a0a", "hex");
const COLOURS = 64;

export interface Bitmap {
  readonly width: number;
  readonly height: number;
  /** Row by row, each as 0xRRGGBB. */
  readonly pixels: Uint32Array;
}

/** The same picture with at most 64 colours. */
export function shrink(png: Buffer): Buffer {
  const bitmap = decode(png);
  return encode(bitmap, paletteOf(bitmap.pixels, COLOURS));
}

/** Of a PNG as Chromium writes them: eight bits for each of three or four channels, not interlaced. */
export function decode(png: Buffer): Bitmap {
  const parts = new Map<string, Buffer[]>();
  for (let at = SIGNATURE.length; at < png.length;) {
    const length = png.readUInt32BE(at);
    const name = png.toString("latin1", at + 4, at + 8);
    parts.set(name, [...(parts.get(name) ?? []), png.subarray(at + 8, at + 8 + length)]);
    at += length + 12;
  }
  const header = Buffer.concat(parts.get("IHDR") ?? []);
  const [width, height] = [header.readUInt32BE(0), header.readUInt32BE(4)];
  const form = header.toString("hex", 8);
  const channels = { "0802000000": 3, "0806000000": 4 }[form];
  if (channels === undefined) throw new Error(`a PNG of this form is not read: ${form}`);
  const rows = unfiltered(inflateSync(Buffer.concat(parts.get("IDAT") ?? [])), width * channels, channels);
  const pixels = Uint32Array.from({ length: width * height }, (_, at) => rows.readUIntBE(at * channels, 3));
  return { width, height, pixels };
}

/** Each byte is the difference to what the row's filter foretells: the bytes to the left, above, or both. */
function unfiltered(data: Buffer, rowBytes: number, pixelBytes: number): Buffer {
  const rows = Buffer.alloc((data.length / (rowBytes + 1)) * rowBytes);
  for (let at = 0; at < rows.length; at++) {
    const [row, column] = [Math.floor(at / rowBytes), at % rowBytes];
    const isFirst = column < pixelBytes;
    const left = isFirst ? 0 : (rows[at - pixelBytes] ?? 0);
    const above = row === 0 ? 0 : (rows[at - rowBytes] ?? 0);
    const corner = isFirst || row === 0 ? 0 : (rows[at - rowBytes - pixelBytes] ?? 0);
    const filter = data[row * (rowBytes + 1)] ?? 0;
    const foretold = [0, left, above, (left + above) >> 1, nearest(left, above, corner)][filter] ?? 0;
    rows[at] = (data[row * (rowBytes + 1) + 1 + column] ?? 0) + foretold;
  }
  return rows;
}

/** Paeth's: which of the three is next to left + above - corner. */
function nearest(left: number, above: number, corner: number): number {
  const [toLeft, toAbove, toCorner] = [above - corner, left - corner, left + above - 2 * corner].map(Math.abs);
  if (toLeft === undefined || toAbove === undefined || toCorner === undefined) return 0;
  if (toLeft <= toAbove && toLeft <= toCorner) return left;
  return toAbove <= toCorner ? above : corner;
}

/**
 * At most so many colours. A quarter of them are the most frequent ones: the surfaces, which may be near to each other.
 * The others are such that every pixel is near to one of all.
 */
export function paletteOf(pixels: Uint32Array, most: number): number[] {
  const counts = new Map<number, number>();
  for (const pixel of pixels) counts.set(pixel, (counts.get(pixel) ?? 0) + 1);
  const colours = [...counts].toSorted(([, a], [, b]) => b - a).map(([colour]) => colour);
  for (let near = 0; ; near += 4) {
    const palette = colours.slice(0, most / 4);
    for (const colour of colours.slice(palette.length)) {
      if (palette.length > most) break;
      if (!palette.some((chosen) => distance(chosen, colour) <= near)) palette.push(colour);
    }
    if (palette.length <= most) return palette;
  }
}

/** Each pixel becomes the colour that is next to it. */
export function encode({ width, height, pixels }: Bitmap, palette: readonly number[]): Buffer {
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  header.set([8, 3, 0, 0, 0], 8);
  const indices = new Map<number, number>();
  const data = Buffer.alloc(height * (width + 1));
  for (const [at, pixel] of pixels.entries()) {
    let index = indices.get(pixel);
    if (index === undefined) {
      const distances = palette.map((colour) => distance(colour, pixel));
      index = distances.indexOf(Math.min(...distances));
      indices.set(pixel, index);
    }
    // Each row begins with its filter: none.
    data[at + Math.floor(at / width) + 1] = index;
  }
  const colours = Buffer.from(palette.flatMap((colour) => [colour >> 16, (colour >> 8) & 255, colour & 255]));
  return Buffer.concat([
    SIGNATURE,
    part("IHDR", header),
    part("PLTE", colours),
    part("IDAT", deflateSync(data, { level: 9 })),
    part("IEND", Buffer.alloc(0)),
  ]);
}

function part(name: string, data: Buffer): Buffer {
  const named = Buffer.concat([Buffer.from(name, "latin1"), data]);
  const [length, sum] = [Buffer.alloc(4), Buffer.alloc(4)];
  length.writeUInt32BE(data.length);
  sum.writeUInt32BE(crc32(named));
  return Buffer.concat([length, named, sum]);
}

/** The largest difference of a channel. */
function distance(one: number, other: number): number {
  const channel = (shift: number): number => Math.abs(((one >> shift) & 255) - ((other >> shift) & 255));
  return Math.max(channel(16), channel(8), channel(0));
}
