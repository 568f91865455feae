/** The router, with workers that are no processes: what they are given can be looked at. */
import { once } from "node:events";
import net from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { encodeHello, encodeToken, FrameType } from "../../../src/core/wire/frames.ts";
import type { RouteOptions } from "../../../src/server/routing/options.ts";
import { resolveRoute } from "../../../src/server/routing/options.ts";
import { ConnectionRouter, routeConnections } from "../../../src/server/routing/router.ts";
import { eventually, failure, unusedPort } from "../../support.ts";
import { helloOf } from "../../core/server/hello.ts";
import { closed } from "../balancer.ts";
import { FakeCluster, type FakeWorker } from "./cluster.ts";

const [A, B] = ["aaaaaaaaaaaa", "bbbbbbbbbbbb"];
const OPEN = encodeHello("hello", helloOf(undefined));

async function routing(options: Partial<RouteOptions> = {}) {
  const cluster = new FakeCluster();
  const workers = [cluster.worker(), cluster.worker()] as [FakeWorker, FakeWorker];
  const router = new ConnectionRouter(resolveRoute({ port: 0, host: "127.0.0.1", ...options }), cluster);
  onTestFinished(() => router.close());
  await router.listen();
  for (const worker of workers) expect((await worker.sent.next()).message).toMatchObject({ say: "who" });
  const { port } = router.address ?? { port: 0 };
  const to = (bytes: Buffer | string = "", localAddress = "127.0.0.1"): net.Socket => {
    const socket = net.connect({ port, host: "127.0.0.1", localAddress, noDelay: true });
    socket.on("error", () => {});
    if (bytes.length > 0) socket.write(bytes);
    onTestFinished(() => void socket.destroy());
    return socket;
  };
  return { cluster, workers, router, port, to };
}

async function withServers(options: Partial<RouteOptions> = {}) {
  const all = await routing(options);
  for (const [n, serverId] of [A, B].entries()) {
    const worker = all.workers[n as 0 | 1];
    worker.say("here", serverId);
    const { message } = await worker.sent.next();
    expect(message).toEqual({ resplice: "to-server", say: "listening", serverId, host: "127.0.0.1", port: all.port });
  }
  return all;
}

function resume(serverId: string, type: "hello" | "standby" = "hello"): Buffer {
  return encodeHello(type, helloOf(serverId));
}

/** The frame's type and number with which a client is sent away. */
async function refused(socket: net.Socket): Promise<{ type: number | undefined; code: number; retryAfterMs: number }> {
  const [frame] = (await once(socket, "data")) as [Buffer];
  return { type: frame[0], code: frame.readUInt32BE(8), retryAfterMs: frame.readUInt32BE(12) };
}

const OVERLOADED = { type: FrameType.refuse, code: 6, retryAfterMs: expect.any(Number) };

test("a connection goes where its session is, a new one to each in turn, with all that was read", async () => {
  const { workers, router, to } = await withServers();
  const [one, other] = workers;
  const said = Buffer.concat([resume(B), encodeToken("ping", 7)]);
  to(said);
  const { message, socket, done } = await other.next();
  expect(message).toMatchObject({ say: "connection", serverId: B });
  const bytes = message.say === "connection" ? Buffer.from(message.bytes, "base64") : Buffer.alloc(0);
  expect(bytes.equals(said)).toBe(true);
  expect(router.stats()).toMatchObject({ servers: 2, handing: 1, handed: 0 });
  done(null);
  expect(router.stats()).toMatchObject({ handing: 0, handed: 1 });
  socket.destroy();
  to(resume(A, "standby"));
  expect((await one.next()).message).toMatchObject({ serverId: A });
  to(OPEN);
  expect((await one.next()).message).toMatchObject({ serverId: A });
  to("GET / HTTP/1.1\r\n");
  expect((await other.next()).message).toMatchObject({ serverId: B });
});

