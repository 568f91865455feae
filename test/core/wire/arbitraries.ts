/** Any frame there is, with its bytes, and any way to cut a stream. */
import fc from "fast-check";
import { MAX_POSITION } from "../../../src/core/wire/bytes.ts";
import {
  DATA_ACK_NOW,
  DATA_BLOCKED,
  DATA_END_FINAL,
  DATA_END_MOVED,
  encodeConfirm,
  encodeDataHeader,
  encodeGoaway,
  encodeHello,
  encodePositionsFrame,
  encodeReady,
  encodeLater,
  encodeReason,
  encodeRefuse,
  encodeReset,
  encodeToken,
  encodeWelcome,
  type Frame,
  type Hello,
  MAX_ABORT_CODE_BYTES,
  MAX_CREDENTIALS_BYTES,
  MAX_DATA_BYTES,
  MAX_OPEN_PAYLOAD_BYTES,
  type Positions,
  REFUSE_CODES,
  type RefuseCode,
  RESET_CODES,
  type ResetCode,
  type Welcome,
} from "../../../src/core/wire/frames.ts";
import { NO_INCARNATION } from "../../../src/core/session/proof.ts";
import type { Data } from "../support.ts";

const refuseCode = fc.constantFrom(...(Object.keys(REFUSE_CODES) as RefuseCode[]));
const resetCode = fc.constantFrom(...(Object.keys(RESET_CODES) as ResetCode[]));

/** A frame and its bytes. */
export interface Sample {
  bytes: Buffer;
  frame: Frame | Data;
}

export const buffer = (least: number, most: number = least): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: least, maxLength: most }).map((bytes) => Buffer.from(bytes));
const filled = (bytes: number): fc.Arbitrary<Buffer> => fc.nat({ max: 255 }).map((fill) => Buffer.alloc(bytes, fill));
const id = buffer(16).map((bytes) => bytes.toString("hex"));
const position = fc.oneof(fc.maxSafeNat(), fc.constantFrom(0, 2 ** 32, MAX_POSITION));
const uint32 = fc.oneof(fc.nat({ max: 0xffff_ffff }), fc.constantFrom(0, 0xffff_ffff));

const positions: fc.Arbitrary<Positions> = fc
  .record({ one: position, other: position, window: uint32, stop: fc.boolean(), done: fc.boolean() })
  .map(({ one, other, window, stop, done }) => {
    return { received: Math.max(one, other), accepted: Math.min(one, other), window, stop, done };
  });

const hello: fc.Arbitrary<Hello> = fc
  .record({
    version: fc.nat({ max: 255 }),
    mode: fc.constantFrom("messages" as const, "bytes" as const),
    resume: fc.boolean(),
    sessionId: id,
    incarnation: id,
    generation: fc.record({ epoch: position, counter: position }),
    instance: id,
    positions,
    maxMessageBytes: uint32,
    secretOrProof: buffer(32),
    fallback: fc.option(fc.record({ id, secret: buffer(32) }), { nil: undefined }),
    credentials: fc.oneof(
      { weight: 9, arbitrary: buffer(0, 40) },
      { weight: 1, arbitrary: filled(MAX_CREDENTIALS_BYTES) },
    ),
    openPayload: fc.oneof(
      { weight: 9, arbitrary: buffer(0, 40) },
      { weight: 1, arbitrary: filled(MAX_OPEN_PAYLOAD_BYTES) },
    ),
  })
  .map((given) => Object.assign(given, given.resume ? {} : { incarnation: NO_INCARNATION, fallback: undefined }));

const welcome: fc.Arbitrary<Welcome> = fc.record({
  result: fc.constantFrom("new" as const, "resumed" as const, "lost" as const),
  incarnation: id,
  nonce: buffer(16),
  positions,
  goaway: fc.boolean(),
  maxMessageBytes: uint32,
  resumeForMs: uint32,
});

