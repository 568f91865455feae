/** A server that is closed: what its clients and their handlers still get, and how its process ends. */
import net from "node:net";
import { describe, expect, test, vi } from "vitest";
import { ServerSupervisor, type StateChange } from "../../src/index.ts";
import { Routed } from "../../src/server/routing/routed.ts";
import {
  echo,
  eventually,
  isPending,
  openTo,
  pair,
  receiveText,
  relayTo,
  runToExit,
  serve,
  turned,
} from "../support.ts";
import { holdingAfterHello } from "./holding.ts";
import { connects } from "./connects.ts";

const host = "127.0.0.1";

describe("close()", () => {
  test("drains: what both sides sent is accepted, and clients go on at the next server with nothing in doubt", async () => {
    const { supervisor, port } = await serve({}, echo);
    const clients = [0, 1, 2].map(() => openTo(port));
    const undelivered: unknown[] = [];
    for (const client of clients) {
      client.on("undelivered", (event) => undelivered.push(event));
      await client.send("before", { until: "accepted" });
    }
    const states = clients.map(() => [] as StateChange[]);
    clients.forEach((client, at) => client.on("state", (change) => states[at]?.push(change)));
    const received = clients.map(() => [] as string[]);
    clients.forEach((client, at) => client.onMessage((message) => void received[at]?.push(String(message))));
    expect(await supervisor.close()).toEqual({ left: 0, undelivered: [] });
    expect(await connects(port)).toBe(false);
    for (const client of clients) client.trySend("after");
    await serve({ port }, echo);
    await eventually(() => expect(received).toEqual(clients.map(() => ["before", "after"])));
    expect(undelivered).toEqual([]);
    for (const seen of states) {
      expect(seen.map(({ to }) => to).slice(0, 2)).toEqual(["draining", "connecting"]);
      expect(seen.at(-1)).toMatchObject({ to: "connected", session: "new", reason: "moved" });
    }
  });

  test("the router hears when it begins, and when no connection is wanted any more", async () => {
    const supervisor = new ServerSupervisor({ port: 1, routed: true });
    const told: string[] = [];
    vi.spyOn(Routed.prototype, "start").mockResolvedValue({ host, port: 1, addresses: [] });
    vi.spyOn(Routed.prototype, "drain").mockImplementation(() => void told.push(`draining, ${supervisor.state}`));
    vi.spyOn(Routed.prototype, "stop").mockImplementation(async () => void told.push(`leaving, ${supervisor.state}`));
    supervisor.serve(() => {});
    await supervisor.listen();
    await supervisor.close();
    expect(told).toEqual(["draining, listening", "leaving, draining"]);
  });

  test("a client whose connection was cut in the last moment comes back, and hears that the link has ended well", async () => {
    const { supervisor, client, server, relay } = await pair({ mode: "bytes", allowHalfOpen: true }, { mode: "bytes" });
    server.end();
    expect(await client.receive()).toBeNull();
    await client.send("last");
    client.end();
    await expect.poll(() => server.readableLength).toBe(4);
    relay.refuse();
    const away = turned(server, "reconnecting");
    relay.cut("rst");
    await away;
    expect(await receiveText(server)).toBe("last");
    expect(await server.receive()).toBeNull();
    expect(await server.closed).toEqual({ undelivered: [] });
    const closed = supervisor.close({ deadlineMs: 0 });
    expect(await isPending(closed, 50)).toBe(true);
    relay.heal();
    expect(await client.closed).toEqual({ undelivered: [] });
    expect(await closed).toEqual({ left: 0, undelivered: [] });
  });

  test("the handler of a link whose client goes on elsewhere can still answer what it was handed", async () => {
    let answer = (): void => {};
    const handed = new Promise<void>((resolve) => {
      answer = resolve;
    });
    const { supervisor, port } = await serve({}, async (link) => {
      const question = await link.receive();
      // Now its input has ended, and it is at work for a while.
      while ((await link.receive()) !== null);
      await handed;
      await link.send(`answer to ${String(question)}`);
    });
    const client = openTo(port);
    await client.send("question", { until: "accepted" });
    const closing = supervisor.close();
    expect(await isPending(closing, 20)).toBe(true);
    answer();
    expect(await receiveText(client)).toBe("answer to question");
    expect(await closing).toEqual({ left: 0, undelivered: [] });
  });

  test("a handler that goes on and on is told that sending is over, and that is no failure of its own", async () => {
    const { supervisor, port } = await serve({}, async (link) => {
      for (;;) {
        await link.send("tick");
        await new Promise((resolve) => setImmediate(resolve));
      }
    });
    const client = openTo(port);
    client.onMessage(() => {});
    await client.connected();
    expect(await supervisor.close({ deadlineMs: 500 })).toEqual({ left: 0, undelivered: [] });
    expect(client.state).not.toBe("closed");
  });

  test("links in mode bytes are let come to their own end", async () => {
    const { client, server, supervisor } = await pair({ mode: "bytes" }, { mode: "bytes" });
    const closing = supervisor.close();
    server.trySend("the rest");
    server.end();
    expect(await receiveText(client)).toBe("the rest");
    expect(await client.receive()).toBeNull();
    expect(await closing).toEqual({ left: 0, undelivered: [] });
    expect(await client.closed).toEqual({ undelivered: [] });
  });

  test("refuses new links meanwhile, and lets those resume that are here", async () => {
    const { client, server, supervisor, relay, port } = await pair();
    server.trySend("must arrive");
    await eventually(() => expect(client.readableLength).toBeGreaterThan(0));
    const closing = supervisor.close();
    relay.cut("rst");
    await turned(client, "connected");
    const late = openTo(port);
    expect((await turned(late, "reconnecting")).error).toMatchObject({ code: "OVERLOADED", retryable: true });
    expect(supervisor.stats().refused).toMatchObject({ draining: 1 });
    expect(await isPending(closing, 20)).toBe(true);
    expect(await receiveText(client)).toBe("must arrive");
    expect(await closing).toEqual({ left: 0, undelivered: [] });
  });

  test("a link that is confirmed meanwhile is closed as well", async () => {
    const { client, server, supervisor, port, links } = await pair();
    server.trySend("keeps the drain going");
    const gate = await holdingAfterHello(port);
    openTo(gate.port);
    await gate.welcomed;
    const closing = supervisor.close({ deadlineMs: 400 });
    gate.open();
    const late = await links.next();
    await closing;
    expect(supervisor.stats().links).toMatchObject({ connected: 0, reconnecting: 0 });
    expect(late.state).toBe("closed");
    await Promise.all([late.closed, server.closed]);
    expect(client.state).not.toBe("closed");
  });

  test("what a client sent along with its CONFIRM is waited for", async () => {
    const { supervisor, port, links } = await serve({}, (link) => link.onMessage(() => {}));
    const gate = await holdingAfterHello(port);
    const client = openTo(gate.port);
    const accepted = client.send("on its way", { until: "accepted" });
    await gate.welcomed;
    const closing = supervisor.close();
    gate.open();
    await accepted;
    expect((await links.next()).stats().received.messages).toBe(1);
    expect(await closing).toEqual({ left: 0, undelivered: [] });
  });

  test("after the deadline it says what it could not deliver, and to whom", async () => {
    const { server, supervisor } = await pair();
    server.trySend("nobody reads");
    const { left, cutOff, undelivered } = await supervisor.close({ deadlineMs: 50 });
    expect([left, cutOff]).toEqual([1, [{ link: server, reason: "unaccepted" }]]);
    expect(undelivered).toMatchObject([{ delivery: "maybe", link: server }]);
    expect((await server.closed).error).toMatchObject({ code: "CLOSE_TIMEOUT" });
    expect(supervisor.state).toBe("closed");
  });

  test("what is cut off at the deadline is for its client a lost session", async () => {
    const { client, server, supervisor, relay, port } = await pair();
    client.trySend("accepted by nobody");
    await eventually(() => expect(server.readableLength).toBeGreaterThan(0));
    const report = new Promise((resolve) => client.once("undelivered", resolve));
    expect((await supervisor.close({ deadlineMs: 50 })).cutOff).toEqual([{ link: server, reason: "unread" }]);
    await serve({ port });
    expect(await report).toMatchObject({ reason: "session-lost", messages: [{ delivery: "maybe" }] });
    await client.connected();
    expect(relay.connections).toBeGreaterThan(1);
  });

  test("of a server whose clients are away: the deadline", async () => {
    const { server, supervisor, relay, client } = await pair();
    relay.refuse();
    relay.cut("rst");
    await Promise.all([turned(server, "reconnecting"), turned(client, "reconnecting")]);
    server.trySend("for nobody");
    const { left, cutOff, undelivered } = await supervisor.close({ deadlineMs: 50 });
    expect([left, cutOff, undelivered.length]).toEqual([1, [{ link: server, reason: "away" }], 1]);
    expect((await server.closed).error).toMatchObject({ code: "CLOSE_TIMEOUT" });
  });

  test("destroys connections that never said anything", async () => {
    const { supervisor, port } = await serve();
    const socket = net.connect(port, host);
    const closed = new Promise((resolve) => socket.on("close", resolve));
    await eventually(() => expect(supervisor.stats().connections.open).toBe(1));
    await supervisor.close();
    await closed;
  });

  test("await using closes", async () => {
    let supervisor: ServerSupervisor;
    {
      await using inner = new ServerSupervisor({ port: 0, host });
      supervisor = inner;
      inner.serve(() => {});
      await inner.listen();
    }
    expect(supervisor.state).toBe("closed");
  });

  test("the same port at once again", async () => {
    const { supervisor, port } = await serve({}, echo);
    const relay = await relayTo(port);
    const link = openTo(relay.port);
    await link.connected();
    await supervisor.close();
    await serve({ port }, echo);
    const other = openTo(port);
    await other.send("hello");
    expect(await receiveText(other)).toBe("hello");
  });
});

