import { describe, expect, test } from "vitest";
import type { StateChange } from "../../src/index.ts";
import {
  acquaint,
  echo,
  eventually,
  failure,
  logKeeper,
  manage,
  openTo,
  pair,
  QUICK,
  receiveText,
  relayTo,
  serve,
  turned,
  unusedPort,
  WATCHFUL,
  withUncaught,
} from "../support.ts";
import { watch } from "./records.ts";

describe("what it is", () => {
  test("both ends agree on the session, and know what open() gave", async () => {
    const { client, server } = await pair({ openPayload: "tenant 7" });
    expect(client.sessionId).toMatch(/^[0-9a-f]{32}$/);
    expect(server.sessionId).toBe(client.sessionId);
    expect(String(server.openPayload)).toBe("tenant 7");
    expect(String(client.openPayload)).toBe("tenant 7");
    expect([client.identity, server.identity]).toEqual([undefined, undefined]);
    expect(client.remoteAddress).toBe("127.0.0.1");
    expect(server.remoteAddress).toMatch(/127\.0\.0\.1$/);
    expect(client.id).not.toBe("");
    expect(client.id).not.toBe(server.id);
  });

  test("stats", async () => {
    const { client, server, relay } = await pair();
    await client.send("four");
    await server.receive();
    await client.flush();
    expect(client.stats()).toMatchObject({
      state: "connected",
      reconnects: 0,
      recoveryMs: undefined,
      taken: { messages: 1, bytes: 4 },
      accepted: { messages: 1, bytes: 4 },
      received: { messages: 0, bytes: 0 },
      undelivered: { "session-lost": 0, "connection-lost": 0, "too-large": 0 },
      queue: { messages: 0, bytes: 0 },
      logBytes: 0,
      windowBytes: expect.any(Number),
      unacceptedBytes: 0,
    });
    expect(client.stats().rttMs).toBeGreaterThanOrEqual(0);
    expect(client.stats().stateForMs).toBeGreaterThan(0);
    expect(server.stats()).toMatchObject({ received: { messages: 1, bytes: 4 }, unacceptedBytes: 0 });
    relay.cut("rst");
    await turned(client, "connected");
    expect(client.stats().reconnects).toBe(1);
    expect(client.stats().recoveryMs).toBeGreaterThan(0);
    client.trySend("unread");
    await eventually(() => expect(server.stats().unacceptedBytes).toBe(10));
    expect(client.stats().logBytes).toBe(10);
    expect(client.stats().accepted).toEqual({ messages: 1, bytes: 4 });
  });
});

