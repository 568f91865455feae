/** Connections on real sockets, with time that passes when it is told to. */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtemp } from "node:fs/promises";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Arrivals, eventually } from "../support.ts";
import { GET, greeter, httpClient, textOf, watchedServer } from "./servers.ts";

const ALL = { most: Infinity, dryRun: false };
const LIMITS = { connections: 100, connectionsPerAddress: Infinity, handshakes: 50, acceptsPerSecond: 1_000 };

/** Answers "hello" to each request but "/later", of which the test has the response. */
function choosing(): { server: http.Server; later: Arrivals<http.ServerResponse> } {
  const later = new Arrivals<http.ServerResponse>();
  const server = http.createServer(({ url }, response) => {
    if (url === "/later") later.put(response);
    else response.end("hello");
  });
  return { server, later };
}

type Client = Awaited<ReturnType<typeof httpClient>>;

async function idleClient(port: number, localAddress = "127.0.0.1"): Promise<Client> {
  const client = await httpClient(port, { localAddress });
  client.socket.write(GET);
  await client.until(/hello/u);
  return client;
}

test("a connection without a request is given up in time, and one that has made one is not", async () => {
  const { connections, clock, refusals, port } = await watchedServer(await greeter("http"));
  const silent = await httpClient(port);
  silent.socket.write("GET / HTTP/1.1\r\nHost: te");
  const idle = await idleClient(port);
  await eventually(() => expect(connections.counts()).toMatchObject({ open: 2, handshaking: 1, idle: 1 }));
  clock.pass(59_000);
  expect(connections.counts().handshaking).toBe(1);
  clock.pass(2_000);
  await silent.closed;
  expect(refusals.counts().rejected).toEqual({ "handshake timed out": 1 });
  expect([connections.counts().open, idle.socket.destroyed]).toEqual([1, false]);
});

test("connections: the longest idle gives way; one in its handshake if none has been idle for long", async () => {
  const limits = { ...LIMITS, connections: 3 };
  const { connections, clock, refusals, port } = await watchedServer(await greeter("http"), { limits });
  const first = await idleClient(port);
  clock.pass(100);
  const second = await idleClient(port);
  clock.pass(2_000);
  const silent = await httpClient(port);
  await eventually(() => expect(connections.counts()).toMatchObject({ handshaking: 1, idle: 2 }));
  const third = await idleClient(port);
  await first.closed;
  const fourth = await idleClient(port);
  await second.closed;
  expect(silent.socket.destroyed).toBe(false);
  const fifth = await idleClient(port);
  await silent.closed;
  // None is left that may give way.
  const refused = await httpClient(port);
  await refused.closed;
  expect(refused.text).toMatch(/^HTTP\/1.1 503 /u);
  expect([third, fourth, fifth].map(({ socket }) => socket.destroyed)).toEqual([false, false, false]);
  expect(refusals.counts()).toMatchObject({ turnedAway: { connections: 4 }, refused: { overloaded: 4 } });
  expect(connections.counts().open).toBe(3);
});

test("connections: newcomers that are slow to begin are served beside a table full of idle ones", async () => {
  const limits = { ...LIMITS, connections: 10, handshakes: 8 };
  const { clock, port } = await watchedServer(await greeter("http"), { limits });
  const idle: Client[] = [];
  for (let n = 0; n < 10; n++) idle.push(await idleClient(port));
  clock.pass(2_000);
  const newcomers: Client[] = [];
  for (let n = 1; n <= 6; n++) newcomers.push(await httpClient(port, { localAddress: `127.0.1.${n}` }));
  for (const { socket } of newcomers) socket.write(GET);
  await Promise.all(newcomers.map(({ until }) => until(/hello/u)));
  await Promise.all(idle.slice(0, 6).map(({ closed }) => closed));
  expect(idle.slice(6).map(({ socket }) => socket.destroyed)).toEqual([false, false, false, false]);
});

test("connections: of an address with more in its handshake than any has idle, those give way", async () => {
  const limits = { ...LIMITS, connections: 4 };
  const { connections, clock, port } = await watchedServer(await greeter("http"), { limits });
  const idle = await idleClient(port, "127.0.0.2");
  clock.pass(2_000);
  const silent = await Promise.all([httpClient(port), httpClient(port), httpClient(port)]);
  await eventually(() => expect(connections.counts()).toMatchObject({ handshaking: 3, idle: 1 }));
  await idleClient(port, "127.0.0.3");
  await Promise.race(silent.map(({ closed }) => closed));
  expect(idle.socket.destroyed).toBe(false);
});

