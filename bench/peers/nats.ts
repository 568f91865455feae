import { AckPolicy, jetstream, jetstreamManager, RetentionPolicy } from "@nats-io/jetstream";
import { connect } from "@nats-io/transport-node";

import { HOST, IN_FLIGHT, type Peer } from "./peer.ts";

const SUBJECT = "bench";
/** The client has no backpressure: so often it waits until the server has everything. */
const FLUSH_EVERY = 1_000;

export const natsCore: Peer = {
  async receive(take, brokerPort) {
    const connection = await connect({ servers: `${HOST}:${brokerPort}` });
    connection.subscribe(SUBJECT, { callback: (_error, message) => take(asBuffer(message.data)) });
    await connection.flush();
    return brokerPort;
  },

  async send(next, port) {
    const connection = await connect({ servers: `${HOST}:${port}` });
    let sent = 0;
    for (let message = next(); message !== undefined; message = next()) {
      connection.publish(SUBJECT, message);
      if (++sent % FLUSH_EVERY === 0) await connection.flush();
    }
    await connection.flush();
  },
};

/** Kept in a file until it is acknowledged: what makes it worth its price. */
export const natsJetStream: Peer = {
  async receive(take, brokerPort) {
    const connection = await connect({ servers: `${HOST}:${brokerPort}` });
    const manager = await jetstreamManager(connection);
    await manager.streams.add({ name: SUBJECT, subjects: [SUBJECT], retention: RetentionPolicy.Workqueue });
    await manager.consumers.add(SUBJECT, { durable_name: SUBJECT, ack_policy: AckPolicy.Explicit });
    const consumer = await jetstream(connection).consumers.get(SUBJECT, SUBJECT);
    await consumer.consume({
      callback: (message) => {
        take(asBuffer(message.data));
        message.ack();
      },
    });
    return brokerPort;
  },

  async send(next, port) {
    const stream = jetstream(await connect({ servers: `${HOST}:${port}` }));
    const sendEach = async (): Promise<void> => {
      for (let message = next(); message !== undefined; message = next()) await stream.publish(SUBJECT, message);
    };
    await Promise.all(Array.from({ length: IN_FLIGHT }, sendEach));
  },
};

function asBuffer(data: Uint8Array): Buffer {
  return Buffer.from(data.buffer, data.byteOffset, data.byteLength);
}
