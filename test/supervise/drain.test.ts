import dns from "node:dns";
import { once } from "node:events";
import http from "node:http";
import http2 from "node:http2";
import net from "node:net";
import type { Duplex } from "node:stream";
import tls from "node:tls";
import { expect, onTestFinished, test, vi } from "vitest";
import { supervise } from "../../src/index.ts";
import { Arrivals, certificate, eventually, logKeeper, refusal } from "../support.ts";
import { GET, greeter, httpClient, listening, supervisedServer, textOf, watchedServer } from "./servers.ts";

/** An HTTP server whose requests wait to be answered by the test. */
function answering(): { server: http.Server; requests: Arrivals<http.ServerResponse> } {
  const requests = new Arrivals<http.ServerResponse>();
  return { requests, server: http.createServer((_, response) => requests.put(response)) };
}

test("clients that keep their connections and pause 0 to 40 ms lose no request", async () => {
  const server = http.createServer((_, response) => void setTimeout(() => response.end("hello"), 2));
  const { supervised, port } = await supervisedServer(server);
  const agent = new http.Agent({ keepAlive: true });
  onTestFinished(() => agent.destroy());
  let closed = 0;
  const get = async (): Promise<boolean> => {
    const request = http.get({ port, host: "127.0.0.1", agent });
    try {
      const [response] = (await once(request, "response")) as [http.IncomingMessage];
      expect(await textOf(response)).toBe("hello");
      return true;
    } catch (error) {
      // A new connection is refused by the system: the request was never sent.
      expect((error as NodeJS.ErrnoException).code).toBe("ECONNREFUSED");
      closed++;
      return false;
    }
  };
  const clients = 30;
  await Promise.all(Array.from({ length: clients }, get));
  const going = Array.from({ length: clients }, async (_, n) => {
    while (await get()) await new Promise((resolve) => setTimeout(resolve, (n * 40) / clients));
  });
  const report = await supervised.close({ deadlineMs: 9_000 });
  await Promise.all(going);
  expect([report.left, closed]).toEqual([0, clients]);
  // Nothing had to be waited for.
  expect(report.ms).toBeLessThan(2_000);
});

test("an answer under way says that the connection closes, and so does the answer of a request that comes later", async () => {
  const { server, requests } = answering();
  const { supervised, port } = await supervisedServer(server);
  const first = await httpClient(port);
  const second = await httpClient(port);
  first.socket.write(GET);
  const firstAnswer = await requests.next();
  second.socket.write(GET);
  const secondAnswer = await requests.next();
  secondAnswer.writeHead(200, { "content-length": 5 }).flushHeaders();
  await second.until(/\r\n\r\n/u);
  const closing = supervised.close();
  await eventually(() => expect(server.listening).toBe(false));
  firstAnswer.end("hello");
  await first.closed;
  expect(first.text).toMatch(/\r\nconnection: close\r\n[^]*hello/iu);
  // Its head was sent before: only the next answer can say so.
  secondAnswer.end("hello");
  await second.until(/hello/u);
  second.socket.write(GET);
  (await requests.next()).end("again");
  await second.closed;
  expect(second.text.match(/connection: close/giu)).toHaveLength(1);
  expect(second.text).toMatch(/again/u);
  expect(await closing).toMatchObject({ left: 0 });
});

test("a client that pipelines gets all of its answers", async () => {
  const { server, requests } = answering();
  const { supervised, port } = await supervisedServer(server);
  const client = await httpClient(port);
  client.socket.write(GET);
  const first = await requests.next();
  const closing = supervised.close();
  await eventually(() => expect(server.listening).toBe(false));
  client.socket.write(GET + GET);
  const second = await requests.next();
  const third = await requests.next();
  third.end("three");
  second.end("two");
  first.end("one");
  await client.closed;
  expect(client.text).toMatch(/one[^]*two[^]*three/u);
  expect(client.text.match(/connection: close/giu)).toHaveLength(1);
  expect(await closing).toMatchObject({ left: 0 });
});

