/** Who is compared under faults, and how each one is used. */
import type { ContenderName } from "./worker.ts";

export type BrokerKind = "nats" | "mosquitto" | "redis";

export interface ContenderDefinition {
  readonly name: string;
  readonly module: ContenderName;
  /** What becomes of messages when a connection is lost, as its documentation says it. */
  readonly guarantee: string;
  /** How it is used, and why so. */
  readonly used: string;
  readonly packages: readonly string[];
  readonly broker: BrokerKind | null;
  /** Which path breaks. Of a broker's two the other one stays whole. */
  readonly breaks: "the only path" | "publisher to broker" | "broker to subscriber";
}

const direct = { broker: null, breaks: "the only path" } as const;

export const CONTENDERS: readonly ContenderDefinition[] = [
  {
    name: "resplice",
    module: "resplice",
    ...direct,
    packages: [],
    guarantee: "each once and in order while both processes live",
    used: "link.send() and link.onMessage(), default options but for the heartbeat and how long a dial may take",
  },
  {
    name: "raw socket",
    module: "raw",
    ...direct,
    packages: [],
    guarantee: "none: what was written to a connection that is lost may be gone",
    used: "as one would write it by hand: a heartbeat, it dials again 200 ms after a loss, and messages wait meanwhile",
  },
  {
    name: "ws",
    module: "ws",
    ...direct,
    packages: ["ws"],
    guarantee: "at most once: what was written to a connection that is lost may be gone",
    used: "the heartbeat of its README at both ends. ws does not dial again itself: the application does, 200 ms after a loss, and messages wait meanwhile",
  },
  {
    name: "ws, resent by the application",
    module: "ws resending",
    ...direct,
    packages: ["ws"],
    guarantee: "at least once, as far as the application sees to it",
    used: "as above; the receiver acknowledges each message, and what is not acknowledged is sent again on the next connection. To drop what comes twice is left to the receiver",
  },
  {
    name: "Socket.IO",
    module: "Socket.IO",
    ...direct,
    packages: ["socket.io", "socket.io-client"],
    guarantee: "at most once: what is emitted while the client is away waits, what was under way may be gone",
    used: "emit(); transport websocket, connection state recovery on, which covers what a server sends and not what a client sends",
  },
  {
    name: "Socket.IO, acknowledged",
    module: "Socket.IO resending",
    ...direct,
    packages: ["socket.io", "socket.io-client"],
    guarantee: "at least once; the order is not kept",
    used: 'as its documentation has it for "at least once": timeout(2000).emit(), and again until it is acknowledged. Its option `retries` keeps the order, but has one message under way at a time: at most some 90 a second on this path',
  },
  ...onBothPaths({
    name: "NATS core",
    module: "NATS core",
    packages: ["@nats-io/transport-node"],
    broker: "nats",
    guarantee: "at most once: the broker keeps nothing for a subscriber that is away",
    used: "publish() and subscribe(); it dials again without a limit. The JavaScript client drops what is published while it has no connection",
  }),
  ...onBothPaths({
    name: "NATS JetStream",
    module: "NATS JetStream",
    packages: ["@nats-io/jetstream"],
    broker: "nats",
    guarantee:
      "at least once, and published once within the window of duplicates; the order is kept if each publish is awaited",
    used: "publish() with a msgID, tried again until it is acknowledged, many under way at a time: one at a time is at most some 90 a second on this path. A stream in a file, a durable consumer with explicit acks, ack_wait 5 s",
  }),
  ...([0, 1, 2] as const).flatMap((qos) =>
    onBothPaths({
      name: `MQTT, QoS ${qos}`,
      module: `MQTT ${qos}`,
      packages: ["mqtt"],
      broker: "mosquitto",
      guarantee: ["at most once", "at least once", "exactly once"][qos] as string,
      used: "MQTT.js with clean: false and keepalive: 2 at both ends, and reschedulePings: false, without which a client that sends all the time does not notice a dead connection; with QoS 1 and 2 what publish() fails with is published again. Once connected again MQTT.js sends what it has stored one message at a time, and new ones wait behind that; mosquitto without limits on what is queued or under way, and with set_tcp_nodelay",
    }),
  ),
  {
    name: "ZeroMQ push/pull",
    module: "ZeroMQ",
    ...direct,
    packages: ["zeromq"],
    guarantee: "at most once: what a lost connection had taken is gone",
    used: "send() awaited, with the heartbeats of ZMTP",
  },
  {
    name: "ZeroMQ, resent by the application",
    module: "ZeroMQ resending",
    ...direct,
    packages: ["zeromq"],
    guarantee: "at least once, as far as the application sees to it",
    used: "dealer and router. As its guide recommends for reliable requests, what is not answered within 2 s is sent again; many are under way at a time. To drop what comes twice is left to the receiver",
  },
  ...onBothPaths({
    name: "Redis streams",
    module: "Redis streams",
    packages: ["ioredis"],
    broker: "redis",
    guarantee:
      "at least once: a command that has no answer is sent again, and adds a second entry if the first one was executed",
    used: "XADD, which ioredis sends again; XREADGROUP and XACK, and after an error what is pending is read again. ioredis has no heartbeat: socketTimeout 2 s, within which an answer is to come",
  }),
];

/** Rows of a broker: its path from the publisher breaks, and then that to the subscriber. */
function onBothPaths(definition: Omit<ContenderDefinition, "breaks">): ContenderDefinition[] {
  return [
    { ...definition, breaks: "publisher to broker" },
    { ...definition, name: `${definition.name}, to subscriber`, breaks: "broker to subscriber" },
  ];
}
