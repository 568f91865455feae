import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import { Gauge, Registry } from "prom-client";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { type Monitor, monitor, type MonitorOptions, RespliceError } from "../../src/index.ts";
import * as registry from "../../src/monitor/prometheus.ts";
import { claimPort } from "../../src/testing/port-claim.ts";
import { echo, eventually, logKeeper, manage, serve } from "../support.ts";
import { parse } from "./prometheus-text.ts";

function watch(options: Partial<MonitorOptions> = {}): Monitor {
  const watched = monitor({ port: 0, sources: [manage()], ...options });
  onTestFinished(() => void watched.close());
  return watched;
}

interface Got {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: string;
}

async function get(port: number, path: string, options: http.RequestOptions = {}): Promise<Got> {
  const request = http.request({ host: "127.0.0.1", port, path, agent: false, ...options }).end();
  const [response] = (await once(request, "response")) as [http.IncomingMessage];
  let body = "";
  for await (const chunk of response) body += String(chunk);
  return { status: response.statusCode ?? 0, headers: response.headers, body };
}

/** The bytes that the server answers until it closes. */
async function raw(port: number, request: string): Promise<string> {
  const socket = net.connect(port, "127.0.0.1");
  let answer = "";
  socket.on("data", (chunk) => {
    answer += String(chunk);
  });
  // A reset ends the answer, too.
  socket.on("error", () => {});
  socket.write(request);
  await once(socket, "close");
  return answer;
}

/** A registry whose only metric is collected when `release` is called; `asked` resolves when it is asked for. */
function slowMetric() {
  const register = new Registry();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  const { promise: asked, resolve: begun } = Promise.withResolvers<void>();
  const mine = new Gauge({
    name: "mine",
    help: "slow",
    registers: [register],
    collect: async () => {
      begun();
      await released;
      mine.set(1);
    },
  });
  return { register, asked, release };
}

test("keeps no process alive, nor does a connection to it", async () => {
  const listeners = vi.spyOn(net.Server.prototype, "unref");
  const sockets = vi.spyOn(net.Socket.prototype, "unref");
  const { register, asked, release } = slowMetric();
  const { port } = await watch({ register }).listening();
  const answer = get(port, "/metrics");
  await asked;
  const ports = (listeners.mock.contexts as net.Server[]).map((server) => (server.address() as net.AddressInfo)?.port);
  expect(ports).toContain(port);
  expect((sockets.mock.contexts as net.Socket[]).map(({ localPort }) => localPort)).toContain(port);
  release();
  await answer;
});