test("connections: of old idle ones that of the address with most goes, of young ones only that of one with more", async () => {
  const limits = { ...LIMITS, connections: 4 };
  const { clock, refusals, port } = await watchedServer(await greeter("http"), { limits });
  const alone = await idleClient(port, "127.0.0.2");
  clock.pass(10);
  const many: Client[] = [];
  for (let n = 0; n < 3; n++) many.push(await idleClient(port));
  clock.pass(2_000);
  await idleClient(port, "127.0.0.3");
  await many[0]?.closed;
  // Each is used again, and none has been idle for long.
  for (const { socket, until } of [alone, ...many.slice(1)]) {
    socket.write(GET);
    await until(/hello[^]*hello/u);
  }
  const refused = await httpClient(port);
  await refused.closed;
  expect([refused.text.slice(0, 12), refusals.counts().turnedAway]).toEqual(["HTTP/1.1 503", { connections: 2 }]);
  await idleClient(port, "127.0.0.4");
  await many[1]?.closed;
  expect([alone, many[2]].map((client) => client?.socket.destroyed)).toEqual([false, false]);
});

test("connections: requests do not give way", async () => {
  const { server, later } = choosing();
  const { refusals, clock, port } = await watchedServer(server, { limits: { ...LIMITS, connections: 1 } });
  const busy = await httpClient(port);
  busy.socket.write(GET.replace("/", "/later"));
  const answer = await later.next();
  clock.pass(10_000);
  await (
    await httpClient(port)
  ).closed;
  answer.end("late");
  await busy.until(/late/u);
  expect(refusals.counts().turnedAway).toEqual({ connections: 1 });
});

test("handshakes: the oldest crowd gives way, and a healthy client gets in beside silent ones that come again", async () => {
  const limits = { ...LIMITS, connections: 20, handshakes: 8, acceptsPerSecond: 100_000 };
  const { connections, refusals, port } = await watchedServer(await greeter("http"), { limits, random: Math.random });
  let isOver = false;
  const hostile = Array.from({ length: 40 }, async () => {
    while (!isOver) {
      const socket = net.connect(port, "127.0.0.1");
      socket.on("error", () => {});
      socket.write("GET / HT");
      await new Promise((resolve) => socket.once("close", resolve));
    }
  });
  await eventually(() => expect(refusals.counts().turnedAway["handshakes"]).toBeGreaterThan(50));
  const fromMs = performance.now();
  for (let isServed = false; !isServed;) {
    const client = await httpClient(port);
    client.socket.write(GET);
    isServed = await Promise.race([client.until(/hello/u).then(() => true), client.closed.then(() => false)]);
  }
  expect(performance.now() - fromMs).toBeLessThan(1_000);
  expect(connections.counts().open).toBeLessThanOrEqual(20);
  isOver = true;
  connections.cutOff();
  const ending = setInterval(() => connections.cutOff(), 5);
  await Promise.all(hostile);
  clearInterval(ending);
});

test("connectionsPerAddress: those of others are not counted", async () => {
  const limits = { ...LIMITS, connectionsPerAddress: 1 };
  const { refusals, port } = await watchedServer(await greeter("http"), { limits });
  await idleClient(port);
  await (
    await httpClient(port)
  ).closed;
  expect(refusals.counts().turnedAway).toEqual({ connectionsPerAddress: 1 });
  const other = await httpClient(port, { localAddress: "127.0.0.2" });
  other.socket.write(GET);
  await other.until(/hello/u);
});

test("connectionsPerAddress: clients of a Unix socket have no address, and are not counted as one", async () => {
  const path = join(await mkdtemp(join(tmpdir(), "supervise-")), "socket");
  const limits = { ...LIMITS, connectionsPerAddress: 1 };
  const { connections, refusals } = await watchedServer(await greeter("http"), { limits }, path);
  for (let n = 0; n < 3; n++) {
    const socket = net.connect(path).on("error", () => {});
    onTestFinished(() => void socket.destroy());
  }
  await eventually(() => expect([connections.arrived, refusals.counts().turnedAway]).toEqual([3, {}]));
});

