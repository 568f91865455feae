/**
 * The test vectors of docs/protocol.md: frames of the real encoder, made of fixed inputs.
 *
 *     node scripts/protocol-vectors.ts            prints them as JSON
 *     node scripts/protocol-vectors.ts --write    writes docs/protocol-vectors.json, and the dumps in docs/protocol.md
 */
import { createHmac } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { BlockPool } from "../src/core/log/blocks.ts";
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
  type Hello,
  type Positions,
} from "../src/core/wire/frames.ts";
import { confirmMac, encodeProvenHello, type Entropy, NO_INCARNATION } from "../src/core/session/proof.ts";
import { Log } from "../src/core/log/log.ts";
import { Account } from "../src/core/log/window.ts";

export interface Vector {
  name: string;
  /** Who sends it, and when. */
  what: string;
  hex: string;
  /** The same, field by field, in the order of the wire. */
  fields: Array<{ name: string; hex: string }>;
}

/** What the frames are made of; ids and secrets as hexadecimal. */
export const INPUTS = {
  sessionId: "000102030405060708090a0b0c0d0e0f",
  secret: "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f",
  incarnation: "101112131415161718191a1b1c1d1e1f",
  instance: "404142434445464748494a4b4c4d4e4f",
  nonce: "505152535455565758595a5b5c5d5e5f",
  fallbackId: "606162636465666768696a6b6c6d6e6f",
  fallbackSecret: "808182838485868788898a8b8c8d8e8f909192939495969798999a9b9c9d9e9f",
  fallbackIncarnation: "707172737475767778797a7b7c7d7e7f",
  credentials: "token",
  openPayload: "db:5432",
} as const;

const PURE: Entropy = {
  hmac: (key, parts) => createHmac("sha256", key).update(Buffer.concat(parts)).digest(),
  equal: (a, b) => a.equals(b),
  randomBytes: () => {
    throw new Error("vectors are not random");
  },
  random: () => 0,
};

const NOTHING: Positions = { received: 0, accepted: 0, window: 1_048_580, stop: false, done: false };
const SOMEWHERE: Positions = { received: 1_300, accepted: 1_024, window: 1_048_580, stop: false, done: false };

const OPEN: Hello = {
  version: 1,
  mode: "messages",
  resume: false,
  sessionId: INPUTS.sessionId,
  incarnation: NO_INCARNATION,
  generation: { epoch: 1, counter: 1 },
  instance: INPUTS.instance,
  positions: NOTHING,
  maxMessageBytes: 1_048_576,
  secretOrProof: hex(INPUTS.secret),
  fallback: undefined,
  credentials: Buffer.from(INPUTS.credentials),
  openPayload: Buffer.from(INPUTS.openPayload),
};

const RESUME: Hello = {
  ...OPEN,
  resume: true,
  incarnation: INPUTS.incarnation,
  positions: SOMEWHERE,
  secretOrProof: Buffer.alloc(0),
};

type Layout = ReadonlyArray<readonly [name: string, bytes: number]>;

const HEADER: Layout = [
  ["type", 1],
  ["flags", 1],
  ["zero", 2],
  ["body length", 4],
];
const POSITIONS: Layout = [
  ["received", 8],
  ["accepted", 8],
  ["window", 4],
];

function helloLayout(hello: Hello): Layout {
  return [
    ["magic", 4],
    ["version", 1],
    ["mode", 1],
    ["zero", 2],
    ["session id", 16],
    ["incarnation", 16],
    ["process epoch", 8],
    ["counter", 8],
    ["instance", 16],
    ...POSITIONS,
    ["largest message", 4],
    [hello.resume ? "proof" : "secret", 32],
    ["fallback id", 16],
    ["fallback secret", 32],
    ["credentials length", 2],
    ["open payload length", 2],
    ["credentials", hello.credentials.length],
    ["open payload", hello.openPayload.length],
  ];
}

const WELCOME: Layout = [
  ["result", 1],
  ["zero", 3],
  ["incarnation", 16],
  ["nonce", 16],
  ...POSITIONS,
  ["largest message", 4],
  ["resume for", 4],
];

