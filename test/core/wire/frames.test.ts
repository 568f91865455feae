import { expect, test } from "vitest";
import {
  DATA_ACK_NOW,
  DATA_END_FINAL,
  DATA_HEADER_BYTES,
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
  FRAME_HEADER_BYTES,
  FrameType,
  type Hello,
  HELLO_PROOF_AT,
  ID_BYTES,
  MAX_ABORT_CODE_BYTES,
  MAX_CREDENTIALS_BYTES,
  MAX_DATA_BYTES,
  MAX_OPEN_PAYLOAD_BYTES,
  MAX_REASON_BYTES,
  NONCE_BYTES,
  PROOF_BYTES,
  PROTOCOL_VERSION,
  REFUSE_CODES,
  RESET_CODES,
  SECRET_BYTES,
  WELCOME_RESULTS,
} from "../../../src/core/wire/frames.ts";
import { decoded } from "../support.ts";

const HELLO: Hello = {
  version: 1,
  mode: "bytes",
  resume: true,
  sessionId: "11".repeat(16),
  incarnation: "22".repeat(16),
  generation: { epoch: 3, counter: 4 },
  instance: "33".repeat(16),
  positions: { received: 9, accepted: 4, window: 65_536, stop: true, done: false },
  maxMessageBytes: 1_000,
  secretOrProof: Buffer.alloc(32, 0x44),
  fallback: { id: "55".repeat(16), secret: Buffer.alloc(32, 0x66) },
  credentials: Buffer.from("who"),
  openPayload: Buffer.from("to"),
};

/** The body of `HELLO` up to its fallback. */
const HELLO_BODY = [
  "5253504c 01 01 0000", // magic, version, mode
  "11".repeat(16),
  "22".repeat(16),
  "0000000000000003 0000000000000004",
  "33".repeat(16),
  "0000000000000009 0000000000000004 00010000",
  "000003e8",
  "44".repeat(32),
].join("");

test.each<[string, Buffer, string]>([
  [
    "HELLO",
    encodeHello("hello", HELLO),
    `0131 0000 000000b9 ${HELLO_BODY} ${"55".repeat(16)} ${"66".repeat(32)} 00030002 77686f 746f`,
  ],
  [
    "STANDBY",
    encodeHello("standby", { ...HELLO, fallback: undefined }),
    `0911 0000 000000b9 ${HELLO_BODY} ${"00".repeat(48)} 00030002 77686f 746f`,
  ],
  [
    "WELCOME",
    encodeWelcome({
      result: "lost",
      incarnation: "22".repeat(16),
      nonce: Buffer.alloc(16, 0x77),
      positions: { received: 9, accepted: 4, window: 65_536, stop: false, done: true },
      goaway: true,
      maxMessageBytes: 1_000,
      resumeForMs: 300_000,
    }),
    `0206 0000 00000040 02000000 ${"22".repeat(16)} ${"77".repeat(16)} 0000000000000009 0000000000000004 00010000 000003e8 000493e0`,
  ],
  ["REFUSE", encodeRefuse("overloaded", 1_000), "0300 0000 00000008 00000006 000003e8"],
  ["CONFIRM", encodeConfirm(Buffer.alloc(32, 0xee)), `0400 0000 00000020 ${"ee".repeat(32)}`],
  [
    "the header of DATA",
    encodeDataHeader(0x0102, 3, DATA_END_FINAL | DATA_ACK_NOW),
    "0505 0000 0000000b 0000000000000102",
  ],
  [
    "ACK",
    encodePositionsFrame("ack", { received: 9, accepted: 4, window: 65_536, stop: true, done: false }),
    "0601 0000 00000014 0000000000000009 0000000000000004 00010000",
  ],
  ["PING", encodeToken("ping", 7), "0700 0000 00000008 0000000000000007"],
  ["PONG", encodeToken("pong", 7), "0800 0000 00000008 0000000000000007"],
  ["READY", encodeReady(), "0a00 0000 00000000"],
  [
    "COMMIT",
    encodePositionsFrame("commit", { received: 9, accepted: 9, window: 0, stop: true, done: true }),
    "0b03 0000 00000014 0000000000000009 0000000000000009 00000000",
  ],
  [
    "COMMITTED",
    encodePositionsFrame("committed", { received: 9, accepted: 9, window: 0, stop: false, done: true }, true),
    "0c06 0000 00000014 0000000000000009 0000000000000009 00000000",
  ],
  ["GOAWAY", encodeGoaway(30_000), "0d00 0000 00000004 00007530"],
  ["RESET", encodeReset("aborted", 5, "poison"), "0e00 0000 00000012 00000001 0000000000000005 706f69736f6e"],
])("%s is on the wire what it has always been", (_, bytes, wire) => {
  expect(bytes.toString("hex")).toBe(wire.replaceAll(" ", ""));
});