test("a connection that another process has taken is not counted any more", async () => {
  const server = net.createServer({ pauseOnConnect: true });
  const sockets = new Arrivals<net.Socket>();
  server.on("connection", (socket) => sockets.put(socket));
  const limits = { ...LIMITS, connections: 2 };
  const { connections, clock, refusals, port } = await watchedServer(server, { limits });
  const child = fork(new URL("taker.ts", import.meta.url), { execArgv: [] });
  onTestFinished(() => void child.kill());
  const take = async (): Promise<Client> => {
    const client = await httpClient(port);
    child.send("yours", await sockets.next());
    await client.until(/taken/u);
    return client;
  };
  await take();
  await take();
  // At the limit they are looked for.
  await take();
  expect([connections.counts().open, refusals.counts().turnedAway]).toEqual([1, {}]);
  clock.pass(1_000);
  expect(connections.counts().open).toBe(0);
});

test("acceptsPerSecond: what is above is refused, a second later it is not", async () => {
  const { clock, refusals, port } = await watchedServer(await greeter("http"), {
    limits: { ...LIMITS, acceptsPerSecond: 2 },
  });
  const clients = await Promise.all(Array.from({ length: 6 }, () => httpClient(port)));
  await eventually(() => expect(refusals.counts().turnedAway).toEqual({ acceptsPerSecond: 4 }));
  for (const { socket } of clients) socket.destroy();
  clock.pass(2_000);
  await idleClient(port);
});

test("at most a hundred refused connections wait for their clients to read why", async () => {
  const { connections, port } = await watchedServer(await greeter("http"));
  connections.refuseSessions(true);
  const clients = await Promise.all(Array.from({ length: 110 }, () => httpClient(port, { allowHalfOpen: true })));
  await eventually(() => expect(connections.arrived).toBe(110));
  expect(connections.counts()).toMatchObject({ open: 0, lingering: 100 });
  await eventually(() => expect(clients.filter(({ text }) => text.includes("503")).length).toBe(100));
  expect(connections.dropLingering({ most: 40, dryRun: true }).victims).toHaveLength(40);
  expect(connections.dropLingering(ALL).victims).toHaveLength(100);
  await eventually(() => expect(connections.counts().lingering).toBe(0));
  connections.refuseSessions(false);
  await idleClient(port);
});

test("bytes that wait to be written are counted, and a peer that takes none of them for long is hopeless", async () => {
  const server = net.createServer();
  const sockets = new Arrivals<net.Socket>();
  server.on("connection", (socket) => sockets.put(socket.on("error", () => {})));
  const { connections, clock, refusals, port } = await watchedServer(server);
  const stalled = await httpClient(port);
  const stalledAtServer = await sockets.next();
  stalled.socket.pause();
  const slow = await httpClient(port);
  const slowAtServer = await sockets.next();
  slow.socket.pause();
  const bytes = 8_000_000;
  for (const socket of [stalledAtServer, slowAtServer]) socket.write(Buffer.alloc(bytes));
  // Until the kernel has taken as much as it takes at once.
  await new Promise((resolve) => setTimeout(resolve, 50));
  expect(connections.bufferBytes).toBe(2 * bytes);
  clock.pass(10_000);
  // One write is under way still; a part of it goes on.
  const queued = (): number =>
    (slowAtServer as unknown as { _handle: { writeQueueSize: number } })._handle.writeQueueSize;
  const before = queued();
  let read = 0;
  slow.socket.on("data", (chunk: Buffer) => {
    read += chunk.length;
    if (read > 2_000_000) slow.socket.pause();
  });
  slow.socket.resume();
  await eventually(() => expect(queued()).toBeLessThan(before));
  clock.pass(6_100);
  expect(connections.closeHopeless({ most: 5, dryRun: true })).toEqual({ victims: ["127.0.0.1"], bytes });
  expect(connections.counts().open).toBe(2);
  expect(connections.closeHopeless(ALL).victims).toHaveLength(1);
  await eventually(() => expect([stalledAtServer.destroyed, slowAtServer.destroyed]).toEqual([true, false]));
  expect(refusals.counts().rejected).toEqual({ "write-stalled": 1 });
});

