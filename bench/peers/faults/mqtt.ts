import mqtt, { type MqttClient } from "mqtt";
import { type Contender, DEAD_MS } from "../../faults/contender.ts";
import { HOST } from "../peer.ts";

/** Until a publish that has failed is tried again. */
const AGAIN_MS = 100;

type Qos = 0 | 1 | 2;

export const mqtt0: Contender = atQos(0);
export const mqtt1: Contender = atQos(1);
export const mqtt2: Contender = atQos(2);

/** Persistent sessions at both ends, and the client's own store for what is not acknowledged. */
function atQos(qos: Qos): Contender {
  return {
    async receive(take, { port, name }) {
      const client = await connect(port, `${name}-receiver`);
      client.on("message", (_topic, message) => take(message));
      await client.subscribeAsync(name, { qos });
      return { port };
    },

    async connect({ port, name }) {
      const client = await connect(port, `${name}-sender`);
      const send = (message: Buffer): void => {
        // It fails where the connection is lost while what was stored before is sent: then it is for the application. But not
        // within the callback: MQTT.js calls the callbacks of all that wait, and would come to this one again and again.
        client.publish(name, message, { qos }, (error) => {
          if (error && qos > 0) setTimeout(send, AGAIN_MS, message);
        });
      };
      return { send };
    },
  };
}

async function connect(port: number, clientId: string): Promise<MqttClient> {
  const client = await mqtt.connectAsync({
    host: HOST,
    port,
    clientId,
    clean: false,
    // In whole seconds: it pings after so long, and has half as long for the answer. With 1 a path with some latency is dead.
    keepalive: DEAD_MS / 1_000,
    // By default each packet that is sent puts the ping off: a client that sends all the time would not notice.
    reschedulePings: false,
    connectTimeout: DEAD_MS,
  });
  client.on("error", () => {}); // 'close' follows, and it connects again
  return client;
}