test("nothing more is read of a peer that talks on while its socket is handed over", async () => {
  const { workers, to } = await withServers();
  const client = to();
  const frame = resume(A);
  // In two parts: reading goes on until the name is whole.
  client.write(frame.subarray(0, 20));
  await new Promise((resolve) => setImmediate(resolve));
  client.write(frame.subarray(20));
  const { socket, message } = await workers[0].next();
  const before = socket.bytesRead;
  expect(message.say === "connection" && Buffer.from(message.bytes, "base64").length).toBe(before);
  for (let n = 0; n < 20; n++) {
    client.write(encodeToken("ping", n));
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect([socket.bytesRead, socket.readableLength]).toEqual([before, 0]);
  // It is all there for the one who reads on.
  let bytes = before;
  socket.on("data", (chunk: Buffer) => (bytes += chunk.length));
  await eventually(() => expect(bytes).toBe(frame.length + 20 * 16));
});

test("a server that drains gets only its own, and one that has left or died none", async () => {
  const { cluster, workers, router, to } = await withServers();
  const [one, other] = workers;
  one.say("draining", A);
  for (const bytes of [OPEN, OPEN]) {
    to(bytes);
    expect((await other.next()).message).toMatchObject({ serverId: B });
  }
  to(resume(A));
  const own = await one.next();
  expect(own.message).toMatchObject({ serverId: A });
  own.done(null);
  one.say("leaving", A);
  // Behind the connection that was on its way.
  expect((await one.sent.next()).message).toEqual({ resplice: "to-server", say: "left", serverId: A });
  to(resume(A));
  const last = await other.next();
  expect(router.stats().handing).toBe(3);
  expect([last.message, router.stats().servers]).toEqual([expect.objectContaining({ serverId: B }), 1]);
  // What is on its way to a worker that dies is closed.
  const ended = closed(last.socket);
  cluster.emit("exit", other);
  await ended;
  expect(router.stats()).toMatchObject({ servers: 0, handing: 0 });
  expect(await refused(to(OPEN))).toEqual(OVERLOADED);
});

test("a worker that takes none: its own are told to come back later, the others go elsewhere", async () => {
  const { workers, router, to } = await withServers();
  const [one, other] = workers;
  for (let n = 0; n < 256; n++) to(resume(A));
  await eventually(() => expect(router.stats().handing).toBe(256));
  const answer = await refused(to(resume(A)));
  expect(answer).toEqual(OVERLOADED);
  expect(answer.retryAfterMs).toBeGreaterThanOrEqual(500);
  expect(answer.retryAfterMs).toBeLessThanOrEqual(1_000);
  to(OPEN);
  expect((await other.next()).message).toMatchObject({ serverId: B });
  // The one it has taken leaves room.
  (await one.next()).done(null);
  to(resume(A));
  await eventually(() => expect(router.stats().handing).toBe(257));
  expect(router.stats()).toMatchObject({ handed: 1, refused: 1 });
});

test("a socket that the channel does not take is closed", async () => {
  const { workers, router, to } = await withServers();
  const client = to(OPEN);
  const ended = closed(client);
  (await workers[0].next()).done(new Error("closed"));
  await ended;
  expect(router.stats()).toMatchObject({ handing: 0, handed: 0 });
});

test("too many that say nothing: the oldest of the address with most of them gives way", async () => {
  const { workers, router, to } = await withServers({ waiting: 3 });
  const healthy = to("", "127.0.0.2");
  await eventually(() => expect(router.stats().waiting).toBe(1));
  const first = to("\x01");
  await eventually(() => expect(router.stats().waiting).toBe(2));
  to("\x01");
  await eventually(() => expect(router.stats().waiting).toBe(3));
  const answer = refused(first);
  to("\x01");
  expect(await answer).toEqual(OVERLOADED);
  healthy.write(OPEN);
  const { socket } = await workers[0].next();
  expect(socket.remoteAddress).toBe("127.0.0.2");
});

test("whoever does not say enough in time is closed, and so is one that says too much", async () => {
  const { router, to } = await withServers({ handshakeMs: 50 });
  await Promise.all([to("\x01"), to(), to(Buffer.concat([resume(A), Buffer.alloc(40_000)]))].map(closed));
  expect(router.stats()).toMatchObject({ waiting: 0, rejected: 3, handing: 0 });
});

test("messages of the application, and of another router's servers, are not for it", async () => {
  const { cluster, workers, router } = await routing();
  for (const message of ["hello", null, { say: "here", port: 0 }]) cluster.emit("message", workers[0], message);
  workers[0].say("here", A, 7001);
  expect(router.stats().servers).toBe(0);
});

test("a port that is taken, and a process that is no primary", async () => {
  const taken = net.createServer();
  const port = await unusedPort();
  taken.listen(port, "127.0.0.1");
  await once(taken, "listening");
  onTestFinished(() => void taken.close());
  const error = await failure(routeConnections({ port, host: "127.0.0.1" }));
  expect([error.code, error.message]).toEqual(["LISTEN_FAILED", expect.stringContaining(`127.0.0.1:${port}`)]);
});

test("closes its port and what it holds, and hears of no worker any more", async () => {
  const { cluster, port, router, to, workers } = await withServers();
  const waiting = to("\x01");
  const handing = to(OPEN);
  await workers[0].next();
  await eventually(() => expect(router.stats().waiting).toBe(1));
  const ended = Promise.all([closed(waiting), closed(handing)]);
  await router.close();
  await ended;
  expect(router.address).toBeUndefined();
  expect(cluster.eventNames()).toEqual([]);
  const again = net.connect(port, "127.0.0.1");
  const [error] = (await once(again, "error")) as [NodeJS.ErrnoException];
  expect(error.code).toBe("ECONNREFUSED");
});
