/** A connection that lets go of its stream, so that TLS can begin on it (STARTTLS). */
import { once } from "node:events";
import tls from "node:tls";
import { expect, test } from "vitest";
import { StreamConnection } from "../../src/io/connection.ts";
import { certificate } from "../certificate.ts";
import { setImmediate as nextTurn } from "node:timers/promises";
import { eventually } from "../support.ts";
import { connected } from "./connected.ts";

test("TLS begins on the stream, and the old handler hears nothing more", async () => {
  const { connection, near, far, heard } = await connected();
  far.write("220 ready");
  await eventually(() => expect(heard).toEqual(["data 220 ready"]));
  const stream = connection.release();
  expect([stream, near.isPaused()]).toEqual([near, true]);
  const { key, cert } = await certificate();
  const server = new tls.TLSSocket(far, { isServer: true, key, cert });
  server.on("data", (chunk: Buffer) => server.end(`you said ${String(chunk)}`));
  const secured = tls.connect({ socket: near, ca: cert, servername: "localhost" });
  await once(secured, "secureConnect");
  const second = new StreamConnection(secured, true);
  const told: string[] = [];
  second.handler = {
    onData: (chunk) => void told.push(String(chunk)),
    onDrain: () => {},
    onClosed: (reason) => void told.push(reason),
  };
  second.write([Buffer.from("EHLO")]);
  await eventually(() => expect(told).toEqual(["you said EHLO", "closed by the peer"]));
  expect(heard).toEqual(["data 220 ready"]);
});

test("one that waits in the reading line does not make the stream flow when its turn comes", async () => {
  const { connection, near, far } = await connected();
  let chunks = 0;
  const released: unknown[] = [];
  connection.handler = {
    ...connection.handler,
    onData: () => {
      chunks++;
      // It waits in the line by then.
      process.nextTick(() => void released.push(connection.release()));
      return "enough";
    },
  };
  far.write(Buffer.alloc(200_000));
  await eventually(() => expect(released).toEqual([near]));
  for (let turn = 0; turn < 20; turn++) await nextTurn();
  expect([chunks, near.isPaused()]).toEqual([1, true]);
});

test("it is not let go of while bytes are still to be written, nor once it is closed", async () => {
  const { connection, far } = await connected();
  far.pause();
  while (connection.roomBytes > 0) {
    connection.write([Buffer.alloc(connection.roomBytes)]);
    await nextTurn();
  }
  expect(connection.release()).toBeUndefined();
  connection.destroy();
  expect(connection.release()).toBeUndefined();
});
