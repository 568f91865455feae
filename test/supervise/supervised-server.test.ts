import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import { duplexPair } from "node:stream";
import tls from "node:tls";
import { describe, expect, test } from "vitest";
import { supervise } from "../../src/index.ts";
import { certificate, eventually, logKeeper, refusal } from "../support.ts";
import { GET, greeted, greeter, httpClient, KINDS, listening, supervisedServer } from "./servers.ts";

describe.each(KINDS)("%s", (kind) => {
  const isHttp = kind.startsWith("http");

  test("is served as before, counted, and closed in order", async () => {
    const { supervised, port } = await supervisedServer(await greeter(kind));
    expect(supervised.health()).toEqual({ status: "healthy", reasons: [] });
    const client: { close?: () => void } = {};
    expect(await greeted(kind, port, client)).toBe("hello");
    await eventually(() =>
      expect(supervised.stats()).toMatchObject({
        state: "open",
        connections: { open: 1, handshaking: 0, idle: isHttp ? 1 : 0, opaque: isHttp ? 0 : 1, total: 1 },
        requests: { open: 0, total: isHttp ? 1 : 0 },
        turnedAway: {},
        refusedFor: {},
        rejected: {},
        shed: {},
        bufferBytes: 0,
      }),
    );
    client.close?.();
    await eventually(() => expect(supervised.stats().connections).toMatchObject({ open: 0, total: 1 }));
    expect(await supervised.close()).toMatchObject({ left: 0 });
    expect(supervised.stats().state).toBe("closed");
  });

  test("a connection that is above the limit is closed", async () => {
    const { supervised, port } = await supervisedServer(await greeter(kind), { limits: { connectionsPerAddress: 1 } });
    const client: { close?: () => void } = {};
    await greeted(kind, port, client);
    if (kind === "net") {
      await expect(reset(port)).resolves.toBe("ECONNRESET");
    } else {
      const second = await httpClient(port);
      await second.closed;
      expect(second.text.startsWith("HTTP/1.1 503 ")).toBe(kind === "http");
    }
    expect(supervised.stats()).toMatchObject({ turnedAway: { connectionsPerAddress: 1 }, refused: { overloaded: 1 } });
    expect(supervised.health()).toMatchObject({ status: "degraded" });
    client.close?.();
  });
});

test("a connection of a net server that is cut off at the deadline is reset: an end would say that it was whole", async () => {
  const { supervised, port } = await supervisedServer(net.createServer((socket) => socket.write("the first half")));
  const socket = net.connect(port, "127.0.0.1");
  const failed = once(socket, "error");
  await once(socket, "data");
  expect(await supervised.close({ deadlineMs: 0 })).toMatchObject({ left: 1 });
  await expect(failed).resolves.toMatchObject([{ code: "ECONNRESET" }]);
});

test("health: down before it listens and from close() on; a listener may be there before", async () => {
  const server = http.createServer();
  const supervised = supervise(server);
  expect(supervised.health()).toEqual({ status: "down", reasons: ["the server does not listen"] });
  await listening(server);
  expect(supervised.health()).toEqual({ status: "healthy", reasons: [] });
  const closing = supervised.close();
  expect(supervised.health()).toEqual({ status: "down", reasons: ["the server is draining"] });
  expect(supervised.close()).toBe(closing);
  await closing;
  expect(supervised.health()).toEqual({ status: "down", reasons: ["the server is closed"] });

  const other = net.createServer();
  await listening(other);
  await using early = supervise(other);
  expect(early.health().status).toBe("healthy");
});

test("a server is supervised once at a time, and must be one", async () => {
  const server = net.createServer();
  const supervised = supervise(server);
  expect(refusal(() => supervise(server)).code).toBe("INVALID_STATE");
  await supervised.close();
  await supervise(server).close();
  expect(refusal(() => supervise({} as net.Server)).code).toBe("INVALID_ARGUMENT");
  expect(refusal(() => supervise(net.createServer(), { limit: {} } as object)).code).toBe("INVALID_OPTION");
});

