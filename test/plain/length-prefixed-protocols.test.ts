/** The framings that docs/protocols.md gives for well-known protocols, with bytes as these have them on the wire. */
import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import type { LengthPrefix } from "../../src/plain/length-prefix.ts";
import { lengthPrefixed } from "../../src/plain/length-prefixed.ts";
import { chunked, decode, decoded, streamOf } from "./decoding.ts";

/** For each message: the header and the rest, with the length between them. */
const WIRE: Readonly<Record<string, ReadonlyArray<readonly [string, string, string]>>> = {
  "AMQP 0-9-1": [
    // heartbeat; channel.open and its answer; connection.close-ok
    ["080000", "00000000", "ce"],
    ["010001", "00000005", "0014000a00ce"],
    ["010001", "00000008", "0014000b00000000ce"],
    ["010000", "00000004", "000a0033ce"],
  ],
  "AMQP 1.0": [["", "00000008", "02000000"]], // an empty frame
  BGP: [["ff".repeat(16), "0013", "04"]], // KEEPALIVE
  "DNS over TCP": [["", "001d", "123401000001000000000000076578616d706c6503636f6d0000010001"]],
  Kafka: [["", "0000000e", "001200000000000700046b61666b"]], // ApiVersions
  "Modbus/TCP": [["00010000", "0006", "1103006b0003"]], // reads three registers
  MongoDB: [["", "21000000", "0100000000000000dd07000000000000000c000000107069006e000000"]],
  MQTT: [
    // CONNECT, CONNACK, PINGREQ, PINGRESP, and a PUBLISH with a length of two bytes
    ["10", "10", "00044d5154540402003c000444494749"],
    ["20", "02", "0000"],
    ["c0", "00", ""],
    ["d0", "00", ""],
    ["30", "c102", `0003612f62${"78".repeat(316)}`],
  ],
  MySQL: [
    // COM_PING, COM_QUERY "SELECT 1", OK
    ["", "010000", "000e"],
    ["", "090000", "000353454c4543542031"],
    ["", "070000", "0100000002000000"],
  ],
  PostgreSQL: [
    // Query, DataRow, CommandComplete, ReadyForQuery, Sync
    ["51", "0000000d", "53454c454354203100"],
    ["44", "0000000b", "00010000000131"],
    ["43", "0000000d", "53454c454354203100"],
    ["5a", "00000005", "49"],
    ["53", "00000004", ""],
  ],
  "Protocol Buffers, delimited": [
    ["", "03", "089601"],
    ["", "00", ""],
  ],
  TDS: [["0e01", "0008", "00000100"]],
};

/** The options in the table of docs/protocols.md. */
const RECIPES = new Map(
  Array.from(
    readFileSync(new URL("../../docs/protocols.md", import.meta.url), "utf8").matchAll(
      /^\| ([^|]+) \| `lengthPrefixed\((.*)\)` \|/gmu,
    ),
    ([, protocol = "", options = ""]) => {
      const json = options === "" ? "{}" : options.replaceAll(/(\w+):/gu, '"$1":');
      return [protocol, JSON.parse(json) as LengthPrefix] as const;
    },
  ),
);

test("every protocol of the table is here", () => {
  expect([...RECIPES.keys()].toSorted()).toEqual(Object.keys(WIRE).toSorted());
});

describe.each(Object.entries(WIRE))("%s", (protocol, wire) => {
  const options = RECIPES.get(protocol);
  const stream = Buffer.from(wire.flat().join(""), "hex");
  const stripped = wire.map(([header, , rest]) => Buffer.from(header + rest, "hex"));
  const whole = wire.map((parts) => Buffer.from(parts.join(""), "hex"));

  test("its messages, without their lengths and with them, wherever the stream is cut", () => {
    for (const [strip, messages] of [
      [true, stripped],
      [false, whole],
    ] as const) {
      const framing = lengthPrefixed({ ...options, strip });
      const expected = { messages: messages.map((message) => message.toString("latin1")) };
      expect(decoded(framing, stream)).toEqual(expected);
      for (let at = 1; at < stream.length; at++) {
        const chunks = [stream.subarray(0, at), stream.subarray(at)];
        expect(decode(framing.decoder({ maxMessageBytes: 400 }), chunks, true)).toEqual(expected);
      }
      expect(decode(framing.decoder({ maxMessageBytes: 400 }), chunked(stream, 1), true)).toEqual(expected);
      expect(streamOf(framing, messages)).toEqual(stream);
    }
  });
});

test("what begins a conversation without a frame is sent as it is with strip: false", () => {
  const framing = lengthPrefixed({ headerBytes: 1, counts: "itself", strip: false });
  const startup = Buffer.from("0000000804d2162f", "hex");
  expect(framing.encode(startup)).toBe(startup);
});

test("MQTT: a fifth byte of the length is malformed", () => {
  const framing = lengthPrefixed({ headerBytes: 1, bytes: "varint4" });
  expect(decoded(framing, Buffer.from("30ffffffff7f", "hex")).fault).toBe("a length of more than 4 bytes");
});

test("PostgreSQL: a length below 4 is a fault, and ends nothing but the connection", () => {
  const framing = lengthPrefixed({ headerBytes: 1, counts: "itself" });
  expect(decoded(framing, Buffer.from("5a00000005495a00000003", "hex"))).toEqual({
    messages: ["ZI"],
    fault: "a length of 3, which counts 4 bytes of its own",
  });
});
