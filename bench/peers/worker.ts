/** One end of a conversation of somebody else's, at full speed. */
import { Check, Payloads } from "../payloads.ts";
import { answerCalls } from "../calls.ts";
import { given, type Sample, sample } from "../worker.ts";
import type { Peer } from "./peer.ts";

/** Loaded when it is measured: a process holds one of them. */
const PEERS = {
  ws: async () => (await import("./ws.ts")).ws,
  "Socket.IO": async () => (await import("./socket-io.ts")).socketIo,
  "Socket.IO with acks": async () => (await import("./socket-io.ts")).socketIoWithAcks,
  "NATS core": async () => (await import("./nats.ts")).natsCore,
  "NATS JetStream": async () => (await import("./nats.ts")).natsJetStream,
  ZeroMQ: async () => (await import("./zeromq.ts")).zeromq,
} satisfies Record<string, () => Promise<Peer>>;
export type PeerName = keyof typeof PEERS;

export type PeerCommands = {
  listen(brokerPort: number): Promise<number>;
  connect(port: number): void;
  sample(): Sample;
  stop(): Promise<number>;
  received(messages: number): Promise<void>;
};

const BYTES = 64;
const peer: Peer = await PEERS[given() as PeerName]();
const payloads = new Payloads(BYTES, false);
const check = new Check(BYTES, false);
let sent = 0;
let stopping = false;
let sending: Promise<void> | undefined;

answerCalls({
  listen: (brokerPort) => peer.receive((message) => check.take(message), brokerPort),
  connect: (port) => {
    sending = peer.send(next, port);
  },
  sample: () => sample(check.messages),
  stop: async () => {
    stopping = true;
    await sending;
    return sent;
  },
  received: async (messages) => {
    while (check.messages < messages) await new Promise((resolve) => setTimeout(resolve, 1));
  },
} satisfies PeerCommands);

/** Each message in memory of its own: most of them keep what they are given until it has left. */
function next(): Buffer | undefined {
  return stopping ? undefined : Buffer.from(payloads.at(sent++));
}
