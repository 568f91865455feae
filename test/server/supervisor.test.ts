import tls from "node:tls";
import { describe, expect, test } from "vitest";
import { SESSION_HEAP_BYTES } from "../../src/core/session/session.ts";
import { ServerSupervisor, type SupervisorEvents } from "../../src/index.ts";
import {
  certificate,
  echo,
  eventually,
  failure,
  logKeeper,
  manage,
  openTo,
  pair,
  QUICK,
  receiveText,
  runToExit,
  serve,
  socketPath,
  turned,
  unusedPort,
  withUncaught,
} from "../support.ts";
import { connects } from "./connects.ts";

const host = "127.0.0.1";

describe("states", () => {
  test("created, bound, listening, draining, closed, each told of once", async () => {
    const supervisor = new ServerSupervisor({ port: 0, host });
    const seen: Array<SupervisorEvents["state"][0]> = [];
    supervisor.on("state", (change) => {
      seen.push(change);
      expect(supervisor.state).toBe(change.to);
    });
    expect(supervisor.state).toBe("created");
    expect(supervisor.health().status).toBe("down");
    supervisor.serve(() => {});
    const { host: boundHost, port } = await supervisor.listen();
    expect(boundHost).toBe(host);
    expect(port).toBeGreaterThan(0);
    expect(supervisor.state).toBe("listening");
    expect(supervisor.health()).toEqual({ status: "healthy", reasons: [] });
    const closing = supervisor.close();
    expect(supervisor.state).toBe("draining");
    expect(supervisor.health().status).toBe("down");
    expect(supervisor.close()).toBe(closing);
    expect(await closing).toEqual({ left: 0, undelivered: [] });
    expect(seen.map(({ from, to }) => `${from}>${to}`)).toEqual([
      "created>bound",
      "bound>listening",
      "listening>draining",
      "draining>closed",
    ]);
    for (const { reason } of seen) expect(reason).not.toBe("");
  });

  test("a listener that throws keeps it neither from listening nor from closing", async () => {
    const uncaught = await withUncaught(async () => {
      const supervisor = new ServerSupervisor({ port: 0, host });
      supervisor.on("state", ({ to }) => {
        throw new Error(to);
      });
      supervisor.serve(() => {});
      await supervisor.listen();
      await supervisor.close();
      expect(supervisor.state).toBe("closed");
    });
    expect(uncaught).toMatchObject(["bound", "listening", "draining", "closed"].map((message) => ({ message })));
  });

  test("one that never listened can be closed", async () => {
    const supervisor = new ServerSupervisor({ port: 0 });
    expect(await supervisor.close()).toEqual({ left: 0, undelivered: [] });
    expect(supervisor.state).toBe("closed");
  });

  test("on() throws for a name that is not listed", async () => {
    const supervisor = new ServerSupervisor({ port: 0 });
    for (const name of ["connection", "link", "close"]) {
      expect(await failure(() => supervisor.on(name as "state", () => {}))).toMatchObject({ code: "INVALID_ARGUMENT" });
      expect(await failure(() => supervisor.once(name as "state", () => {}))).toMatchObject({
        code: "INVALID_ARGUMENT",
      });
    }
  });

  test.each(["localhost", host])(
    "closed while it begins to listen on %s: it does not listen after all",
    async (where) => {
      const port = await unusedPort();
      const supervisor = new ServerSupervisor({ port, host: where });
      supervisor.serve(() => {});
      const listening = failure(supervisor.listen());
      await supervisor.close();
      expect(await listening).toMatchObject({ code: "INVALID_STATE" });
      expect(supervisor.state).toBe("closed");
      expect(await connects(port)).toBe(false);
    },
  );
});

describe("misuse", () => {
  test("serve() once, before listen(), with a function", async () => {
    const supervisor = new ServerSupervisor({ port: 0, host });
    expect(await failure(supervisor.listen())).toMatchObject({ code: "INVALID_STATE" });
    expect(supervisor.state).toBe("created");
    expect(await failure(() => supervisor.serve(5 as never))).toMatchObject({ code: "INVALID_ARGUMENT" });
    supervisor.serve(() => {});
    expect(await failure(() => supervisor.serve(() => {}))).toMatchObject({ code: "INVALID_STATE" });
    await supervisor.listen();
    expect(await failure(() => supervisor.serve(() => {}))).toMatchObject({ code: "INVALID_STATE" });
    expect(await failure(supervisor.listen())).toMatchObject({ code: "INVALID_STATE" });
    await supervisor.close();
    expect(await failure(supervisor.listen())).toMatchObject({ code: "INVALID_STATE" });
  });

  test("a listen() that is aborted before it began changes nothing", async () => {
    const supervisor = new ServerSupervisor({ port: 0, host });
    supervisor.serve(() => {});
    const signal = AbortSignal.abort(new Error("mine"));
    expect(await failure(supervisor.listen({ signal }))).toMatchObject({ code: "ABORTED", cause: signal.reason });
    await supervisor.listen();
    await supervisor.close();
  });

  test("a deadline that makes no sense is refused, and changes nothing", async () => {
    const { supervisor } = await pair();
    expect(await failure(() => supervisor.close({ deadlineMs: -1 }))).toMatchObject({ code: "INVALID_OPTION" });
    expect(supervisor.state).toBe("listening");
  });
});