describe("state events", () => {
  test("of a link that is opened, cut, resumed and closed", async () => {
    const { port, links } = await serve();
    const relay = await relayTo(port);
    const client = manage().open({ port: relay.port, host: "127.0.0.1", reconnect: QUICK });
    expect(client.state).toBe("created");
    const seen = watch(client);
    await client.connected();
    const server = await links.next();
    const seenByServer = watch(server);
    expect(server.state).toBe("connected");
    relay.cut("rst");
    await turned(client, "connected");
    await client.close();
    await server.closed;
    expect(seen.slice(0, 2)).toEqual(["created>connecting: opened", "connecting>connected: opened"]);
    expect(seen.slice(2)).toEqual([
      expect.stringMatching(/^connected>reconnecting: /),
      expect.stringMatching(/^reconnecting>connecting: /),
      "connecting>connected: resumed",
      "connected>draining: close() was called",
      "draining>closed: closed",
    ]);
    expect(seenByServer).toEqual([
      expect.stringMatching(/^connected>reconnecting: /),
      "reconnecting>connected: resumed",
      "connected>closed: closed",
    ]);
  });

  test("one who listens right after open() hears of the first attempt", async () => {
    const { port } = await serve();
    const link = manage().open({ port, host: "127.0.0.1" });
    const seen: StateChange[] = [];
    link.on("state", (change) => seen.push(change));
    await link.connected();
    await eventually(() => expect(seen.length).toBeGreaterThan(0));
    expect(seen[0]).toMatchObject({ from: "created", to: "connecting", attempt: 1 });
  });

  test("they say which attempt, when the next is, and why", async () => {
    const link = openTo(await unusedPort(), { reconnect: { minDelayMs: 10, maxDelayMs: 10 } });
    const waits: Array<Extract<StateChange, { to: "reconnecting" }>> = [];
    while (waits.length < 3) waits.push(await turned(link, "reconnecting"));
    expect(waits.map(({ attempt }) => attempt)).toEqual([2, 3, 4]);
    for (const { nextDelayMs, error, reason } of waits) {
      expect(nextDelayMs).toBeGreaterThanOrEqual(5);
      expect(nextDelayMs).toBeLessThanOrEqual(10);
      expect(error).toMatchObject({ code: "CONNECT_FAILED", retryable: true });
      expect(reason).toBe("CONNECT_FAILED");
    }
  });

  test("the state has changed before anyone is told, and calls made from within come after", async () => {
    const { port } = await serve({}, echo);
    const relay = await relayTo(port);
    const link = manage().open({ port: relay.port, host: "127.0.0.1", reconnect: QUICK });
    const first: string[] = [];
    const second: string[] = [];
    link.on("state", ({ to }) => {
      first.push(`${to} ${link.state}`);
      if (to === "connected") link.abort();
    });
    link.on("state", ({ to }) => second.push(to));
    await link.closed;
    expect(first.slice(0, 2)).toEqual(["connecting connecting", "connected connected"]);
    expect(first.at(-1)).toBe("closed closed");
    expect(second).toEqual(["connecting", "connected", "closed"]);
  });

  test("a listener that throws breaks neither the link nor the other listeners", async () => {
    const { port } = await serve({}, echo);
    const relay = await relayTo(port);
    const link = manage().open({ port: relay.port, host: "127.0.0.1", reconnect: QUICK });
    const uncaught = await withUncaught(async () => {
      link.on("state", () => {
        throw new Error("mine");
      });
      await link.send("one");
      expect(await receiveText(link)).toBe("one");
      relay.cut("fin");
      await link.send("two");
      expect(await receiveText(link)).toBe("two");
      await link.close();
    });
    expect(uncaught.length).toBeGreaterThanOrEqual(4);
    for (const error of uncaught) expect(error).toMatchObject({ message: "mine" });
  });

  test("an 'error' listener that throws keeps nobody from hearing of the end", async () => {
    const { client, server, manager } = await pair();
    const uncaught = await withUncaught(async () => {
      client.on("error", () => {
        throw new Error("mine");
      });
      server.abort("enough");
      expect((await client.closed).error).toMatchObject({ code: "PEER_ABORTED" });
      await manager.close();
    });
    expect(uncaught).toMatchObject([{ message: "mine" }]);
  });

  test("a logger that throws harms no link", async () => {
    const fail = (): never => {
      throw new Error("disk full");
    };
    const uncaught = await withUncaught(async () => {
      const { port } = await serve({}, echo);
      const manager = manage({ logger: { debug: fail, info: fail, warn: fail, error: fail } });
      const link = manager.open({ port, host: "127.0.0.1" });
      await link.send("hello");
      expect(await receiveText(link)).toBe("hello");
      await link.flush();
      await link.close();
      expect(manager.stats().lines).toMatchObject({ written: 0, failed: expect.any(Number) as number });
      expect(manager.stats().lines.failed).toBeGreaterThan(0);
    });
    expect(uncaught).toEqual([]);
  });

  test("on() and once() throw for a name that is not listed", async () => {
    const link = openTo(await unusedPort());
    for (const name of ["close", "data", "message", "States"]) {
      for (const method of ["on", "once", "addListener"] as const) {
        const error = await failure(() => link[method](name as "state", () => {}));
        expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
        expect(error.message).toContain("state");
      }
    }
  });

  test("suspect and back: a stall that ends before a replacement is needed", async () => {
    const both = await pair({ keepalive: WATCHFUL });
    const { client, server, relay } = both;
    await acquaint(both);
    const seen = watch(client);
    relay.stall({ direction: "to-client" });
    await turned(client, "suspect");
    expect(client.state).toBe("suspect");
    const back = turned(client, "connected");
    relay.heal();
    expect(await back).toMatchObject({ session: "resumed" });
    await client.send("one");
    expect(await receiveText(server)).toBe("one");
    expect(seen.some((line) => line.includes("reconnecting"))).toBe(false);
  });
});

describe("connected()", () => {
  test("resolves when connected, also if it was all along", async () => {
    const { port } = await serve();
    const link = openTo(port);
    await link.connected();
    await link.connected();
  });

  test("rejects with the error that ended the link, also afterwards", async () => {
    const link = openTo(await unusedPort(), { reconnect: { maxAttempts: 1 } });
    expect(await failure(link.connected())).toMatchObject({ code: "GAVE_UP" });
    await link.closed;
    expect(await failure(link.connected())).toMatchObject({ code: "GAVE_UP" });
  });
});

test("the logger is told of a life: one line for each transition, and of what is undelivered", async () => {
  const { lines, logger } = logKeeper();
  const { port } = await serve();
  const relay = await relayTo(port);
  const link = manage({ logger }).open({ port: relay.port, host: "127.0.0.1", reconnect: QUICK });
  await link.connected();
  relay.refuse();
  relay.cut("rst");
  await turned(link, "reconnecting");
  link.trySend("for nobody");
  await link.close({ deadlineMs: 20 });
  const changes = lines.filter(({ event }) => event === "link.state");
  expect(changes[0]).toMatchObject({ level: "info", link: link.id, from: "created", to: "connecting", attempt: 1 });
  expect(changes.map(({ to }) => to)).toEqual(expect.arrayContaining(["connected", "reconnecting", "draining"]));
  expect(changes.at(-1)).toMatchObject({ level: "error", to: "closed", code: "CLOSE_TIMEOUT" });
  expect(changes.find(({ to }) => to === "reconnecting")).toMatchObject({ level: "warn" });
  expect(lines.filter(({ event }) => event === "link.undelivered")).toMatchObject([
    { level: "warn", link: link.id, reason: "ended", notSent: 1, maybe: 0 },
  ]);
});