describe("answers", () => {
  test("health, readiness and metrics, on loopback; one request for each connection", async () => {
    const { supervisor } = await serve();
    const watched = watch({ sources: [supervisor] });
    const { host, port } = await watched.listening();
    expect([host, watched.address]).toEqual(["127.0.0.1", { host, port }]);
    const ready = await get(port, "/readyz", { headers: { connection: "keep-alive" } });
    expect([ready.status, ready.headers.connection, JSON.parse(ready.body)]).toEqual([
      200,
      "close",
      { status: "healthy", sources: [{ kind: "server", status: "healthy", reasons: [] }] },
    ]);
    const metrics = await get(port, "/metrics");
    expect([metrics.status, metrics.headers["content-type"]]).toEqual([200, Registry.PROMETHEUS_CONTENT_TYPE]);
    expect(parse(metrics.body).size).toBeGreaterThan(20);
    const head = await get(port, "/metrics", { method: "HEAD" });
    expect([head.status, head.body, Number(head.headers["content-length"]) > 1_000]).toEqual([200, "", true]);
    const twice = await raw(port, "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".repeat(2));
    expect(twice.match(/HTTP\/1.1 \d+/gu)).toEqual(["HTTP/1.1 200"]);
  });

  test("requests of a page under a stranger's name are refused, also with two names, or none", async () => {
    const { port } = await watch().listening();
    expect((await get(port, "/metrics", { headers: { host: `evil.example:${port}` } })).status).toBe(403);
    const two = `GET /metrics HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\nConnection: close\r\n\r\n`;
    expect(await raw(port, two)).toMatch(/^HTTP\/1.1 (403|400)/u);
    expect(await raw(port, "GET /metrics HTTP/1.0\r\n\r\n")).toMatch(/^HTTP\/1.1 403/u);
    const named = await watch({ allowedHosts: ["metrics.internal"] }).listening();
    expect((await get(named.port, "/healthz", { headers: { host: "metrics.internal" } })).status).toBe(200);
  });

  test("a request with a large header, and one that is none, are refused", async () => {
    const { port } = await watch().listening();
    const large = `GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: ${"x".repeat(9_000)}\r\n\r\n`;
    expect(await raw(port, large)).toMatch(/^HTTP\/1.1 431/u);
    expect(await raw(port, "\u0000\u0001\r\n\r\n")).toMatch(/^HTTP\/1.1 400/u);
    expect((await get(port, "/healthz")).status).toBe(200);
  });

  test("silent connections keep nobody out: the oldest gives way", async () => {
    const { port } = await watch().listening();
    const silent = Array.from({ length: 40 }, () => net.connect(port, "127.0.0.1").on("error", () => {}));
    onTestFinished(() => silent.forEach((socket) => void socket.destroy()));
    const closed = vi.fn<() => void>();
    for (const socket of silent) socket.on("close", closed).resume();
    expect((await get(port, "/healthz")).status).toBe(200);
    await eventually(() => expect(closed.mock.calls.length).toBeGreaterThanOrEqual(8));
    expect(closed.mock.calls.length).toBeLessThan(20);
  });

  test("metrics of the application's are there, too; one that throws costs its request only", async () => {
    const { lines, logger } = logKeeper();
    const register = new Registry();
    let fails = false;
    const mine = new Gauge({
      name: "mine",
      help: "of the application",
      registers: [register],
      collect: () => {
        if (fails) throw new Error("secret");
        mine.set(7);
      },
    });
    const { port } = await watch({ register, logger }).listening();
    expect((await get(port, "/metrics")).body).toMatch(/\nmine 7\n[^]*\nresplice_links\{/u);
    fails = true;
    const failed = await get(port, "/metrics");
    expect([failed.status, failed.body]).toEqual([503, "metrics cannot be read: the log says why\n"]);
    expect(lines.at(-1)).toMatchObject({ event: "monitor.metrics-failed", level: "error", err: { message: "secret" } });
    fails = false;
    expect((await get(port, "/metrics")).status).toBe(200);
  });
});

test("without prom-client /metrics says what to do, and the probes are answered", async () => {
  const missing = vi.spyOn(registry, "prometheus").mockImplementation(() =>
    registry.newRegistry(() => {
      throw new Error("Cannot find module 'prom-client'");
    }),
  );
  onTestFinished(() => missing.mockRestore());
  const { port } = await watch().listening();
  const { status, body } = await get(port, "/metrics");
  expect([status, body]).toEqual([501, expect.stringContaining("npm install prom-client")]);
  expect((await get(port, "/readyz")).status).toBe(200);
});

describe("a port in use", () => {
  test("ends nothing: it is told, and tried again until it is free", async () => {
    const { lines, logger } = logKeeper();
    const { supervisor } = await serve({}, echo);
    const claim = await claimPort();
    const blocker = net.createServer().listen(claim.port, "127.0.0.1");
    await once(blocker, "listening");
    const watched = watch({ port: claim.port, sources: [supervisor], logger });
    const errors: RespliceError[] = [];
    watched.on("listenError", ({ error }) => errors.push(error));
    const listening = watched.listening();
    await eventually(() => expect(errors.length).toBeGreaterThan(1));
    expect([watched.address, supervisor.state, errors[0]?.code]).toEqual([undefined, "listening", "LISTEN_FAILED"]);
    expect(lines[0]).toMatchObject({
      event: "monitor.listen-failed",
      level: "error",
      code: "LISTEN_FAILED",
      message: expect.stringContaining(`127.0.0.1:${claim.port}: another process listens there`) as string,
      nextTryMs: expect.any(Number) as number,
    });
    blocker.close();
    expect(await listening).toEqual({ host: "127.0.0.1", port: claim.port });
    expect((await get(claim.port, "/readyz")).status).toBe(200);
    expect(lines.at(-1)).toMatchObject({ event: "monitor.listening", port: claim.port, level: "info" });
  });

  test("without a logger it is a process warning; a monitor that is closed meanwhile tries no more", async () => {
    const warn = vi.spyOn(process, "emitWarning").mockImplementation(() => {});
    onTestFinished(() => warn.mockRestore());
    // This process may have been warned by another test.
    vi.resetModules();
    const fresh = { ...(await import("../../src/index.ts")), ...(await import("../support.ts")) };
    const blocker = net.createServer().listen(0, "127.0.0.1");
    onTestFinished(() => void blocker.close());
    await once(blocker, "listening");
    const { port } = blocker.address() as net.AddressInfo;
    const watched = fresh.monitor({ port, sources: [fresh.manage()] });
    const listening = watched.listening();
    await new Promise<void>((resolve) => void watched.once("listenError", () => resolve()));
    expect(warn.mock.calls.map(([message]) => String(message))).toEqual([
      expect.stringMatching(/^a monitor does not work.*another process listens there/u),
    ]);
    void watched.close();
    await expect(listening).rejects.toMatchObject({ code: "INVALID_STATE" });
    await expect(watched.listening()).rejects.toMatchObject({ code: "INVALID_STATE" });
  });

  test("listening() can be aborted", async () => {
    const watched = watch({ port: 1, host: "192.0.2.1" });
    const signal = AbortSignal.timeout(20);
    await expect(watched.listening({ signal })).rejects.toMatchObject({ code: "ABORTED" });
  });
});

describe("the end", () => {
  test("readiness fails first, while the server drains; the monitor closes after its last source", async () => {
    const { supervisor, port } = await serve({}, async (link) => {
      await link.receive();
      await released;
    });
    const { promise: released, resolve: release } = Promise.withResolvers<void>();
    const manager = manage();
    const watched = watch({ sources: [supervisor, manager] });
    const { port: watchedPort } = await watched.listening();
    await manager.open({ port, host: "127.0.0.1" }).send("work");
    await eventually(() => expect(supervisor.links.size).toBe(1));
    const closed = supervisor.close();
    const [ready, alive] = [await get(watchedPort, "/readyz"), await get(watchedPort, "/healthz")];
    expect([ready.status, alive.status]).toEqual([503, 200]);
    expect(ready.body).toContain("the server is draining");
    release();
    await closed;
    expect((await get(watchedPort, "/readyz")).status).toBe(503);
    await manager.close();
    await eventually(async () => {
      await expect(get(watchedPort, "/readyz")).rejects.toMatchObject({ code: "ECONNREFUSED" });
    });
    expect(watched.address).toBeUndefined();
  });

  test("close() lets an answer end, cuts silent connections off, and may be called again", async () => {
    const { register, asked, release } = slowMetric();
    const watched = watch({ register });
    const { port } = await watched.listening();
    const silent = net.connect(port, "127.0.0.1").on("error", () => {});
    const answer = get(port, "/metrics");
    await Promise.all([once(silent, "connect"), asked]);
    const [first, second] = [watched.close(), watched.close()];
    expect(second).toBe(first);
    release();
    expect((await answer).status).toBe(200);
    await first;
    await expect(get(port, "/healthz")).rejects.toMatchObject({ code: "ECONNREFUSED" });
  });

  test("an unknown event is refused", () => {
    expect(() => watch().on("error" as "listening", () => {})).toThrow(RespliceError);
  });
});