test.each([
  [2 ** 32, 0xffff_ffff],
  [Infinity, 0xffff_ffff],
  [-1, 0],
  [0.5, 1],
  [7, 7],
])(
  "a time, a window or a size of %d is stated as %d: what options and arithmetic come to ends no process",
  (given, said) => {
    const positions = { received: 0, accepted: 0, window: given, stop: false, done: false };
    const welcome = { result: "new", incarnation: "22".repeat(16), nonce: Buffer.alloc(16), goaway: false } as const;
    expect(decoded(encodeRefuse("overloaded", given))).toMatchObject([{ retryAfterMs: said }]);
    expect(decoded(encodeGoaway(given))).toMatchObject([{ deadlineMs: said }]);
    expect(decoded(encodePositionsFrame("ack", positions))).toMatchObject([{ positions: { window: said } }]);
    expect(decoded(encodeWelcome({ ...welcome, positions, maxMessageBytes: given, resumeForMs: given }))).toMatchObject(
      [{ welcome: { positions: { window: said }, maxMessageBytes: said, resumeForMs: said } }],
    );
    expect(decoded(encodeHello("hello", { ...HELLO, maxMessageBytes: given }))).toMatchObject([
      { hello: { maxMessageBytes: said } },
    ]);
  },
);

test("what was given a number keeps it", () => {
  expect(PROTOCOL_VERSION).toBe(1);
  expect([ID_BYTES, SECRET_BYTES, PROOF_BYTES, NONCE_BYTES]).toEqual([16, 32, 32, 16]);
  expect(FrameType).toEqual({
    hello: 1,
    welcome: 2,
    refuse: 3,
    confirm: 4,
    data: 5,
    ack: 6,
    ping: 7,
    pong: 8,
    standby: 9,
    ready: 10,
    commit: 11,
    committed: 12,
    goaway: 13,
    reset: 14,
    reason: 129,
    later: 130,
  });
  expect(REFUSE_CODES).toEqual({
    "taken-over": 1,
    authentication: 2,
    mismatch: 3,
    "session-lost": 4,
    stale: 5,
    overloaded: 6,
    "authentication-unavailable": 7,
    "no-standby": 8,
    draining: 9,
  });
  expect(RESET_CODES).toEqual({ aborted: 1, "handler-failed": 2, "close-timeout": 3, protocol: 4 });
  expect(WELCOME_RESULTS).toEqual(["new", "resumed", "lost"]);
});

test("the proof of a HELLO stands where the handshake looks for it", () => {
  expect(encodeHello("hello", HELLO).toString("hex", HELLO_PROOF_AT, HELLO_PROOF_AT + 32)).toBe("44".repeat(32));
});

test("an open without secret, fallback, credentials or payload is zeros there, not what memory held", () => {
  const bare = {
    ...HELLO,
    resume: false,
    fallback: undefined,
    secretOrProof: Buffer.alloc(0),
    credentials: Buffer.alloc(0),
  };
  const bytes = encodeHello("hello", { ...bare, openPayload: Buffer.alloc(0) });
  expect(bytes.subarray(HELLO_PROOF_AT).equals(Buffer.alloc(84))).toBe(true);
});

test("the largest of everything that may be sent is small enough to be read", () => {
  const credentials = Buffer.alloc(MAX_CREDENTIALS_BYTES, 1);
  const openPayload = Buffer.alloc(MAX_OPEN_PAYLOAD_BYTES, 2);
  expect(decoded(encodeHello("hello", { ...HELLO, credentials, openPayload }))).toMatchObject([{ type: "hello" }]);
  expect(decoded(encodeHello("standby", { ...HELLO, credentials, openPayload, fallback: undefined }))).toHaveLength(1);
  const reason = "€".repeat(21) + "!";
  expect(Buffer.byteLength(reason)).toBe(MAX_ABORT_CODE_BYTES);
  expect(decoded(encodeReset("aborted", 0, reason))).toMatchObject([{ reason }]);
  const data = decoded([encodeDataHeader(0, MAX_DATA_BYTES, 0), Buffer.alloc(MAX_DATA_BYTES)]);
  expect(data).toMatchObject([{ type: "data", offset: 0, flags: 0 }]);
});

test("a REASON has as many characters as fit", () => {
  const whyOf = (text: string): unknown => {
    const [frame] = decoded(encodeReason(text));
    return frame?.type === "reason" ? frame.text : frame;
  };
  expect(whyOf("")).toBe("");
  expect(whyOf("née")).toBe("née");
  expect(whyOf("x".repeat(257))).toBe("x".repeat(256));
  expect(whyOf(`${"x".repeat(255)}é`)).toBe("x".repeat(255));
  expect(whyOf("🙂".repeat(1_000))).toBe("🙂".repeat(64));
  expect(whyOf(`x${"🙂".repeat(64)}`)).toBe(`x${"🙂".repeat(63)}`);
  expect(encodeReason("🙂".repeat(100))).toHaveLength(FRAME_HEADER_BYTES + MAX_REASON_BYTES);
});

test("LATER has a time of at most 32 bits", () => {
  const timeOf = (ms: number): unknown => decoded(encodeLater(ms));
  expect(timeOf(1)).toEqual([{ type: "later", retryAfterMs: 1 }]);
  expect(timeOf(0.5)).toEqual([{ type: "later", retryAfterMs: 1 }]);
  expect(timeOf(Infinity)).toEqual([{ type: "later", retryAfterMs: 0xffff_ffff }]);
});

test("a header of DATA has room for nothing but itself", () => {
  expect(encodeDataHeader(0, 1, 0)).toHaveLength(DATA_HEADER_BYTES);
  expect(encodeReady()).toHaveLength(FRAME_HEADER_BYTES);
});
