/** A server that reads lines and checks them, or a client that sends them at full speed: a plain link, or a raw socket. */
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionManager, lines, plain, type PlainLink } from "resplice";
import { answerCalls } from "./calls.ts";
import { HOST, type Side } from "./contenders.ts";
import { connectRaw, listenRaw } from "./raw.ts";
import { RawLines } from "./raw-lines.ts";
import type { ConversationCommands } from "./throughput-worker.ts";
import { fail, given, sample } from "./worker.ts";

export interface LineTraffic {
  /** The client; the server is a raw socket. */
  side: Side;
}

const LINE_BYTES = 100;
/** Sent one after the other, again and again. */
const LINES = Array.from({ length: 1_024 }, (_, number) => Buffer.from(`${number} `.padEnd(LINE_BYTES, "x")));
const MASK = LINES.length - 1;
/** Of the others the first four bytes, which have the number, and the length. */
const WHOLE_EVERY = 64;

const { side } = given() as LineTraffic;
let sent = 0;
let received = 0;
let stopping = false;
let sending: Promise<void> = Promise.resolve();

answerCalls({
  listen: () => listenRaw((conversation) => conversation.onMessage(take), RawLines),
  connect: (port) => {
    sending = send(port);
  },
  sample: () => sample(received),
  stop: async () => {
    stopping = true;
    await sending;
    return sent;
  },
  received: async (messages) => {
    while (received < messages) await sleep(1);
  },
} satisfies ConversationCommands);

async function send(port: number): Promise<void> {
  const conversation = side === "ours" ? openPlain(port) : connectRaw(port, RawLines);
  for (; !stopping; sent++) {
    const line = LINES[sent & MASK] as Buffer;
    while (!conversation.trySend(line)) await conversation.ready();
  }
  await conversation.flush();
}

function openPlain(port: number): PlainLink {
  return new ConnectionManager().open({ port, host: HOST, protocol: plain({ framing: lines() }) });
}

function take(line: Buffer): void {
  const expected = LINES[received & MASK] as Buffer;
  const isWrong =
    line.length !== LINE_BYTES ||
    line.readInt32LE(0) !== expected.readInt32LE(0) ||
    (received % WHOLE_EVERY === 0 && !line.equals(expected));
  if (isWrong) fail(`line ${received} arrived as ${String(line)}`);
  received++;
}
