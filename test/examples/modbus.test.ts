import type net from "node:net";
import { type FaultRelay } from "resplice/testing";
import { lengthPrefixed } from "resplice";
import { expect, test } from "vitest";
import { Modbus, ModbusException } from "../../examples/modbus.ts";
import { failure, manage, rawServer, relayTo, turned } from "../support.ts";
import { example } from "./support/program.ts";

/** Registers 0 to 9 hold 100 to 109; there are no others. `says` may change an answer. */
async function device(says = (answer: Buffer): Buffer => answer): Promise<{ relay: FaultRelay }> {
  const framing = lengthPrefixed({ headerBytes: 4, bytes: 2 });
  const port = await rawServer((socket: net.Socket) => {
    const decoder = framing.decoder({ maxMessageBytes: 260 });
    socket.on("data", (chunk: Buffer) => {
      decoder.decode(chunk, (request) => {
        const address = request.readUInt16BE(6);
        const count = request.readUInt16BE(8);
        const header = Buffer.from(request.subarray(0, 6));
        const data = [2 * count, ...Array.from({ length: count }, (_, index) => [0, 100 + address + index]).flat()];
        if (address + count > 10) header.writeUInt8(0x83, 5);
        const answer = Buffer.concat([header, Buffer.from(address + count > 10 ? [2] : data)]);
        socket.write(Buffer.concat([framing.encode(says(answer))].flat()));
      });
    });
  });
  return { relay: await relayTo(port) };
}

function client(port: number, answerMs = 10_000): Modbus {
  return new Modbus(manage(), { host: "127.0.0.1", port, answerMs });
}

test("as a program: it polls, says when the device is away, and goes on", { timeout: 30_000 }, async () => {
  const { relay } = await device();
  const program = example("modbus", `127.0.0.1:${relay.port}`, 3, 2, 50);
  await program.count(/^103 104$/u, 3);
  relay.cut("rst");
  await program.line(/^reconnecting: /u);
  await program.count(/^connected: /u, 2);
  await program.line(/^103 104$/u, program.lines.length);
  expect(await program.kill("SIGTERM")).toBe(0);
});

test("a device that goes silent is noticed by its polls; while it is away they fail at once", async () => {
  const { relay } = await device();
  const modbus = client(relay.port, 500);
  await modbus.link.connected();
  expect(await modbus.readHoldingRegisters(0, 3)).toEqual([100, 101, 102]);
  relay.blackHole();
  relay.refuse();
  const away = turned(modbus.link, "reconnecting");
  expect(await failure(modbus.readHoldingRegisters(0, 3))).toMatchObject({
    code: "CONNECTION_LOST",
    delivery: "maybe",
  });
  expect((await away).reason).toBe("answer-late");
  expect(await failure(modbus.readHoldingRegisters(0, 3))).toMatchObject({ code: "NOT_CONNECTED" });
  relay.heal();
  modbus.link.retryNow();
  await modbus.link.connected();
  expect(await modbus.readHoldingRegisters(9, 1)).toEqual([109]);
});

test("a poll that waits for another when the device goes away fails too, at once", async () => {
  const { relay } = await device();
  const modbus = client(relay.port, 500);
  await modbus.link.connected();
  relay.blackHole();
  relay.refuse();
  const away = turned(modbus.link, "reconnecting");
  const polls = [failure(modbus.readHoldingRegisters(0, 3)), failure(modbus.readHoldingRegisters(3, 3))];
  await away;
  expect(await Promise.all(polls)).toMatchObject([
    { code: "CONNECTION_LOST", delivery: "maybe" },
    { code: "NOT_CONNECTED", delivery: "not-sent" },
  ]);
  relay.heal();
  modbus.link.retryNow();
  await modbus.link.connected();
  expect(await modbus.readHoldingRegisters(9, 1)).toEqual([109]);
});

test("an exception is an answer: the connection stays", async () => {
  const { relay } = await device();
  const modbus = client(relay.port);
  await modbus.link.connected();
  const polls = [modbus.readHoldingRegisters(10, 1), modbus.readHoldingRegisters(0, 1)];
  expect(await Promise.allSettled(polls)).toEqual([
    { status: "rejected", reason: new ModbusException(2) },
    { status: "fulfilled", value: [100] },
  ]);
  expect(new ModbusException(2).message).toBe("exception 2: illegal data address");
  expect(relay.connections).toBe(1);
});

test.each([
  ["another function", 5, 4, "function 3 was answered by function 4"],
  ["another count", 6, 4, "3 bytes for 1 registers"],
])("an answer with %s is an error", async (_, at, byte, text) => {
  const { relay } = await device((answer) => answer.fill(byte, at, at + 1));
  const modbus = client(relay.port);
  await modbus.link.connected();
  await expect(modbus.readHoldingRegisters(0, 1)).rejects.toThrow(text);
});

test("an answer to another transaction is one that nobody waits for: the connection is given up", async () => {
  const { relay } = await device((answer) => answer.fill(0xff, 0, 2));
  const modbus = client(relay.port);
  await modbus.link.connected();
  const away = turned(modbus.link, "reconnecting");
  expect(await failure(modbus.readHoldingRegisters(0, 1))).toMatchObject({ code: "CONNECTION_LOST" });
  expect((await away).reason).toBe("answer-unexpected");
});