test("shed: idle connections first, the longest idle before; then requests, which are answered", async () => {
  const { server, later } = choosing();
  const { connections, clock, port } = await watchedServer(server);
  const idle = await idleClient(port);
  clock.pass(10);
  const younger = await idleClient(port);
  const busy = await httpClient(port);
  busy.socket.write(GET.replace("/", "/later"));
  const answer = await later.next();
  await eventually(() => expect(connections.counts()).toMatchObject({ idle: 2, requests: 1 }));
  // A request may be on its way to them.
  expect(connections.shed({ most: 2, dryRun: true }).victims).toHaveLength(1);
  clock.pass(2_000);
  expect(connections.shed({ most: 2, dryRun: true }).victims).toHaveLength(2);
  expect(connections.counts().open).toBe(3);
  connections.shed({ most: 1, dryRun: false });
  await idle.closed;
  expect(younger.socket.destroyed).toBe(false);
  expect(connections.shed(ALL)).toEqual({ victims: ["127.0.0.1", "127.0.0.1"], bytes: 0 });
  await younger.closed;
  expect(connections.shed(ALL).victims).toEqual([]);
  answer.end("last words");
  await busy.closed;
  expect(busy.text).toMatch(/connection: close[^]*last words/iu);
});

test("an HTTP/2 session without a stream is idle: it gives way, or is asked to leave", async () => {
  const limits = { ...LIMITS, connections: 2 };
  const server = await greeter("http2");
  const { connections, clock, port } = await watchedServer(server, { limits });
  const sessions = [http2.connect(`http://127.0.0.1:${port}`), http2.connect(`http://127.0.0.1:${port}`)] as const;
  for (const session of sessions) {
    onTestFinished(() => session.destroy());
    session.on("error", () => {});
    expect(await textOf(session.request())).toBe("hello");
    clock.pass(10);
  }
  await eventually(() => expect(connections.counts()).toMatchObject({ idle: 2, requests: 0 }));
  clock.pass(2_000);
  const closed = sessions.map((session) => new Promise((resolve) => session.once("close", resolve)));
  const next = await httpClient(port);
  await closed[0];
  expect(sessions[1].destroyed).toBe(false);
  next.socket.destroy();
  await eventually(() => expect(connections.counts().open).toBe(1));
  const goaway = once(sessions[1], "goaway");
  expect(connections.shed(ALL).victims).toHaveLength(1);
  expect((await goaway)[0]).toBe(0);
  expect(connections.shed(ALL).victims).toEqual([]);
  clock.pass(1_000);
  await closed[1];
});

test("shed: of connections that cannot be asked the biggest is closed", async () => {
  const server = net.createServer();
  const sockets = new Arrivals<net.Socket>();
  server.on("connection", (socket) => sockets.put(socket.on("error", () => {})));
  const { connections, port } = await watchedServer(server);
  await httpClient(port);
  const small = await sockets.next();
  const big = await httpClient(port);
  big.socket.pause();
  // More than the kernel takes: it has buffers of some megabytes at either end.
  (await sockets.next()).write(Buffer.alloc(40_000_000));
  expect(connections.shed({ most: 1, dryRun: false })).toEqual({ victims: ["127.0.0.1"], bytes: 40_000_000 });
  await eventually(() => expect(connections.counts().open).toBe(1));
  expect(small.destroyed).toBe(false);
});

test("drain: idle connections are closed after two seconds without a byte", async () => {
  const { connections, clock, port } = await watchedServer(await greeter("http"));
  const idle = await idleClient(port);
  const silent = await httpClient(port);
  await eventually(() => expect(connections.counts()).toMatchObject({ idle: 1, handshaking: 1 }));
  clock.pass(60_000 - 10_000);
  connections.drain(0);
  clock.pass(1_900);
  // A request that comes bit by bit is no silence.
  silent.socket.write("GET / HTTP/1.1\r\n");
  await new Promise((resolve) => setTimeout(resolve, 30));
  clock.pass(1_000);
  await idle.closed;
  expect(silent.socket.destroyed).toBe(false);
  const empty = connections.empty();
  silent.socket.write("Host: test\r\n\r\n");
  await silent.closed;
  expect(silent.text).toMatch(/connection: close[^]*hello/iu);
  await empty;
});