describe("the process", () => {
  test("exits by itself after close(), with a client that is away and a handshake that is not over", async () => {
    const printed = await runToExit(`
      import net from "node:net";
      const supervisor = new resplice.ServerSupervisor({ port: 0, host: "127.0.0.1" });
      supervisor.serve((link) => {});
      const { port } = await supervisor.listen();
      const manager = new resplice.ConnectionManager();
      const link = manager.open({ port, host: "127.0.0.1" });
      await link.connected();
      const silent = net.connect(port, "127.0.0.1");
      silent.on("error", () => {});
      await new Promise((resolve) => silent.on("connect", resolve));
      await supervisor.close();
      await manager.close();
      const closedMs = performance.now();
      process.on("exit", () => console.log(performance.now() - closedMs < 1_500 ? "soon" : "late"));
    `);
    expect(printed).toBe("soon");
  });

  test("exits by itself after close() with a session that nobody has confirmed", async () => {
    const printed = await runToExit(`
      import net from "node:net";
      const supervisor = new resplice.ServerSupervisor({ port: 0, host: "127.0.0.1" });
      supervisor.serve((link) => {});
      const { port } = await supervisor.listen();
      // A client whose CONFIRM gets lost: what it says after its HELLO is swallowed.
      const welcomed = new Promise((resolve) => {
        const proxy = net.createServer((client) => {
          const server = net.connect(port, "127.0.0.1");
          client.once("data", (hello) => server.write(hello));
          server.once("data", resolve);
          for (const socket of [client, server]) socket.on("error", () => {});
          server.on("close", () => { client.destroy(); proxy.close(); });
        }).listen(0, "127.0.0.1", () => {
          const manager = new resplice.ConnectionManager();
          const link = manager.open({ port: proxy.address().port, host: "127.0.0.1", reconnect: { maxAttempts: 1 } });
        });
      });
      await welcomed;
      await supervisor.close();
      const closedMs = performance.now();
      process.on("exit", () => console.log(performance.now() - closedMs < 4_000 ? "soon" : "late"));
      setTimeout(() => process.exit(), 6_000).unref();
    `);
    expect(printed).toBe("soon");
  });

  test("a server stays alive by listening", async () => {
    const printed = await runToExit(`
      const supervisor = new resplice.ServerSupervisor({ port: 0 });
      supervisor.serve((link) => {});
      await supervisor.listen();
      setTimeout(() => { console.log("alive"); void supervisor.close(); }, 300).unref();
    `);
    expect(printed).toBe("alive");
  });
});