export function vectors(): Vector[] {
  const withFallback: Hello = {
    ...RESUME,
    generation: { epoch: 1, counter: 2 },
    fallback: { id: INPUTS.fallbackId, secret: hex(INPUTS.fallbackSecret) },
  };
  const standby: Hello = { ...RESUME, generation: { epoch: 1, counter: 3 }, openPayload: Buffer.alloc(0) };
  const over: Hello = {
    ...RESUME,
    generation: { epoch: 1, counter: 4 },
    positions: { ...SOMEWHERE, received: 1_301, accepted: 1_301, stop: true, done: true },
    credentials: Buffer.alloc(0),
    openPayload: Buffer.alloc(0),
  };
  return [
    vector("hello-open", "A client opens a session.", encodeHello("hello", OPEN), helloLayout(OPEN)),
    vector(
      "hello-resume",
      "It resumes the session, and names another to fall back to.",
      encodeProvenHello(PURE, "hello", withFallback, latin1(INPUTS.secret)),
      helloLayout(withFallback),
    ),
    vector(
      "hello-resume-done",
      "It comes back for the peer's `done`: both directions are through, so there is no fallback.",
      encodeProvenHello(PURE, "hello", over, latin1(INPUTS.secret)),
      helloLayout(over),
    ),
    vector(
      "standby",
      "It asks for a second connection to the same session.",
      encodeProvenHello(PURE, "standby", standby, latin1(INPUTS.secret)),
      helloLayout(standby),
    ),
    welcome("welcome-new", "The answer to hello-open.", "new", NOTHING, INPUTS.incarnation),
    welcome("welcome-resumed", "The answer to hello-resume.", "resumed", SOMEWHERE, INPUTS.incarnation),
    welcome(
      "welcome-lost",
      "Another answer to hello-resume: the fallback is the session now.",
      "lost",
      NOTHING,
      INPUTS.fallbackIncarnation,
    ),
    vector("refuse-overloaded", "Come back after a second.", encodeRefuse("overloaded", 1_000), [
      ["code", 4],
      ["retry after", 4],
    ]),
    vector("refuse-session-lost", "No such session, and no fallback was named.", encodeRefuse("session-lost", 0), [
      ["code", 4],
      ["retry after", 4],
    ]),
    vector(
      "confirm-new",
      "The client answers welcome-new.",
      encodeConfirm(confirm(INPUTS.sessionId, INPUTS.secret, INPUTS.incarnation)),
      [["MAC", 32]],
    ),
    vector(
      "confirm-lost",
      "The client answers welcome-lost: all of the fallback.",
      encodeConfirm(confirm(INPUTS.fallbackId, INPUTS.fallbackSecret, INPUTS.fallbackIncarnation)),
      [["MAC", 32]],
    ),
    ...data(),
    positions("ack", "ack", "What has arrived, what of it is accepted, and how much more may come.", SOMEWHERE),
    positions("ack-stop-done", "ack", "The reader is closed, and both directions are through.", {
      ...SOMEWHERE,
      received: 1_301,
      accepted: 1_301,
      stop: true,
      done: true,
    }),
    vector("ping", "Are you there?", encodeToken("ping", 7), [["token", 8]]),
    vector("pong", "The answer, with the same token.", encodeToken("pong", 7), [["token", 8]]),
    vector("ready", "The server agrees to standby.", encodeReady(), []),
    positions("commit", "commit", "The standby takes over, with fresh positions.", SOMEWHERE),
    positions("committed", "committed", "The server has adopted it, with fresh positions of its own.", SOMEWHERE),
    vector("goaway", "The server will be gone in 30 seconds.", encodeGoaway(30_000), [["deadline", 4]]),
    vector("reset-aborted", 'abort("too-slow")', encodeReset("aborted", 1_024, "too-slow"), [
      ["code", 4],
      ["accepted", 8],
      ["reason", 8],
    ]),
    vector("reset-protocol", "The peer stated what cannot be.", encodeReset("protocol", 1_024, ""), [
      ["code", 4],
      ["accepted", 8],
    ]),
    // No encoder makes this one: a later version might.
    vector("reason", "Before a REFUSE: why the credentials are refused.", encodeReason("quota is used up"), [
      ["reason", 16],
    ]),
    vector("later", "The client of a live session is asked to come back in 20 seconds.", encodeLater(20_000), [
      ["come back after", 4],
    ]),
    vector("extension", "Skipped by whoever does not know type 0x80.", Buffer.from("8000000000000003616263", "hex"), [
      ["anything", 3],
    ]),
  ];
}

