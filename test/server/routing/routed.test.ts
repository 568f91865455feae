/** The server's end of the channel to its router. */
import { once } from "node:events";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { Routed } from "../../../src/server/routing/routed.ts";
import { failure, isPending, ManualClock } from "../../support.ts";
import { FakeChannel } from "./cluster.ts";

const ID = "0123456789ab";
const ADDRESS = { host: "127.0.0.1", port: 40_001 };
/** Of the router's address. */
const LISTENING = { ...ADDRESS, addresses: [ADDRESS] };
const TO = { resplice: "to-server", serverId: ID } as const;

function routed() {
  const channel = new FakeChannel();
  const clock = new ManualClock(0);
  const taken: net.Socket[] = [];
  const server = new Routed(ID, 7000, clock, channel);
  return { channel, clock, taken, server, start: () => server.start((socket) => void taken.push(socket)) };
}

async function started() {
  const all = routed();
  const listening = all.start();
  all.channel.hear({ ...TO, say: "listening", ...ADDRESS });
  expect(await listening).toEqual(LISTENING);
  return all;
}

function said({ said: all }: FakeChannel): string[] {
  return all.map(({ say }) => say);
}

async function connected(): Promise<{ client: net.Socket; socket: net.Socket }> {
  const server = net.createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const client = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1");
  const [socket] = (await once(server, "connection")) as [net.Socket];
  for (const each of [client, socket]) each.on("error", () => {});
  onTestFinished(() => {
    server.close();
    client.destroy();
    socket.destroy();
  });
  return { client, socket };
}

test("listens when the router answers, and to that router only", async () => {
  const { channel, start } = routed();
  const listening = start();
  expect(channel.said).toEqual([{ resplice: "to-router", say: "here", port: 7000, serverId: ID }]);
  for (const other of ["a word", null, { say: "listening" }, { ...TO, serverId: "other", say: "listening" }])
    channel.hear(other);
  expect(await isPending(listening)).toBe(true);
  channel.hear({ ...TO, say: "listening", ...ADDRESS });
  expect(await listening).toEqual(LISTENING);
});

test("a router that has begun later asks who is there", async () => {
  const { channel, start } = routed();
  const listening = start();
  channel.hear({ resplice: "to-server", say: "who", port: 7001 });
  channel.hear({ resplice: "to-server", say: "who", port: 7000 });
  expect(said(channel)).toEqual(["here", "here"]);
  channel.hear({ ...TO, say: "listening", ...ADDRESS });
  await listening;
});

test("no router answers within 5 s", async () => {
  const { clock, start } = routed();
  const listening = failure(start());
  clock.pass(5_000);
  const { code, message } = await listening;
  expect([code, message]).toEqual(["LISTEN_FAILED", "the primary process has no routeConnections({ port: 7000 })"]);
});

test("a process that is no worker", async () => {
  const server = new Routed(ID, 7000, new ManualClock(0), Object.assign(new FakeChannel(), { send: undefined }));
  expect((await failure(server.start(() => {}))).code).toBe("LISTEN_FAILED");
});

test("the channel is closed, or the server, before a router has answered", async () => {
  const cut = routed();
  const listening = failure(cut.start());
  cut.channel.emit("disconnect");
  expect((await listening).code).toBe("LISTEN_FAILED");
  const closed = routed();
  const other = failure(closed.start());
  const stopped = closed.server.stop();
  expect((await other).code).toBe("INVALID_STATE");
  closed.channel.hear({ ...TO, say: "left" });
  await stopped;
});

test("what was read of a connection is read again, before what comes behind it", async () => {
  const { channel, taken } = await started();
  const { client, socket } = await connected();
  client.write("behind");
  await once(socket, "readable");
  channel.hear({ ...TO, say: "connection", bytes: Buffer.from("before ").toString("base64") }, socket);
  expect(taken).toEqual([socket]);
  expect(String(socket.read())).toBe("before behind");
  // The client had gone before its socket could be handed over.
  channel.hear({ ...TO, say: "connection", bytes: "" }, undefined);
  channel.hear({ ...TO, serverId: "other", say: "connection", bytes: "" }, socket);
  expect(taken).toHaveLength(1);
});

test("takes connections until the router says that no more come, and hears nothing more", async () => {
  const { channel, taken, server } = await started();
  server.drain();
  const stopped = server.stop();
  expect(said(channel)).toEqual(["here", "draining", "leaving"]);
  // A router that begins now does not hear of a server that leaves.
  channel.hear({ resplice: "to-server", say: "who", port: 7000 });
  const { socket } = await connected();
  channel.hear({ ...TO, say: "connection", bytes: "" }, socket);
  expect(taken).toEqual([socket]);
  expect(await isPending(stopped)).toBe(true);
  channel.hear({ ...TO, say: "left" });
  await stopped;
  expect([channel.listenerCount("message"), channel.listenerCount("disconnect")]).toEqual([0, 0]);
  expect(said(channel)).toEqual(["here", "draining", "leaving"]);
  // Again, and after the end: nothing.
  server.drain();
  await server.stop();
  expect(said(channel)).toHaveLength(3);
});

test("a router that does not answer is waited for a second; what it still sends is closed", async () => {
  const { channel, clock, taken, server } = await started();
  const stopped = server.stop();
  clock.pass(1_000);
  await stopped;
  const { client, socket } = await connected();
  const closed = once(client, "close");
  channel.hear({ ...TO, say: "connection", bytes: "" }, socket);
  await closed;
  expect(taken).toEqual([]);
});