const data = fc
  .record({
    offset: position.map((offset) => Math.min(offset, MAX_POSITION - MAX_DATA_BYTES - 1)),
    bytes: fc.oneof({ weight: 9, arbitrary: buffer(0, 60) }, { weight: 1, arbitrary: filled(MAX_DATA_BYTES) }),
    end: fc.constantFrom(0, DATA_END_FINAL, DATA_END_MOVED),
    hints: fc.constantFrom(0, DATA_ACK_NOW, DATA_BLOCKED, DATA_ACK_NOW | DATA_BLOCKED),
  })
  .map(({ offset, bytes, end, hints }): Sample => {
    const flags = bytes.length === 0 && end === 0 ? DATA_END_FINAL : end | hints;
    const begin = encodeDataHeader(offset, bytes.length, flags);
    return { bytes: Buffer.concat([begin, bytes]), frame: { type: "data", offset, bytes, flags } };
  });

/** At most 64 bytes of UTF-8. */
const reason = fc
  .string({ unit: "grapheme", maxLength: 12 })
  .filter((text) => Buffer.byteLength(text) <= MAX_ABORT_CODE_BYTES);

export const sample: fc.Arbitrary<Sample> = fc.oneof(
  { weight: 4, arbitrary: data },
  hello.map((given) => {
    const bytes = encodeHello("hello", given);
    return { bytes, frame: { type: "hello" as const, hello: given, raw: given.resume ? bytes : Buffer.alloc(0) } };
  }),
  hello.map((given) => {
    const standby = { ...given, resume: true, fallback: undefined };
    const bytes = encodeHello("standby", standby);
    return { bytes, frame: { type: "standby" as const, hello: standby, raw: bytes } };
  }),
  welcome.map((given) => ({ bytes: encodeWelcome(given), frame: { type: "welcome" as const, welcome: given } })),
  fc.tuple(refuseCode, uint32).map(([code, retryAfterMs]) => ({
    bytes: encodeRefuse(code, retryAfterMs),
    frame: { type: "refuse" as const, code, retryAfterMs },
  })),
  buffer(32).map((mac) => ({ bytes: encodeConfirm(mac), frame: { type: "confirm" as const, mac } })),
  fc.tuple(fc.constantFrom("ack" as const, "commit" as const), positions).map(([type, given]) => ({
    bytes: encodePositionsFrame(type, given),
    frame: { type, positions: given },
  })),
  fc.tuple(positions, fc.boolean()).map(([given, goaway]) => ({
    bytes: encodePositionsFrame("committed", given, goaway),
    frame: { type: "committed" as const, positions: given, goaway },
  })),
  fc.tuple(fc.constantFrom("ping" as const, "pong" as const), position).map(([type, token]) => ({
    bytes: encodeToken(type, token),
    frame: { type, token },
  })),
  fc.constant({ bytes: encodeReady(), frame: { type: "ready" as const } }),
  uint32.map((deadlineMs) => ({ bytes: encodeGoaway(deadlineMs), frame: { type: "goaway" as const, deadlineMs } })),
  fc.tuple(resetCode, position, reason).map(([code, accepted, text]) => ({
    bytes: encodeReset(code, accepted, text),
    frame: { type: "reset" as const, code, accepted, reason: text },
  })),
  uint32.map((retryAfterMs) => ({ bytes: encodeLater(retryAfterMs), frame: { type: "later" as const, retryAfterMs } })),
  reason.map((text) => ({ bytes: encodeReason(text), frame: { type: "reason" as const, text } })),
);

/** Pieces of DATA that belong together as one: how they were cut is no business of the reader's. */
export function joined(seen: ReadonlyArray<Frame | Data>): Array<Frame | Data> {
  const found: Array<Frame | Data> = [];
  for (const event of seen) {
    const last = found.at(-1);
    const goesOn = event.type === "data" && last?.type === "data" && last.flags === 0;
    if (goesOn && last.offset + last.bytes.length === event.offset) {
      found[found.length - 1] = { ...event, offset: last.offset, bytes: Buffer.concat([last.bytes, event.bytes]) };
    } else {
      found.push(event);
    }
  }
  return found;
}

/** Cuts `bytes` at the places that `cuts` names. */
export function cut(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const at = [0, ...cuts.map((place) => place % (bytes.length + 1)).toSorted((a, b) => a - b), bytes.length];
  return at.slice(1).map((to, piece) => bytes.subarray(at[piece], to));
}

export const cuts: fc.Arbitrary<number[]> = fc.array(fc.nat(), { maxLength: 12 });
