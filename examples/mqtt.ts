// Publishes to an MQTT 3.1.1 broker with QoS 1: at least once. A message whose connection is lost before the broker has
// acknowledged it is published again, with the same packet id and marked as a duplicate. MQTT_USER=... and
// MQTT_PASSWORD=... if the broker wants them. Each line of the input is a message:
//
//     npm run example -- examples/mqtt.ts 1883 sensors/door door-sensor    the last is the name of the client
import { createInterface } from "node:readline";
import {
  ConnectionManager,
  lengthPrefixed,
  type LoginConnection,
  type Message,
  plain,
  type PlainLink,
  RespliceError,
} from "resplice";

export interface MqttOptions {
  host?: string;
  port: number;
  /** The broker keeps what it knows of a client under this name. Two with the same name close each other's connections. */
  clientId: string;
  user?: string | undefined;
  /** Only with a user. */
  password?: string | undefined;
  /** A broker that says nothing for so long is given up. */
  keepaliveSeconds: number;
}

/** The first byte of a packet: its type, and flags. */
const CONNECT = 0x10;
const CONNACK = 0x20;
const PUBLISH = 0x32; // with QoS 1
const PUBLISH_AGAIN = 0x3a; // and marked as a duplicate
const PUBACK = 0x40;
const PINGREQ = Buffer.of(0xc0);
const PINGRESP = 0xd0;
/** The codes of CONNACK. */
const REFUSALS = ["", "this protocol", "the client id", "server unavailable", "user or password", "not authorized"];
const UNAVAILABLE = 3;

export class Publisher {
  /** For its events, its state and its figures. */
  readonly link: PlainLink;
  readonly #idsInUse = new Set<number>();
  #lastId = 0;

  constructor(manager: ConnectionManager, options: MqttOptions) {
    const { keepaliveSeconds } = options;
    this.link = manager.open({
      host: options.host ?? "127.0.0.1",
      port: options.port,
      // Half of the time for the broker to say something unasked, half for it to answer.
      keepalive: { pingAfterMs: keepaliveSeconds * 500, deadAfterMs: keepaliveSeconds * 500 },
      protocol: plain({
        framing: lengthPrefixed({ headerBytes: 1, bytes: "varint4" }),
        login: (connection) => logIn(connection, options),
        requests: { idOf: packetId, classify: ([type]) => (type === PUBACK ? "answer" : "push") },
        probe: { message: PINGREQ, isAnswer: ([type]) => type === PINGRESP },
      }),
    });
    this.link.onMessage(() => {}); // nothing was subscribed to
  }

  /**
   * Resolves when the broker has the message, which may be twice. One that is published again may come behind later ones.
   * Rejects when the link has ended, and when 65,535 messages wait.
   */
  async publish(topic: string, payload: string | Uint8Array): Promise<void> {
    const id = this.#takeId();
    try {
      const packet = Buffer.concat([Buffer.of(PUBLISH), text(topic), uint16(id), Buffer.from(payload)]);
      for (;;) {
        try {
          await this.link.request(packet);
          return;
        } catch (error) {
          // Of a message that waits when a connection is lost nothing is told: it goes out on the next one.
          if (!(error instanceof RespliceError) || error.code !== "CONNECTION_LOST") throw error;
          packet[0] = PUBLISH_AGAIN;
        }
      }
    } finally {
      this.#idsInUse.delete(id);
    }
  }

  #takeId(): number {
    if (this.#idsInUse.size === 65_535) throw new Error("no packet id is free");
    do this.#lastId = (this.#lastId % 65_535) + 1;
    while (this.#idsInUse.has(this.#lastId));
    this.#idsInUse.add(this.#lastId);
    return this.#lastId;
  }
}

/** A PUBLISH has its packet id behind the topic, a PUBACK behind the first byte. Other packets that we see have none. */
function packetId(packet: Message): number | undefined {
  if (packet[0] === PUBACK) return packet.readUInt16BE(1);
  const isPublish = packet[0] === PUBLISH || packet[0] === PUBLISH_AGAIN;
  return isPublish ? packet.readUInt16BE(3 + packet.readUInt16BE(1)) : undefined;
}

async function logIn(connection: LoginConnection, options: MqttOptions): Promise<void> {
  const { clientId, keepaliveSeconds, user, password } = options;
  const flags = (user === undefined ? 0 : 0x80) | (password === undefined ? 0 : 0x40);
  const fields = [clientId, user, password].filter((field) => field !== undefined).map(text);
  const version = Buffer.of(4, flags);
  connection.send(Buffer.concat([Buffer.of(CONNECT), text("MQTT"), version, uint16(keepaliveSeconds), ...fields]));
  const [type, , code = 0] = await connection.receive();
  if (type !== CONNACK) throw new Error("this is no MQTT broker");
  if (code === 0) return;
  throw new RespliceError("LOGIN_REFUSED", REFUSALS[code] ?? `code ${code}`, { retryable: code === UNAVAILABLE });
}

function uint16(value: number): Buffer {
  const written = Buffer.alloc(2);
  written.writeUInt16BE(value); // throws above 65,535
  return written;
}

/** A string as MQTT has it: with its length in front. */
function text(value: string): Buffer {
  const encoded = Buffer.from(value);
  return Buffer.concat([uint16(encoded.length), encoded]);
}

if (import.meta.main) await main(process.argv.slice(2));

async function main([port = "1883", topic = "example", clientId = "example"]: string[]): Promise<void> {
  const { MQTT_USER: user, MQTT_PASSWORD: password } = process.env;
  const manager = new ConnectionManager();
  const publisher = new Publisher(manager, { port: Number(port), clientId, user, password, keepaliveSeconds: 30 });
  const input = createInterface({ input: process.stdin });
  publisher.link.on("state", ({ to, reason }) => console.error(`${to}: ${reason}`));
  publisher.link.on("error", (error) => {
    console.error(String(error));
    process.exitCode = 1;
    input.close();
  });
  const publishing = new Set<Promise<void>>();
  for await (const line of input) {
    if (publishing.size >= 1_000) await Promise.race(publishing); // the input waits
    const published = publisher.publish(topic, line).then(
      () => console.log(`acknowledged: ${line}`),
      (error: unknown) => console.log(`failed: ${line}: ${String(error)}`),
    );
    publishing.add(published);
    void published.then(() => publishing.delete(published));
  }
  await Promise.all(publishing);
  await manager.close();
  process.stdin.destroy(); // an input that goes on would keep the process
}
