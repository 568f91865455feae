/** What holds of every framing, for any messages, any bytes, and any way in which they arrive. */
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import { bytes } from "../../src/plain/bytes.ts";
import { delimited } from "../../src/plain/delimited.ts";
import { fixed } from "../../src/plain/fixed.ts";
import { type Framing } from "../../src/plain/framing.ts";
import { RespliceError } from "../../src/link/errors.ts";
import type { LengthPrefix } from "../../src/plain/length-prefix.ts";
import { lengthPrefixed } from "../../src/plain/length-prefixed.ts";
import { lines } from "../../src/plain/lines.ts";
import { cut, cuts } from "../core/wire/arbitraries.ts";
import { runs } from "../properties.ts";
import { chunked, decode, streamOf } from "./decoding.ts";

const PREFIXES: readonly LengthPrefix[] = [
  {},
  { bytes: 1 },
  { bytes: 2, endian: "little" },
  { bytes: 3, endian: "little", uncountedBytes: 1 },
  { bytes: 8, strip: false },
  { bytes: 8, endian: "little", counts: "itself" },
  { bytes: "varint" },
  { bytes: "varint4", headerBytes: 1 },
  { bytes: "varint4", headerBytes: 2, uncountedBytes: 3, strip: false },
  { headerBytes: 1, counts: "itself" },
  { headerBytes: 2, counts: "whole", strip: false },
  { headerBytes: 3, bytes: 2, counts: "whole", uncountedBytes: 2 },
];
const FRAMINGS: ReadonlyArray<readonly [string, Framing]> = [
  ["lines", lines()],
  ["lines, CR LF", lines({ ending: "\r\n" })],
  ["lines, the last without an end", lines({ allowUnendedLast: true })],
  ["NUL", delimited("\0")],
  ["--", delimited("--")],
  ["ababa", delimited("ababa")],
  ["fixed", fixed(5)],
  ["fixed, one byte", fixed(1)],
  ["bytes", bytes()],
  ...PREFIXES.map((prefix) => [JSON.stringify(prefix), lengthPrefixed(prefix)] as const),
];
const MOST_BYTES = 40;

afterEach(() => void vi.restoreAllMocks());

/** Bytes that mean something to one framing or another are frequent. */
const byte = fc.oneof(
  { weight: 3, arbitrary: fc.constantFrom(...Buffer.from("\0\u0001\u0003\u0004\u0005\u0008\n\r--ab")) },
  { weight: 1, arbitrary: fc.nat({ max: 255 }) },
);
const anyBytes = (most: number): fc.Arbitrary<Buffer> =>
  fc.array(byte, { maxLength: most }).map((values) => Buffer.from(values));

/** A message that the framing takes, made of `given`. */
function fitting({ encode }: Framing, name: string, given: Buffer): Buffer | undefined {
  if (!name.includes('"strip":false')) return canEncode(encode, given) ? given : undefined;
  // With its length.
  const prefix = JSON.parse(name) as LengthPrefix;
  const framing = lengthPrefixed({ ...prefix, strip: true });
  return canEncode((message) => framing.encode(message), given) ? streamOf(framing, [given]) : undefined;
}

function canEncode(encode: Framing["encode"], message: Buffer): boolean {
  try {
    encode(message);
    return true;
  } catch (error) {
    if (!(error instanceof RespliceError) || error.code !== "INVALID_ARGUMENT") throw error;
    return false;
  }
}

describe.each(FRAMINGS)("%s", (name, framing) => {
  const isBytes = framing.name === "bytes";
  const own: Framing = {
    name,
    encode: (message) => framing.encode(message),
    decoder: (limits) => framing.decoder(limits),
  };
  const message = anyBytes(framing.name === "fixed" ? 5 : 24).map((given) => {
    if (framing.name === "fixed") return Buffer.alloc(name === "fixed" ? 5 : 1, given.length > 0 ? given : "x");
    return fitting(own, name, given);
  });
  const messages = fc
    .array(message, { maxLength: 5 })
    .map((all) => all.filter((each) => each !== undefined && each.length <= MOST_BYTES) as Buffer[]);
  const decoder = (): ReturnType<Framing["decoder"]> => framing.decoder({ maxMessageBytes: MOST_BYTES });

  test("what is encoded comes back, wherever the stream is cut, and nothing is left at the end", () => {
    let framed = 0;
    fc.assert(
      fc.property(messages, cuts, (all, places) => {
        const stream = streamOf(framing, all);
        const expected = all.map((each) => each.toString("latin1"));
        framed += expected.length;
        const cutsOf = [cut(stream, places), chunked(stream, 1)];
        for (let at = 0; at <= stream.length; at++) cutsOf.push(cut(stream, [at]));
        for (const chunks of cutsOf) {
          const { messages: found, fault } = decode(decoder(), chunks, true);
          expect(fault).toBeUndefined();
          if (isBytes) expect(found.join("")).toBe(expected.join(""));
          else expect(found).toEqual(expected);
        }
      }),
      { numRuns: runs(30) },
    );
    expect(framed).toBeGreaterThan(10);
  });

  test("any bytes give the same messages and the same fault however they are cut, none above the limit", () => {
    fc.assert(
      fc.property(anyBytes(90), cuts, fc.boolean(), (stream, places, ends) => {
        const whole = decode(decoder(), [stream], ends);
        for (const each of whole.messages) expect(each.length).toBeLessThanOrEqual(MOST_BYTES);
        for (const chunks of [cut(stream, places), chunked(stream, 1)]) {
          const found = decode(decoder(), chunks, ends);
          expect(found.fault).toBe(whole.fault);
          if (isBytes) expect(found.messages.join("")).toBe(whole.messages.join(""));
          else expect(found.messages).toEqual(whole.messages);
        }
      }),
      { numRuns: runs(120) },
    );
  });

  test("no more memory is taken than twice what has arrived, and no more than messages can have", () => {
    fc.assert(
      fc.property(anyBytes(300), cuts, (stream, places) => {
        const allocations = vi.spyOn(Buffer, "allocUnsafeSlow");
        decode(decoder(), cut(stream, places));
        for (const [taken] of allocations.mock.calls) {
          expect(taken).toBeLessThanOrEqual(Math.max(64, Math.min(2 * stream.length, 2 * MOST_BYTES + 20)));
        }
        allocations.mockRestore();
      }),
      { numRuns: runs(30) },
    );
  });

  test("of a chunk in which no message ends nothing is needed any more", () => {
    fc.assert(
      fc.property(messages, cuts, (all, places) => {
        const found: Buffer[] = [];
        const each = decoder();
        for (const chunk of cut(streamOf(framing, all), places)) {
          const before = found.length;
          const given = Buffer.from(chunk);
          each.decode(given, (one) => void found.push(one));
          if (found.length === before) given.fill(0x55);
        }
        expect(Buffer.concat(found).toString("latin1")).toBe(Buffer.concat(all).toString("latin1"));
      }),
      { numRuns: runs(30) },
    );
  });

  test("a chunk without bytes changes nothing", () => {
    const each = decoder();
    expect(decode(each, [Buffer.alloc(0)], true)).toEqual({ messages: [] });
  });
});
