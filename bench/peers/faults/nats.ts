import { setTimeout as sleep } from "node:timers/promises";
import { AckPolicy, jetstream, jetstreamManager, RetentionPolicy } from "@nats-io/jetstream";
import { connect, type NatsConnection, nanos } from "@nats-io/transport-node";
import { type Contender, DEAD_MS, PING_MS } from "../../faults/contender.ts";
import { decode } from "../../faults/messages.ts";
import { HOST } from "../peer.ts";

/** Of 30 s by default: a consumer that works for longer asks for more. */
const ACK_WAIT_MS = 5_000;
/** Until a publish that has failed at once is tried again. */
const AGAIN_MS = 100;

export const natsCore: Contender = {
  async receive(take, { port, name }) {
    const connection = await open(port);
    connection.subscribe(name, { callback: (_error, { data }) => take(asBuffer(data)) });
    await connection.flush();
    return { port };
  },

  async connect({ port, name }) {
    const connection = await open(port);
    return { send: (message) => connection.publish(name, message) };
  },
};

/** Published with an id, so that the broker drops what comes again; consumed by a durable consumer with explicit acks. */
export const natsJetStream: Contender = {
  async receive(take, { port, name }) {
    const connection = await open(port);
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name, subjects: [name], retention: RetentionPolicy.Workqueue });
    await manager.consumers.add(name, {
      durable_name: name,
      ack_policy: AckPolicy.Explicit,
      ack_wait: nanos(ACK_WAIT_MS),
    });
    const consumer = await jetstream(connection).consumers.get(name, name);
    await consumer.consume({
      callback: (message) => {
        take(asBuffer(message.data));
        message.ack();
      },
    });
    return { port };
  },

  async connect({ port, name }) {
    const stream = jetstream(await open(port));
    const publish = async (message: Buffer): Promise<void> => {
      const options = { msgID: String(decode(message)), timeout: DEAD_MS };
      for (;;) {
        try {
          await stream.publish(name, message, options);
          return;
        } catch {
          await sleep(AGAIN_MS);
        }
      }
    };
    return { send: (message) => void publish(message) };
  },
};

function open(port: number): Promise<NatsConnection> {
  return connect({
    servers: `${HOST}:${port}`,
    maxReconnectAttempts: -1,
    pingInterval: PING_MS,
    maxPingOut: Math.round(DEAD_MS / PING_MS) - 1,
    timeout: DEAD_MS,
  });
}

function asBuffer(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