test("the server keeps its errors, its listeners and its emit()", async () => {
  const first = net.createServer();
  const port = await listening(first);
  const server = net.createServer();
  const { emit } = server;
  const supervised = supervise(server);
  server.listen(port, "127.0.0.1");
  const [error] = (await once(server, "error")) as [NodeJS.ErrnoException];
  expect(error.code).toBe("EADDRINUSE");
  expect(server.eventNames()).toEqual([]);
  await supervised.close();
  expect(server.emit).toBe(emit);
  expect(Object.hasOwn(server, "emit")).toBe(false);
});

test("the handshake of TLS has its time", async () => {
  const server = https.createServer(await certificate(), (_, response) => void response.end("hello"));
  const { supervised, port } = await supervisedServer(server, { timeouts: { handshakeMs: 40 } });
  const silent = await httpClient(port);
  const secured = tls.connect({ port, host: "127.0.0.1", rejectUnauthorized: false });
  secured.on("error", () => {});
  await Promise.all([silent.closed, once(secured, "close")]);
  expect(supervised.stats().rejected).toEqual({ "handshake timed out": 2 });
});

test("a stream from elsewhere that speaks TLS is counted", async () => {
  const server = await greeter("tls");
  const { supervised } = await supervisedServer(server);
  const [ours, theirs] = duplexPair();
  server.emit("connection", ours);
  const client = tls.connect({ socket: theirs, rejectUnauthorized: false });
  client.write("hi");
  const [chunk] = (await once(client, "data")) as [Buffer];
  expect(String(chunk)).toBe("hello");
  expect(supervised.stats().connections).toMatchObject({ open: 1, handshaking: 0, opaque: 1 });
  ours.destroy();
  await eventually(() => expect(supervised.stats().connections.open).toBe(0));
});

test("a refused HTTP client is told when to come back", async () => {
  const { supervised, port } = await supervisedServer(await greeter("http"), { limits: { connectionsPerAddress: 1 } });
  await httpClient(port);
  const refused = await httpClient(port);
  refused.socket.write(GET);
  await refused.closed;
  expect(refused.text).toMatch(/^HTTP\/1.1 503 Service Unavailable\r\nRetry-After: 1\r\nConnection: close\r\n/u);
  expect(supervised.stats().requests.total).toBe(0);
});

test("lines and metrics", async () => {
  const { lines, logger } = logKeeper();
  const { supervised, port } = await supervisedServer(await greeter("http"), { logger, metricsIntervalMs: 5 });
  expect(await greeted("http", port)).toBe("hello");
  await eventually(() =>
    expect(lines).toContainEqual(
      expect.objectContaining({ event: "supervised.metrics", level: "info", connections: 1, idle: 1, requests: 0 }),
    ),
  );
  await supervised.close({ deadlineMs: 10 });
  expect(lines.filter(({ event }) => event === "server.state")).toMatchObject([
    { from: "listening", to: "draining", reason: "close() was called" },
    { from: "draining", to: "closed", reason: "closed" },
  ]);
});

test("a request that a handler of checkContinue emits again is one request", async () => {
  const server = http.createServer((_, response) => void response.end("hello"));
  server.on("checkContinue", (request, response) => {
    response.writeContinue();
    server.emit("request", request, response);
  });
  const { supervised, port } = await supervisedServer(server);
  const client = await httpClient(port);
  client.socket.write(GET.replace("\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n"));
  await client.until(/hello/u);
  await eventually(() => expect(supervised.stats().requests).toEqual({ open: 0, total: 1 }));
});

test("a TLS handshake that gives way is no tlsClientError; one that fails is", async () => {
  const server = await greeter("https");
  const errors: string[] = [];
  server.on("tlsClientError", (error: NodeJS.ErrnoException) => errors.push(error.code ?? ""));
  const { supervised, port } = await supervisedServer(server, { limits: { handshakes: 1 } });
  const silent = [await httpClient(port), await httpClient(port)] as const;
  await silent[0].closed;
  const failing = await httpClient(port);
  await silent[1].closed;
  failing.socket.write("no TLS at all");
  await failing.closed;
  expect(supervised.stats().turnedAway).toEqual({ handshakes: 2 });
  await eventually(() => expect(errors).toEqual([expect.stringMatching(/SSL/u)]));
});

/** The error with which a connection fails that is not let in: while it is made, or afterwards. */
async function reset(port: number): Promise<string | undefined> {
  const [error] = (await once(net.connect(port, "127.0.0.1").resume(), "error")) as [NodeJS.ErrnoException];
  return error.code;
}