/** Two messages, "hello" and "you", in the log; the frames that carry it. */
function data(): Vector[] {
  const log = new Log(
    "messages",
    new BlockPool(),
    new Account(Infinity, { freeBytes: 0, borrow: () => {}, give: () => {} }),
  );
  for (const text of ["hello", "you"]) log.append(text, text.length, false);
  const bytes = log.read(0, log.end);
  const frame = (from: number, to: number, flags: number): Buffer =>
    Buffer.concat([encodeDataHeader(from, to - from, flags), bytes.subarray(from, to)]);
  const prefix = ["prefix", 4] as const;
  return [
    vector("data", 'The message "hello" at the beginning of a log.', frame(0, 9, 0), [
      ["offset", 8],
      prefix,
      ["message", 5],
    ]),
    vector(
      "data-ack-now",
      'Both messages, "hello" and "you"; the sender waits for their acceptance.',
      frame(0, 16, DATA_ACK_NOW),
      [["offset", 8], prefix, ["message", 5], prefix, ["message", 3]],
    ),
    vector(
      "data-split",
      "A frame may begin and end anywhere: the second half of a prefix and a part of its message.",
      frame(11, 15, DATA_BLOCKED),
      [
        ["offset", 8],
        ["rest of a prefix", 2],
        ["part of a message", 2],
      ],
    ),
    vector(
      "data-end",
      "The last byte, and the end of the direction behind it, at position 16.",
      frame(15, 16, DATA_END_FINAL),
      [
        ["offset", 8],
        ["rest of a message", 1],
      ],
    ),
    vector("data-end-only", "The same end, by itself.", frame(16, 16, DATA_END_FINAL), [["offset", 8]]),
    vector("data-moved", "An end there, to go on elsewhere.", frame(16, 16, DATA_END_MOVED), [["offset", 8]]),
  ];
}

function welcome(
  name: string,
  what: string,
  result: "new" | "resumed" | "lost",
  stated: Positions,
  incarnation: string,
): Vector {
  const frame = encodeWelcome({
    result,
    incarnation,
    nonce: hex(INPUTS.nonce),
    positions: stated,
    goaway: false,
    maxMessageBytes: 1_048_576,
    resumeForMs: 300_000,
  });
  return vector(name, what, frame, WELCOME);
}

function positions(name: string, type: "ack" | "commit" | "committed", what: string, stated: Positions): Vector {
  return vector(name, what, encodePositionsFrame(type, stated), POSITIONS);
}

function confirm(id: string, secret: string, incarnation: string): Buffer {
  return confirmMac(PURE, { id, secret: latin1(secret) }, incarnation, hex(INPUTS.nonce));
}

function vector(name: string, what: string, frame: Buffer, body: Layout): Vector {
  let at = 0;
  const fields = [...HEADER, ...body]
    .map(([field, bytes]) => ({ name: field, hex: frame.toString("hex", at, (at += bytes)) }))
    .filter((field) => field.hex !== "");
  if (at !== frame.length) throw new Error(`${name}: ${frame.length} bytes, and fields for ${at}`);
  return { name, what, hex: frame.toString("hex"), fields };
}

function hex(text: string): Buffer {
  return Buffer.from(text, "hex");
}

/** Secrets are latin1 strings in the core. */
function latin1(secret: string): string {
  return hex(secret).toString("latin1");
}

/** As docs/protocol-vectors.json holds it. */
export function asJson(): string {
  return `${JSON.stringify({ inputs: INPUTS, vectors: vectors() }, undefined, 2)}\n`;
}

/** `document` with the dump of each vector that it names in a line `<!-- vector: name -->`. */
export function withDumps(document: string): string {
  let result = document;
  for (const { name, fields } of vectors()) {
    const lines = fields.map((field) => {
      const [first = "", ...rest] = field.hex.match(/.{1,32}/gu) ?? [];
      return [`${first.padEnd(32)}  ${field.name}`, ...rest].join("\n");
    });
    const block = `<!-- vector: ${name} -->\n\`\`\`text\n${lines.join("\n")}\n\`\`\``;
    result = result.replace(new RegExp(`<!-- vector: ${name} -->(?:\\n\`\`\`text\\n[^\`]*\`\`\`)?`, "u"), () => block);
  }
  return result;
}

if (import.meta.filename === process.argv[1]) {
  const json = new URL("../docs/protocol-vectors.json", import.meta.url);
  const document = new URL("../docs/protocol.md", import.meta.url);
  if (process.argv[2] === "--write") {
    writeFileSync(json, asJson());
    writeFileSync(document, withDumps(readFileSync(document, "utf8")));
  } else {
    process.stdout.write(asJson());
  }
}
