/** As much of an MQTT 3.1.1 broker as a publisher sees. */
import type net from "node:net";
import { lengthPrefixed } from "../../../src/index.ts";
import { Arrivals, rawServer } from "../../support.ts";

export interface Published {
  id: number;
  isDuplicate: boolean;
  topic: string;
  payload: string;
}

export class MqttBroker {
  port = 0;
  /** The code of the answer to the next login. */
  code = 0;
  acknowledges = true;
  answersPings = true;
  readonly published: Arrivals<Published> = new Arrivals();
  /** Each with its header, and its fields: client id, user, password. */
  readonly logins: Arrivals<string[]> = new Arrivals();
  pings = 0;

  static async start(): Promise<MqttBroker> {
    const broker = new MqttBroker();
    broker.port = await rawServer((socket) => {
      const decoder = framing.decoder({ maxMessageBytes: 100_000 });
      socket.on("data", (chunk: Buffer) => decoder.decode(chunk, (packet) => broker.#onPacket(socket, packet)));
    });
    return broker;
  }

  #onPacket(socket: net.Socket, packet: Buffer): void {
    const type = packet.readUInt8() >> 4;
    if (type === CONNECT) {
      const [name, rest] = field(packet.subarray(1));
      const flags = rest.readUInt8(1).toString(16);
      const login = [`${name} version ${rest.readUInt8()}, flags ${flags}, keepalive ${rest.readUInt16BE(2)} s`];
      for (let [value, left] = field(rest.subarray(4)); ; [value, left] = field(left)) {
        login.push(value);
        if (left.length === 0) break;
      }
      this.logins.put(login);
      socket.write(Buffer.of(0x20, 2, 0, this.code));
    } else if (type === PUBLISH) {
      const topicEnd = 3 + packet.readUInt16BE(1);
      const id = packet.readUInt16BE(topicEnd);
      const isDuplicate = (packet.readUInt8() & 0x08) > 0;
      this.published.put({
        id,
        isDuplicate,
        topic: packet.toString("utf8", 3, topicEnd),
        payload: packet.toString("utf8", topicEnd + 2),
      });
      if (this.acknowledges) socket.write(Buffer.of(0x40, 2, id >> 8, id & 0xff));
    } else if (type === PINGREQ) {
      this.pings++;
      if (this.answersPings) socket.write(Buffer.of(0xd0, 0));
    } else {
      socket.destroy();
    }
  }
}

/** A string with its length in front, and what is behind it. */
function field(bytes: Buffer): [value: string, rest: Buffer] {
  const end = 2 + bytes.readUInt16BE();
  return [bytes.toString("utf8", 2, end), bytes.subarray(end)];
}

const framing = lengthPrefixed({ headerBytes: 1, bytes: "varint4" });
const CONNECT = 1;
const PUBLISH = 3;
const PINGREQ = 12;
