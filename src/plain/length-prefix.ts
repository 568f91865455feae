/** How a length is written in front of its message: the options, checked, and lengths as bytes. */
import { boolean, group, integer, oneOf } from "../link/check.ts";
import { invalidOption } from "../link/errors.ts";

/** The options of lengthPrefixed(). */
export interface LengthPrefix {
  /**
   * The size of the length, in bytes. Default 4. "varint": base 128, lowest bits first, at most 5 bytes, as in streams
   * of Protocol Buffers; "varint4": the same with at most 4 bytes, as in MQTT.
   */
  bytes?: 1 | 2 | 3 | 4 | 8 | "varint" | "varint4";
  /** Which byte of the length comes first: "big" the highest, "little" the lowest. Default "big". Not for a varint. */
  endian?: "big" | "little";
  /** The bytes of each message that stand in front of its length, such as its type. Default 0, at most 1,024. */
  headerBytes?: number;
  /**
   * Default "rest": the length counts the bytes behind it. "itself": its own bytes as well. "whole": also the
   * `headerBytes` in front of it. A varint counts the rest. Danger if wrong: the stream is cut in the wrong places.
   */
  counts?: "rest" | "itself" | "whole";
  /** Bytes behind the length that each message has and the length does not count. Default 0, at most 1,024. */
  uncountedBytes?: number;
  /**
   * Default true: messages are received without their length, and it is put in when one is sent. false: messages have
   * their length, as on the wire, and are sent as they are. Danger if false: a message with a wrong length is not
   * noticed here, and everything after it is misread by the peer.
   */
  strip?: boolean;
}

export interface ResolvedPrefix extends Required<Omit<LengthPrefix, "bytes" | "counts" | "endian">> {
  /** The size of the length, at most; a varint may be shorter. */
  readonly mostBytes: number;
  readonly isVarint: boolean;
  readonly isLittle: boolean;
  /** How much of what the length counts is not behind it. */
  readonly countedBytes: number;
  readonly mostLength: number;
}

const SIZES = [1, 2, 3, 4, 8, "varint", "varint4"] as const;
const VARINT_BYTES = { varint: 5, varint4: 4 } as const;
const MOST_VARINTS = { varint: 0xffff_ffff, varint4: 0x0fff_ffff } as const;
const MOST_EXTRA_BYTES = 1_024;
const NAMES = ["bytes", "endian", "headerBytes", "counts", "uncountedBytes", "strip"] as const;

export function resolvePrefix(options: LengthPrefix | undefined): ResolvedPrefix {
  const given = group("lengthPrefixed", options, NAMES);
  const bytes = oneOf("lengthPrefixed.bytes", given.bytes ?? 4, SIZES);
  const endian = oneOf("lengthPrefixed.endian", given.endian ?? "big", ["big", "little"]);
  const counts = oneOf("lengthPrefixed.counts", given.counts ?? "rest", ["rest", "itself", "whole"]);
  const headerBytes = extraBytes("headerBytes", given.headerBytes);
  const isVarint = typeof bytes === "string";
  const mostBytes = isVarint ? VARINT_BYTES[bytes] : bytes;
  if (isVarint && given.endian !== undefined) {
    throw invalidOption("lengthPrefixed.endian", given.endian, "nothing, as a varint has an order of its own");
  }
  if (isVarint && counts !== "rest") throw invalidOption("lengthPrefixed.counts", counts, '"rest", for a varint');
  return {
    mostBytes,
    isVarint,
    isLittle: endian === "little",
    headerBytes,
    countedBytes: counts === "rest" ? 0 : mostBytes + (counts === "whole" ? headerBytes : 0),
    uncountedBytes: extraBytes("uncountedBytes", given.uncountedBytes),
    strip: boolean("lengthPrefixed.strip", given.strip ?? true),
    mostLength: isVarint ? MOST_VARINTS[bytes] : Math.min(256 ** bytes - 1, Number.MAX_SAFE_INTEGER),
  };
}

function extraBytes(name: keyof LengthPrefix, given: number | undefined): number {
  return integer(`lengthPrefixed.${name}`, given ?? 0, 0, MOST_EXTRA_BYTES);
}

/** The size that `length` has as a varint. */
export function varintBytes(length: number): number {
  let bytes = 1;
  for (let left = length; left >= 0x80; left = Math.floor(left / 0x80)) bytes++;
  return bytes;
}

export function writeVarint(into: Buffer, at: number, length: number): void {
  let to = at;
  let left = length;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) into[to++] = (left % 0x80) | 0x80;
  into[to] = left;
}

/** A length may have more than 32 bits, which shifts would lose. */
export function writeLength(into: Buffer, at: number, length: number, bytes: number, isLittle: boolean): void {
  let left = length;
  for (let n = 0; n < bytes; n++) {
    into[isLittle ? at + n : at + bytes - 1 - n] = left % 256;
    left = Math.floor(left / 256);
  }
}

/** Above 2^53 the length is not exact: it is larger than any message. */
export function readLength(from: Buffer, at: number, bytes: number, isLittle: boolean): number {
  let length = 0;
  for (let n = 0; n < bytes; n++) length = length * 256 + (from[isLittle ? at + bytes - 1 - n : at + n] as number);
  return length;
}