describe("LISTEN_FAILED", () => {
  test("says what to do about a port that is taken", async () => {
    const { port } = await serve();
    const supervisor = new ServerSupervisor({ port, host });
    supervisor.serve(() => {});
    const error = await failure(supervisor.listen());
    expect(error).toMatchObject({ code: "LISTEN_FAILED", cause: { code: "EADDRINUSE" } });
    expect(error.message).toContain(String(port));
    expect(error.message).toContain("another process");
    expect(supervisor.state).toBe("closed");
    expect(await supervisor.close()).toEqual({ left: 0, undelivered: [] });
  });

  test("and about an address that is not ours, and a path that cannot be", async () => {
    const away = new ServerSupervisor({ port: 0, host: "192.0.2.1" });
    away.serve(() => {});
    expect(await failure(away.listen())).toMatchObject({ code: "LISTEN_FAILED", cause: { code: "EADDRNOTAVAIL" } });
    const nowhere = new ServerSupervisor({ path: "/nonexistent/directory/link.sock" });
    nowhere.serve(() => {});
    expect(await failure(nowhere.listen())).toMatchObject({ code: "LISTEN_FAILED" });
  });
});

test("a Unix socket: listen() says its path", async () => {
  const path = await socketPath();
  const supervisor = new ServerSupervisor({ path });
  supervisor.serve(echo);
  expect(await supervisor.listen()).toEqual({ host: path, port: 0, addresses: [{ host: path, port: 0 }] });
  const link = manage().open({ path });
  await link.send("hello");
  expect(await receiveText(link)).toBe("hello");
  await supervisor.close();
});

test("links: those that can be sent on", async () => {
  const { client, server, supervisor } = await pair();
  expect([...supervisor.links]).toEqual([server]);
  for (const link of supervisor.links) await link.send("to all");
  expect(await receiveText(client)).toBe("to all");
  client.abort();
  await server.closed;
  expect([...supervisor.links]).toEqual([]);
});

test("stats", async () => {
  const { client, server, supervisor, relay } = await pair();
  await client.send("four");
  await server.receive();
  server.trySend("five!");
  await client.receive();
  await eventually(() => expect(supervisor.stats().connections).toEqual({ open: 1, handshaking: 0 }));
  expect(supervisor.stats()).toMatchObject({
    state: "listening",
    refused: {},
    links: { connected: 1 },
    sessions: { connected: 1, waiting: 0 },
    taken: { messages: 1, bytes: 5 },
    received: { messages: 1, bytes: 4 },
  });
  relay.refuse();
  relay.cut("rst");
  await turned(server, "reconnecting");
  expect(supervisor.stats()).toMatchObject({
    links: { connected: 0, reconnecting: 1 },
    sessions: { connected: 0, waiting: 1 },
  });
  relay.heal();
  await client.close();
  await server.closed;
  await eventually(() => {
    expect(supervisor.stats()).toMatchObject({ sessions: { connected: 0, waiting: 0 }, connections: { open: 0 } });
  });
});

describe("TLS", () => {
  test("setSecureContext() is for new connections", async () => {
    const [old, renewed] = [await certificate(), await certificate()];
    const { supervisor, port } = await serve({ tls: old }, echo);
    const first = manage().open({ port, host: "localhost", tls: { ca: old.cert } });
    await first.connected();
    supervisor.setSecureContext(renewed);
    const second = manage().open({ port, host: "localhost", tls: { ca: renewed.cert } });
    await second.send("hello");
    expect(await receiveText(second)).toBe("hello");
    await first.send("still here");
    expect(await receiveText(first)).toBe("still here");
    const late = manage().open({ port, host: "localhost", tls: { ca: old.cert } });
    expect((await late.closed).error).toMatchObject({ code: "CERTIFICATE_INVALID" });
  });

  test("without TLS there is none to set", async () => {
    const { supervisor } = await serve();
    expect(await failure(() => supervisor.setSecureContext({}))).toMatchObject({ code: "INVALID_STATE" });
  });

  test("a TLS client with nothing to say is closed in its time", async () => {
    const own = await certificate();
    const { port, supervisor } = await serve({ tls: own, timeouts: { handshakeMs: 100 } });
    const socket = tls.connect({ port, host, ca: own.cert });
    socket.on("error", () => {});
    await new Promise((resolve) => socket.on("close", resolve));
    await eventually(() => expect(supervisor.stats().connections.open).toBe(0));
  });
});

