/** One end of a contender's conversation. */
import { answerCalls } from "../calls.ts";
import { given } from "../worker.ts";
import type { Contender, Place, Sending } from "./contender.ts";
import type { Count, Made } from "./count.ts";
import { Arrivals, Steady } from "./messages.ts";

/** Loaded when it is measured: a process holds one of them. */
const CONTENDERS = {
  resplice: async () => (await import("./ours.ts")).ours,
  raw: async () => (await import("./raw.ts")).raw,
  ws: async () => (await import("../peers/faults/ws.ts")).ws,
  "ws resending": async () => (await import("../peers/faults/ws.ts")).wsResending,
  "Socket.IO": async () => (await import("../peers/faults/socket-io.ts")).socketIo,
  "Socket.IO resending": async () => (await import("../peers/faults/socket-io.ts")).socketIoResending,
  "NATS core": async () => (await import("../peers/faults/nats.ts")).natsCore,
  "NATS JetStream": async () => (await import("../peers/faults/nats.ts")).natsJetStream,
  "MQTT 0": async () => (await import("../peers/faults/mqtt.ts")).mqtt0,
  "MQTT 1": async () => (await import("../peers/faults/mqtt.ts")).mqtt1,
  "MQTT 2": async () => (await import("../peers/faults/mqtt.ts")).mqtt2,
  ZeroMQ: async () => (await import("../peers/faults/zeromq.ts")).zeromq,
  "ZeroMQ resending": async () => (await import("../peers/faults/zeromq.ts")).zeromqResending,
  "Redis streams": async () => (await import("../peers/faults/redis.ts")).redisStreams,
} satisfies Record<string, () => Promise<Contender>>;
export type ContenderName = keyof typeof CONTENDERS;

export type EndCommands = {
  /** Answers the port where the sender is to go. */
  receive(at: Place): Promise<number>;
  connect(at: Place): Promise<void>;
  /** From now on messages are made, until `stop`. */
  begin(): void;
  stop(): Made;
  count(made: Made): Promise<Count>;
};

const contender: Contender = await CONTENDERS[given() as ContenderName]();
const arrivals = new Arrivals();
let sending: Sending | undefined;
let steady: Steady | undefined;

answerCalls({
  receive: async (at) => (await contender.receive((message) => arrivals.take(message), at)).port,
  connect: async (at) => {
    sending = await contender.connect(at);
  },
  begin: () => {
    if (sending === undefined) throw new Error("not connected");
    steady = new Steady(sending);
  },
  stop: () => {
    if (steady === undefined) throw new Error("nothing was begun");
    return steady.stop();
  },
  count: (made) => arrivals.count(made),
} satisfies EndCommands);
