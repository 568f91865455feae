// Reads registers of a device each second, by Modbus/TCP. When its cable is pulled a poll is not answered, the link dials
// until the device is back, and the polls go on. Registers 100 and 101:
//
//     npm run example -- examples/modbus.ts 192.168.1.20:502 100 2
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionManager, lengthPrefixed, plain, type PlainLink, RespliceError } from "resplice";

/** The device has understood, and does not do it. */
export class ModbusException extends Error {
  constructor(code: number) {
    super(`exception ${code}: ${EXCEPTIONS[code] ?? "unknown"}`);
    this.name = "ModbusException";
  }
}

const EXCEPTIONS: Record<number, string> = {
  1: "illegal function",
  2: "illegal data address",
  3: "illegal data value",
  4: "server device failure",
  5: "acknowledged, and takes long",
  6: "server device busy",
  8: "memory parity error",
  10: "gateway path unavailable",
  11: "gateway target device failed to respond",
};
const READ_HOLDING_REGISTERS = 3;
/** Is set in the function's code where the answer is an exception. */
const EXCEPTION_BIT = 0x80;

export interface ModbusOptions {
  host: string;
  port: number;
  /** Of the device behind a gateway; devices with an address of their own mostly ignore it. Default 1. */
  unit?: number;
  /** How long an answer may take; then the connection is given up. Default 2,000. */
  answerMs?: number;
}

export class Modbus {
  readonly link: PlainLink;
  readonly #unit: number;
  #transaction = 0;
  /** Fulfilled when the last poll has its answer, or has failed. */
  #turn: Promise<unknown> = Promise.resolve();

  constructor(manager: ConnectionManager, { host, port, unit = 1, answerMs = 2_000 }: ModbusOptions) {
    this.#unit = unit;
    this.link = manager.open({
      host,
      port,
      maxMessageBytes: 260,
      protocol: plain({
        // On the wire: transaction (2 bytes), protocol (2), length (2), unit (1), function (1), data. The length is not
        // in our messages.
        framing: lengthPrefixed({ headerBytes: 4, bytes: 2 }),
        // Many devices can do one thing at a time.
        requests: { idOf: (message) => message.readUInt16BE(0), maxInFlight: 1 },
      }),
      // The polls notice a dead path: there is always one that waits for its answer.
      timeouts: { connectMs: 2_000, answerMs },
      reconnect: { maxDelayMs: 5_000 },
      // A poll whose turn comes while there is no connection fails: a value that is read later is another value.
      queue: { whileDisconnected: "fail" },
    });
  }

  /**
   * Polls wait for each other. Rejects with a ModbusException, or with a RespliceError: CONNECTION_LOST if the device
   * does not answer in time, or the connection is lost meanwhile; NOT_CONNECTED if there is no connection when the
   * poll's turn comes.
   */
  async readHoldingRegisters(address: number, count: number): Promise<number[]> {
    const parameters = Buffer.alloc(4);
    parameters.writeUInt16BE(address, 0);
    parameters.writeUInt16BE(count, 2);
    const data = await this.#request(READ_HOLDING_REGISTERS, parameters);
    if (data.length !== 1 + 2 * count || data[0] !== 2 * count)
      throw new Error(`${data.length} bytes for ${count} registers`);
    return Array.from({ length: count }, (_, index) => data.readUInt16BE(1 + 2 * index));
  }

  /**
   * The poll before is awaited here, and not in the link: a request that waits behind another there (`maxInFlight`) has
   * left the queue, so it would not fail while there is no connection.
   */
  #request(code: number, parameters: Buffer): Promise<Buffer> {
    const answer = this.#turn.then(() => this.#requestNow(code, parameters));
    this.#turn = answer.catch(() => {});
    return answer;
  }

  async #requestNow(code: number, parameters: Buffer): Promise<Buffer> {
    this.#transaction = (this.#transaction + 1) % 0x1_0000;
    const header = Buffer.alloc(6); // the protocol, bytes 2 and 3, is 0
    header.writeUInt16BE(this.#transaction, 0);
    header.writeUInt8(this.#unit, 4);
    header.writeUInt8(code, 5);
    const answer = await this.link.request(Buffer.concat([header, parameters]));
    const answered = answer.readUInt8(5);
    if (answered === code + EXCEPTION_BIT) throw new ModbusException(answer.readUInt8(6));
    if (answered !== code) throw new Error(`function ${code} was answered by function ${answered}`);
    return answer.subarray(6);
  }
}

if (import.meta.main) await main(process.argv.slice(2));

async function main([where = "localhost:502", address = "0", count = "1", everyMs = "1000"]: string[]): Promise<void> {
  const { hostname, port } = new URL(`tcp://${where}`);
  const manager = new ConnectionManager();
  const device = new Modbus(manager, { host: hostname, port: Number(port || 502) });
  device.link.on("state", (change) => {
    const why = "error" in change ? `, ${change.error?.message}` : "";
    console.error(`${change.to}: ${change.reason}${why}`);
  });
  const stop = new AbortController();
  process.once("SIGINT", () => stop.abort());
  process.once("SIGTERM", () => stop.abort());
  while (!stop.signal.aborted) {
    try {
      console.log((await device.readHoldingRegisters(Number(address), Number(count))).join(" "));
    } catch (error) {
      // A poll fails while there is no connection, and with its loss: the state has been told.
      if (!(error instanceof RespliceError)) console.error((error as Error).message);
    }
    await sleep(Number(everyMs), undefined, { signal: stop.signal }).catch(() => {});
  }
  await manager.close();
}
