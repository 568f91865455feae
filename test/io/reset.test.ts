import { once } from "node:events";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { cutOff, resetSocket } from "../../src/io/reset.ts";

/** A connection on loopback, each of whose directions ends apart, and its peer. */
async function connection(): Promise<{ socket: net.Socket; peer: net.Socket }> {
  const server = net.createServer({ allowHalfOpen: true }).listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as net.AddressInfo;
  const arrived = once(server, "connection");
  const socket = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true }).on("error", () => {});
  const [peer] = (await arrived) as [net.Socket];
  peer.on("error", () => {});
  if (socket.connecting) await once(socket, "connect");
  onTestFinished(() => {
    server.close();
    socket.destroy();
    peer.destroy();
  });
  return { socket, peer };
}

/** The code of the error with which the peer finds that the connection is gone, after an end or without one. */
async function foundOut(peer: net.Socket): Promise<string | undefined> {
  let code: string | undefined;
  peer.on("error", (error: NodeJS.ErrnoException) => {
    code = error.code;
  });
  // Whoever has read the end reads no more: only a write finds out.
  peer.once("end", () => peer.write("x", () => peer.write("y")));
  await closed(peer.resume());
  return code;
}

/** Unlike once() it does not mind an error. */
function closed(socket: net.Socket): Promise<void> {
  return new Promise((resolve) => void socket.once("close", () => resolve()));
}

const MOMENTS: ReadonlyArray<[string, (socket: net.Socket) => void | Promise<void>]> = [
  ["is open", () => {}],
  ["has much to write", (socket) => void socket.write(Buffer.alloc(50_000_000))],
  ["is to end, and has much to write", (socket) => void socket.end(Buffer.alloc(50_000_000))],
  ["is just being ended", (socket) => void socket.end()],
  ["has ended", (socket) => once(socket.end(), "finish").then(() => {})],
];

test.each(MOMENTS)("a connection that %s is closed, and the peer finds out", async (_, bring) => {
  const { socket, peer } = await connection();
  await bring(socket);
  const found = foundOut(peer);
  const gone = closed(socket);
  resetSocket(socket);
  await gone;
  expect(["ECONNRESET", "EPIPE"]).toContain(await found);
});

test.each(MOMENTS)("cutOff() closes a connection that %s", async (_, bring) => {
  const { socket, peer } = await connection();
  await bring(socket);
  const found = foundOut(peer);
  cutOff(socket);
  expect(["ECONNRESET", "EPIPE"]).toContain(await found);
});
