/** Very many hostile connections, in a process of their own: each that is closed comes again. */
import net from "node:net";
import os from "node:os";
import { answerCalls } from "../../bench/calls.ts";
import { newKeys } from "../../src/core/session/proof.ts";
import { encodeHello, FrameType } from "../../src/core/wire/frames.ts";
import { SYSTEM_ENTROPY } from "../../src/io/entropy.ts";
import { openingOf } from "../server/raw-session.ts";

export type HostileCommands = {
  /** Resolves when each has been connected once. */
  attack: (plan: { port: number; connections: number }) => Promise<void>;
  /** How often a connection was opened. */
  opened: () => number;
};

/** In truth they are other machines: they take nothing of what the server needs. */
const NICE = 5;
const ADDRESSES = 50;
/** A connection that was closed comes again after this, or up to twice as much. */
const COME_AGAIN_MS = 2_000;
const DRIP_MS = 1_000;

/** The beginning of a frame with that length. */
function header(type: number, length: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes[0] = type;
  bytes.writeUInt32BE(length, 4);
  return bytes;
}

function guess(): Buffer {
  const hello = { ...openingOf(newKeys(SYSTEM_ENTROPY), ""), resume: true };
  return encodeHello("hello", { ...hello, incarnation: SYSTEM_ENTROPY.randomBytes(16).toString("hex") });
}

const HABITS: ReadonlyArray<(socket: net.Socket) => void> = [
  () => {},
  (socket) => {
    const bytes = guess().values();
    const dripping = setInterval(() => void socket.write(Buffer.of(bytes.next().value ?? 0)), DRIP_MS);
    socket.once("close", () => clearInterval(dripping));
  },
  (socket) => void socket.write(SYSTEM_ENTROPY.randomBytes(512)),
  // The beginning of a ClientHello of TLS.
  (socket) => void socket.write(Buffer.from("160301020001000200fc0303", "hex")),
  (socket) => void socket.write(header(FrameType.hello, 0xffff_ffff)),
  (socket) => void socket.write(header(FrameType.hello, 20_000)),
  (socket) => void socket.write(guess()),
];

let opened = 0;

function come(port: number, n: number, onConnected: () => void): void {
  const localAddress = `127.0.1.${1 + (n % ADDRESSES)}`;
  const socket = net.connect({ port, host: "127.0.0.1", localAddress }, () => {
    opened++;
    onConnected();
  });
  socket.on("error", () => {}).resume();
  HABITS[n % HABITS.length]?.(socket);
  socket.once("close", () => setTimeout(() => come(port, n, () => {}), COME_AGAIN_MS * (1 + Math.random())));
}

os.setPriority(NICE);
answerCalls({
  attack: async ({ port, connections }) => {
    const each = (_: unknown, n: number): Promise<void> => new Promise((resolve) => come(port, n, resolve));
    await Promise.all(Array.from({ length: connections }, each));
  },
  opened: () => opened,
} satisfies HostileCommands);