test("the logger: listening, each state, and how many bytes the limits allow", async () => {
  const { lines, logger } = logKeeper();
  const { supervisor, port } = await serve({ logger, limits: { sessions: 10, bufferBytes: 512 * 1_048_576 } });
  const link = openTo(port, { reconnect: QUICK });
  await link.connected();
  link.abort("enough");
  await eventually(() => expect(lines.some(({ to }) => to === "closed")).toBe(true));
  await supervisor.close();
  const events = lines.map(({ event, to }) => (to === undefined ? event : `${event} ${to as string}`));
  expect(events).toEqual(
    expect.arrayContaining([
      "server.state bound",
      "server.state listening",
      "server.listening",
      "link.state connected",
      "link.state closed",
      "server.state draining",
      "server.state closed",
    ]),
  );
  expect(lines.find(({ event }) => event === "server.listening")).toMatchObject({
    port,
    sessions: 10,
    sessionsMayHoldBytes: 512 * 1_048_576 + 64 * (65_536 + 2_048) + 10 * (1_398_107 + 1_118_212 + 327_680),
  });
  for (const { level, event } of lines) expect([level, event]).not.toContain(undefined);
});

test("a link takes no more of the heap than is reckoned with", { timeout: 60_000 }, async () => {
  const printed = await runToExit(`
    import v8 from "node:v8";
    import vm from "node:vm";
    v8.setFlagsFromString("--expose-gc");
    const gc = vm.runInNewContext("gc");
    const limits = { sessions: 1_000, opensPerSecond: 10_000 };
    const supervisor = new resplice.ServerSupervisor({ port: 0, host: "127.0.0.1", limits });
    supervisor.serve((link) => link.onMessage(() => {}));
    const { port } = await supervisor.listen();
    const manager = new resplice.ConnectionManager({ maxDialsPerSecond: 10_000 });
    const heapBytes = async (links) => {
      for (let n = 0; n < links; n++) manager.open({ port, host: "127.0.0.1" });
      await manager.connected();
      for (let n = 0; n < 4; n++) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        gc();
      }
      return process.memoryUsage().heapUsed;
    };
    // With the first links code is compiled, which is no part of a link.
    const before = await heapBytes(200);
    console.log(((await heapBytes(500)) - before) / 500);
    process.exit();
  `);
  // Both ends.
  expect(Number(printed)).toBeGreaterThan(0);
  expect(Number(printed)).toBeLessThan(2 * SESSION_HEAP_BYTES);
});

test("more sessions than memory is sure to hold are allowed, and the log says so", async () => {
  const { lines, logger } = logKeeper();
  await serve({ logger, limits: { sessions: 50_000_000 } });
  expect(lines.find(({ event }) => event === "server.memory")).toMatchObject({ level: "warn", sessions: 50_000_000 });
});

test("the metrics line has how long clients were away, those whose links drain too", async () => {
  const { lines, logger } = logKeeper();
  const { client, server, relay } = await pair({}, { logger, metricsIntervalMs: 20 });
  relay.cut("rst");
  await turned(server, "connected");
  const { recoveryMs } = server.stats();
  await eventually(() => {
    const metrics = lines.filter(({ event, reconnects }) => event === "server.metrics" && reconnects === 1);
    expect(metrics).toMatchObject([{ recoveryMsMedian: recoveryMs, recoveryMsMax: recoveryMs }]);
  });
  expect(recoveryMs).toBeGreaterThan(0);
  // The client reads on, so that the server's link is still draining when it comes back.
  server.trySend("keeps it here");
  await eventually(() => expect(client.readableLength).toBeGreaterThan(0));
  const closed = server.close();
  relay.cut("rst");
  await eventually(() => expect(server.stats().reconnects).toBe(2));
  await eventually(() => {
    const metrics = lines.filter(({ event, reconnects }) => event === "server.metrics" && reconnects === 1);
    expect(metrics.map(({ recoveryMsMax }) => recoveryMsMax)).toEqual([recoveryMs, server.stats().recoveryMs]);
  });
  await client.receive();
  await closed;
});

test("a metrics line at its interval", async () => {
  const { lines, logger } = logKeeper();
  const { port } = await serve({ logger, metricsIntervalMs: 20 }, echo);
  const link = openTo(port);
  await link.send("one");
  await receiveText(link);
  await eventually(() => {
    const metrics = lines.filter(({ event }) => event === "server.metrics");
    expect(metrics.some(({ links }) => (links as { connected?: number }).connected === 1)).toBe(true);
  });
});