test("an answer that comes before its request has come completely reaches its client, and the next one says close", async () => {
  const { server, requests } = answering();
  const { supervised, port } = await supervisedServer(server);
  const client = await httpClient(port);
  client.socket.write("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhello");
  const early = await requests.next();
  const closing = supervised.close();
  await eventually(() => expect(server.listening).toBe(false));
  early.end("too much");
  await client.until(/too much/u);
  client.socket.write("hello");
  client.socket.write(GET);
  (await requests.next()).end("again");
  await client.closed;
  expect(client.text).toMatch(/connection: keep-alive[^]*too much[^]*connection: close[^]*again/iu);
  expect(await closing).toMatchObject({ left: 0 });
});

test("a handler that wants to keep the connection does not, and its own header is there", async () => {
  const { server, requests } = answering();
  const { supervised, port } = await supervisedServer(server);
  const client = await httpClient(port);
  client.socket.write(GET);
  const answer = await requests.next();
  const closing = supervised.close();
  await eventually(() => expect(server.listening).toBe(false));
  answer.setHeader("Connection", "keep-alive, X-Hop");
  answer.end("hello");
  await client.closed;
  expect(client.text).toMatch(/^connection: X-Hop, close\r$/imu);
  expect(await closing).toMatchObject({ left: 0 });
});

test("at the deadline requests are cut off, and counted; idle connections are not", async () => {
  const { server, requests } = answering();
  const { supervised, port } = await supervisedServer(server);
  const [busy, idle] = [await httpClient(port), await httpClient(port)];
  busy.socket.write(GET);
  await requests.next();
  const { left, ms } = await supervised.close({ deadlineMs: 30 });
  expect(left).toBe(1);
  expect(ms).toBeGreaterThanOrEqual(29);
  await Promise.all([busy.closed, idle.closed]);
});

test("a signal ends the wait", async () => {
  const { server, requests } = answering();
  const { supervised, port } = await supervisedServer(server);
  const client = await httpClient(port);
  client.socket.write(GET);
  await requests.next();
  const abort = new AbortController();
  const closing = supervised.close({ deadlineMs: Infinity, signal: abort.signal });
  abort.abort();
  expect(await closing).toMatchObject({ left: 1 });
});

test("readyDelayMs: not ready, and still accepting and keeping connections", async () => {
  const server = await greeter("http");
  const { supervised, port } = await supervisedServer(server);
  const closing = supervised.close({ readyDelayMs: 400, deadlineMs: 500 });
  expect(supervised.health().status).toBe("down");
  await new Promise((resolve) => setTimeout(resolve, 100));
  expect(server.listening).toBe(true);
  const client = await httpClient(port);
  client.socket.write(GET);
  await client.until(/hello/u);
  expect(client.text).toMatch(/connection: keep-alive/iu);
  expect(await closing).toMatchObject({ left: 0 });
  expect(refusal(() => supervised.close({ readyDelayMs: 6_000 })).option).toMatchObject({
    name: "readyDelayMs",
    allowed: "at most deadlineMs, which is 5000",
  });
});

test("connections that wait to be accepted are answered", async () => {
  const { supervised, port } = await supervisedServer(await greeter("http"));
  const connecting = Array.from({ length: 20 }, () => httpClient(port));
  // The kernel has completed their handshakes; Node accepts one in each turn.
  const clients = await Promise.all(connecting);
  const closing = supervised.close({ deadlineMs: 1_000 });
  await Promise.all(
    clients.map(async ({ socket, until }) => {
      socket.write(GET);
      await until(/hello/u);
      socket.destroy();
    }),
  );
  expect(await closing).toMatchObject({ left: 0 });
});

