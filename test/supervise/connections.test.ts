/** Connections on real sockets, with time that passes when it is told to. */
import { fork } from "node:child_process";
import { mkdtemp } from "node:fs/promises";
import http2 from "node:http2";
import net from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Arrivals, eventually } from "../support.ts";
import { choosing, GET, greeter, type HttpClient, httpClient, idleClient, textOf, watchedServer } from "./servers.ts";

const LIMITS = { connections: 100, connectionsPerAddress: Infinity, handshakes: 50, acceptsPerSecond: 1_000 };

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
  const idle: HttpClient[] = [];
  for (let n = 0; n < 10; n++) idle.push(await idleClient(port));
  clock.pass(2_000);
  const newcomers: HttpClient[] = [];
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
  const many: HttpClient[] = [];
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
  const take = async (): Promise<HttpClient> => {
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

test("connections: an HTTP/2 session without a stream is idle, and gives way", async () => {
  const limits = { ...LIMITS, connections: 2 };
  const { connections, clock, port } = await watchedServer(await greeter("http2"), { limits });
  const sessions = [http2.connect(`http://127.0.0.1:${port}`), http2.connect(`http://127.0.0.1:${port}`)] as const;
  for (const session of sessions) {
    onTestFinished(() => session.destroy());
    session.on("error", () => {});
    expect(await textOf(session.request())).toBe("hello");
    clock.pass(10);
  }
  await eventually(() => expect(connections.counts()).toMatchObject({ idle: 2, requests: 0 }));
  clock.pass(2_000);
  const closed = new Promise((resolve) => sessions[0].once("close", resolve));
  await httpClient(port);
  await closed;
  expect(sessions[1].destroyed).toBe(false);
});

test.each(["http2", "http2 with TLS"] as const)("%s: a session without any request is no handshake", async (kind) => {
  const { connections, clock, port } = await watchedServer(await greeter(kind));
  const origin = `${kind === "http2" ? "http" : "https"}://127.0.0.1:${port}`;
  const session = http2.connect(origin, { rejectUnauthorized: false });
  onTestFinished(() => session.destroy());
  await eventually(() => expect(connections.counts()).toMatchObject({ open: 1, handshaking: 0, idle: 1 }));
  // So it may give way to others.
  expect(connections.door.idle.size).toBe(1);
  clock.pass(61_000);
  expect(await textOf(session.request())).toBe("hello");
  expect(connections.counts().open).toBe(1);
});

test("an empty line behind a request begins no other", async () => {
  const { connections, port } = await watchedServer(await greeter("http"));
  const client = await idleClient(port);
  await eventually(() => expect(connections.counts().idle).toBe(1));
  const [connection] = connections.open;
  expect(connection?.quietMs(0)).toBe(0);
  client.socket.write("\r\n");
  // It has come.
  await eventually(() => expect(connection?.quietMs(5)).toBe(0));
  expect(connection?.hasBegun).toBe(false);
  client.socket.write("GET");
  await eventually(() => expect(connection?.hasBegun).toBe(true));
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
