/** Servers that attack their clients, in a process of their own. */
import { once } from "node:events";
import net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import {
  encodePositionsFrame,
  encodeRefuse,
  encodeWelcome,
  FRAME_HEADER_BYTES,
  FrameType,
  type Hello,
  type Positions,
} from "../../src/core/wire/frames.ts";
import { newId } from "../../src/core/session/proof.ts";
import { SYSTEM_ENTROPY } from "../../src/io/entropy.ts";
import { answerCalls } from "../../bench/calls.ts";
import { Wire, writePinned } from "./wire.ts";

export type VillainCommands = {
  listen: (plan: VillainPlan) => Promise<number>;
  /** `heard`: all that clients have said, in latin1. */
  /** Resolves when all credit is used up. */
  pinned: () => Promise<void>;
  seen: () => { connections: number; heard: string; pinnedBytes: number };
};

export interface VillainPlan {
  kind: "pinned" | "refuse" | "refuse-text" | "reset" | "listen";
  retryAfterMs?: number;
}

const MOST_BYTES = 64 * 2 ** 20;
const MOST_HEARD_BYTES = 65_536;
const NOTHING: Positions = { received: 0, accepted: 0, window: 0, stop: false, done: false };
/** It ends the line, and commands the terminal. */
const REASON = Buffer.from("gone\r\n\u001b[2J\u001b]0;owned\u0007\u009b2J");
const REASON_TYPE = 0x81;
const never = new AbortController().signal;
let inPosition: () => void = () => {};
const pinned = new Promise<void>((resolve) => {
  inPosition = resolve;
});
const seen = { connections: 0, heard: "", pinnedBytes: 0 };

const KINDS: Record<VillainPlan["kind"], (socket: net.Socket, plan: VillainPlan) => Promise<void>> = {
  async pinned(socket) {
    const wire = new Wire(socket);
    if ((await welcomed(wire)) === undefined) return;
    // CONFIRM, and with it the first ACK: its credit.
    while (wire.limit === 0 && !wire.isOver) await wire.news();
    await writePinned(wire, never, MOST_BYTES, (bytes) => void (seen.pinnedBytes += bytes));
    while (wire.socket.writableLength > 0 && !wire.isOver) await sleep(20);
    await sleep(300);
    inPosition();
  },
  async refuse(socket, { retryAfterMs = 0 }) {
    const wire = new Wire(socket);
    await wire.next();
    await wire.write(encodeRefuse("overloaded", retryAfterMs));
    socket.end();
  },
  /** With a reason that a terminal obeys. */
  async reset(socket) {
    const wire = new Wire(socket);
    if ((await welcomed(wire)) === undefined) return;
    const aborted = Buffer.alloc(12);
    aborted.writeUInt32BE(1, 0);
    await wire.next();
    await wire.write(frame(FrameType.reset, Buffer.concat([aborted, REASON])));
  },
  /** A refusal for good, with a reason before it: an extension that clients which do not know it skip. */
  async "refuse-text"(socket) {
    const wire = new Wire(socket);
    await wire.next();
    await wire.write(frame(REASON_TYPE, REASON), encodeRefuse("authentication", 0));
    socket.end();
  },
  /** Only listens, and hangs up: what a client says to somebody who was to be met in TLS. */
  async listen(socket) {
    socket.on("data", (chunk) => {
      if (seen.heard.length < MOST_HEARD_BYTES) seen.heard += chunk.toString("latin1");
    });
    await sleep(300);
    socket.destroy();
  },
};

function frame(type: number, body: Buffer): Buffer {
  const header = Buffer.alloc(FRAME_HEADER_BYTES);
  header[0] = type;
  header.writeUInt32BE(body.length, 4);
  return Buffer.concat([header, body]);
}

async function welcomed(wire: Wire): Promise<Hello | undefined> {
  const hello = await wire.next();
  if (hello?.type !== "hello") return undefined;
  const welcome = encodeWelcome({
    result: "new",
    incarnation: newId(SYSTEM_ENTROPY),
    nonce: SYSTEM_ENTROPY.randomBytes(16),
    positions: NOTHING,
    goaway: false,
    maxMessageBytes: 2 ** 19,
    resumeForMs: 300_000,
  });
  await wire.write(welcome, encodePositionsFrame("ack", NOTHING));
  return hello.hello;
}

answerCalls({
  listen: async (plan) => {
    const server = net.createServer({ noDelay: true }, (socket) => {
      seen.connections++;
      socket.on("error", () => {});
      void KINDS[plan.kind](socket, plan);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    return (server.address() as net.AddressInfo).port;
  },
  pinned: () => pinned,
  seen: () => seen,
} satisfies VillainCommands);