test.each(["http2", "http2 with TLS"] as const)("%s: streams finish, and the session is told before", async (kind) => {
  const server = await greeter(kind);
  server.removeAllListeners("request");
  const streams = new Arrivals<http2.ServerHttp2Stream>();
  server.on("stream", (stream: http2.ServerHttp2Stream) => {
    stream.respond();
    stream.write("begun ");
    streams.put(stream);
  });
  const { supervised, port } = await supervisedServer(server);
  const origin = `${kind === "http2" ? "http" : "https"}://127.0.0.1:${port}`;
  const session = http2.connect(origin, { rejectUnauthorized: false });
  onTestFinished(() => session.destroy());
  const goaways: number[] = [];
  session.on("goaway", (_, lastStreamId) => goaways.push(lastStreamId));
  const ended = once(session, "close");
  const text = textOf(session.request());
  const stream = await streams.next();
  const closing = supervised.close();
  await eventually(() => expect(goaways).toHaveLength(2));
  expect(goaways[0]).toBe(2 ** 31 - 1);
  expect(supervised.stats().requests.open).toBe(1);
  stream.end("done");
  expect(await text).toBe("begun done");
  await ended;
  expect(await closing).toMatchObject({ left: 0 });
});

test("an upgraded connection goes on, and is closed at the deadline", async () => {
  const server = http.createServer();
  const upgraded = new Arrivals<Duplex>();
  server.on("upgrade", (_, socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
    socket.pipe(socket);
    upgraded.put(socket);
  });
  const { supervised, port } = await supervisedServer(server);
  const client = await httpClient(port);
  client.socket.write("GET / HTTP/1.1\r\nHost: test\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n");
  await upgraded.next();
  expect(supervised.stats().connections).toMatchObject({ open: 1, opaque: 1, idle: 0 });
  const closing = supervised.close({ deadlineMs: 200 });
  await eventually(() => expect(server.listening).toBe(false));
  client.socket.write("still here");
  await client.until(/still here/u);
  expect(await closing).toMatchObject({ left: 1 });
  await client.closed;
});

test("onDrain ends the connections of a protocol that only the application knows", async () => {
  const { lines, logger } = logKeeper();
  const [good, bad] = [net.createServer(), net.createServer()];
  const told: Duplex[] = [];
  const onDrain = (socket: Duplex): void => {
    told.push(socket);
    socket.end("goodbye");
  };
  // Nobody else handles the rejection, which would end the process.
  const throws = vi
    .fn<() => Promise<never>>()
    .mockImplementationOnce(() => {
      throw new Error("no goodbye");
    })
    .mockRejectedValueOnce(new Error("no goodbye later"));
  const { supervised, port } = await supervisedServer(good, { onDrain });
  const client = await httpClient(port);
  await eventually(() => expect(supervised.stats().connections.opaque).toBe(1));
  const other = await supervisedServer(bad, { onDrain: throws, logger });
  await Promise.all([httpClient(other.port), httpClient(other.port)]);
  await eventually(() => expect(other.supervised.stats().connections.opaque).toBe(2));
  expect(await supervised.close()).toMatchObject({ left: 0 });
  expect([told.length, client.text]).toEqual([1, "goodbye"]);
  expect(await other.supervised.close({ deadlineMs: 30 })).toMatchObject({ left: 2 });
  for (const detail of ["no goodbye", "no goodbye later"]) {
    expect(lines).toContainEqual(expect.objectContaining({ event: "server.hook-failed", hook: "onDrain", detail }));
  }
});

test("connections from before the supervision are counted as left, and closed where the server can", async () => {
  const { server, requests } = answering();
  const port = await listening(server);
  const client = await httpClient(port);
  client.socket.write(GET);
  (await requests.next()).end("hello");
  await client.until(/hello/u);
  const supervised = supervise(server);
  expect(supervised.stats().connections.open).toBe(0);
  expect(await supervised.close({ deadlineMs: 20 })).toMatchObject({ left: 1 });
  await client.closed;
});

test.each([
  ["http", "GET / HTTP/1.1\r\nHo", 1],
  ["http", "", 0],
  ["https", "GET / HTTP/1.1\r\nHo", 1],
  ["https", "", 0],
] as const)("%s: what has come of a first request (%j) is counted as left", async (kind, head, left) => {
  const { supervised, port } = await supervisedServer(await greeter(kind));
  const isSecure = kind === "https";
  const client = isSecure ? tls.connect({ port, rejectUnauthorized: false }) : net.connect(port);
  client.on("error", () => {});
  onTestFinished(() => void client.destroy());
  await once(client, isSecure ? "secureConnect" : "connect");
  if (head !== "") client.write(head);
  await eventually(() => expect(supervised.stats().connections.handshaking).toBe(1));
  expect(await supervised.close({ deadlineMs: 100 })).toMatchObject({ left });
});

test.each(["http", "https"] as const)("%s: what has come of a later request is counted as left", async (kind) => {
  const { supervised, port } = await supervisedServer(await greeter(kind));
  const isSecure = kind === "https";
  const [client, silent] = Array.from({ length: 2 }, () =>
    isSecure ? tls.connect({ port, rejectUnauthorized: false }) : net.connect(port),
  ) as [net.Socket, net.Socket];
  for (const socket of [client, silent]) {
    socket.on("error", () => {});
    onTestFinished(() => void socket.destroy());
    socket.write(GET);
    await once(socket, "data");
  }
  await eventually(() => expect(supervised.stats().connections.idle).toBe(2));
  client.write("GET / HTTP/1.1\r\nHo");
  expect(await supervised.close({ deadlineMs: 100 })).toMatchObject({ left: 1 });
});

test("the rest of a request that was answered early is no next request", async () => {
  const { server, requests } = answering();
  const { connections, port } = await watchedServer(server);
  const client = await httpClient(port);
  client.socket.write("POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 10\r\n\r\nhello");
  (await requests.next()).end("too much");
  await client.until(/too much/u);
  const begun = (): boolean[] => Array.from(connections.open, ({ isIdle, hasBegun }) => isIdle && hasBegun);
  client.socket.write("hel");
  await eventually(() => expect(begun()).toEqual([true]));
  client.socket.write("lo");
  await eventually(() => expect(begun()).toEqual([false]));
});

test("an HTTP/2 session without a stream is nothing that is left", async () => {
  const { supervised, port } = await supervisedServer(await greeter("http2"));
  // A client that does not answer the GOAWAY.
  const client = await httpClient(port);
  client.socket.write("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0");
  await eventually(() => expect(client.text).not.toBe(""));
  expect(await supervised.close({ deadlineMs: 100 })).toMatchObject({ left: 0 });
});

test("a server that looks its host up when it is closed does not listen later", async () => {
  let found = (): void => {};
  const lookup = vi.spyOn(dns, "lookup").mockImplementation((...args: unknown[]) => {
    found = () => (args.at(-1) as (...answer: unknown[]) => void)(null, "127.0.0.1", 4);
  });
  onTestFinished(() => lookup.mockRestore());
  const server = await greeter("http");
  const supervised = supervise(server);
  onTestFinished(() => void server.close());
  server.listen(0, "localhost");
  expect(await supervised.close()).toMatchObject({ left: 0 });
  expect(lookup).toHaveBeenCalledOnce();
  found();
  expect(server.listening).toBe(false);
});

test.each([
  ["throws", () => expect.unreachable()],
  ["rejects", () => Promise.reject(new Error("not closed"))],
  ["does nothing", () => {}],
])("a close() of the application's that %s does not keep the listener open", async (_, close) => {
  const server = await greeter("http");
  const { supervised } = await supervisedServer(server);
  server.close = close as unknown as typeof server.close;
  const { left, ms } = await supervised.close();
  Reflect.deleteProperty(server, "close");
  expect([left, server.listening]).toEqual([0, false]);
  expect(ms).toBeLessThan(4_000);
});

test("an HTTP/2 server that also speaks HTTP/1 has no timer left", async () => {
  const server = http2.createSecureServer({ ...(await certificate()), allowHTTP1: true });
  const { supervised } = await supervisedServer(server);
  await supervised.close();
  const name = Object.getOwnPropertySymbols(server).find(({ description }) =>
    description?.endsWith("connectionsCheckingInterval"),
  );
  const { [name as symbol]: timer } = server as unknown as Record<symbol, { _destroyed: boolean }>;
  expect(timer?._destroyed).toBe(true);
});
