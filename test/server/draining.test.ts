/** A server that goes away and its clients, over real sockets; and what each of them may be doing meanwhile. */
import { describe, expect, test } from "vitest";
import type { Link } from "../../src/index.ts";
import {
  echo,
  eventually,
  failure,
  heard,
  logKeeper,
  manage,
  openTo,
  pair,
  QUICK,
  receiveText,
  refusal,
  relayTo,
  runToExit,
  serve,
  turned,
} from "../support.ts";
import { holdingAfterHello } from "./holding.ts";

const host = "127.0.0.1";
const wait = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe("endpoints", () => {
  test("a cut during the move: the client comes back to the server that still has its session", async () => {
    const [a, b] = [await serve(), await serve()];
    const relay = await relayTo(a.port);
    const client = manage().open({
      endpoints: [
        { port: relay.port, host },
        { port: b.port, host },
      ],
      reconnect: QUICK,
    });
    const undelivered: unknown[] = [];
    client.on("undelivered", (event) => undelivered.push(event));
    await client.connected();
    const server = await a.links.next();
    client.trySend("under way");
    await eventually(() => expect(server.readableLength).toBeGreaterThan(0));
    const closing = a.supervisor.close();
    await turned(client, "draining");
    relay.cut("rst");
    await eventually(() => expect(relay.connections).toBe(2), 1_500);
    expect(await receiveText(server)).toBe("under way");
    expect(await closing).toEqual({ left: 0, undelivered: [] });
    await client.connected();
    expect(undelivered).toEqual([]);
  });

  test("what waits under a policy goes to the server that goes away, where no other may have it", async () => {
    const { port, links, supervisor } = await serve();
    const queue = { overflow: "wait", maxMessages: 1_000, maxBytes: 2 ** 21, ttlMs: 60_000 } as const;
    const client = openTo(port, { whenSessionLost: "end", queue });
    await client.connected();
    const server = await links.next();
    const messages = Array.from({ length: 24 }, () => Buffer.alloc(65_536, "x"));
    await Promise.all(messages.map((message) => client.send(message)));
    await eventually(() => expect(client.stats().queue.messages).toBeGreaterThan(0));
    const closing = supervisor.close();
    await turned(client, "draining");
    expect(refusal(() => client.trySend("late")).code).toBe("LINK_ENDED");
    let received = 0;
    for await (const { length } of server) received += length;
    expect(received).toBe(24 * 65_536);
    expect(await closing).toEqual({ left: 0, undelivered: [] });
    expect(await client.closed).toEqual({ undelivered: [] });
  });

  test.each(["round-robin", "random"] as const)("%s is for sessions, not for each connection", async (order) => {
    const servers = await Promise.all(Array.from({ length: 8 }, () => serve()));
    const relays = await Promise.all(servers.map(({ port }) => relayTo(port)));
    const endpoints = relays.map(({ port }) => ({ port, host }));
    const client = manage().open({ endpoints, endpointOrder: order, reconnect: QUICK });
    await client.connected();
    await Promise.any(servers.map(({ links }) => links.next()));
    for (const relay of relays) relay.cut("rst");
    expect(await turned(client, "connected")).toMatchObject({ session: "resumed" });
  });

  test("who hears of it with WELCOME goes on elsewhere at once, too", async () => {
    const [a, b] = [await serve(), await serve()];
    const relay = await relayTo(a.port);
    const client = manage().open({
      endpoints: [
        { port: relay.port, host },
        { port: b.port, host },
      ],
      reconnect: QUICK,
    });
    await client.connected();
    const server = await a.links.next();
    // Another client keeps the server up until its message is read.
    const other = openTo(a.port);
    other.trySend("unread");
    const keeper = await a.links.next();
    server.trySend("keeps it here");
    await eventually(() => expect(client.readableLength).toBeGreaterThan(0));
    relay.refuse();
    relay.cut("rst");
    await turned(server, "reconnecting");
    const closing = a.supervisor.close({ deadlineMs: 3_000 });
    // Only A for now: the client is to come back to it.
    relay.heal();
    await turned(client, "draining");
    const moved = turned(client, "connected");
    expect(await receiveText(client)).toBe("keeps it here");
    expect(await moved).toMatchObject({ session: "new", reason: "moved" });
    // Its new session was not asked for here.
    expect(a.supervisor.stats().refused).not.toHaveProperty("draining");
    await b.links.next();
    expect(await receiveText(keeper)).toBe("unread");
    await closing;
  });
});

test("a client that closes before it has moved needs no other server to end", async () => {
  const { port, links, supervisor } = await serve();
  const client = openTo(port);
  client.onMessage(() => {});
  client.trySend("question");
  const answer = Promise.withResolvers<void>();
  (await links.next()).onMessage(() => answer.promise);
  const leaving = turned(client, "draining");
  const away = supervisor.close({ deadlineMs: 20_000 });
  await leaving;
  const closing = client.close({ deadlineMs: 3_000 });
  answer.resolve();
  expect(await closing).toEqual({ undelivered: [] });
  expect((await away).left).toBe(0);
});

test("a handler that fails while its client is away: the client opens a new session when it comes back", async () => {
  let fail = (): void => {};
  const { port, links } = await serve({}, async (link) => {
    if (link === (await first)) await new Promise((_, reject) => (fail = () => reject(new Error("mine"))));
    else await echo(link);
  });
  const first = links.next();
  const relay = await relayTo(port);
  const client = openTo(relay.port, { timeouts: { handshakeMs: 500 } });
  await client.connected();
  const server = await first;
  relay.refuse();
  relay.cut("rst");
  await turned(server, "reconnecting");
  fail();
  await server.closed;
  relay.heal();
  expect(await links.next()).not.toBe(server);
});

test("a move in order is no warning, at either end", async () => {
  const [atClient, atServer] = [logKeeper(), logKeeper()];
  const first = await serve({ logger: atServer.logger }, echo);
  const second = await serve({}, echo);
  const manager = manage({ logger: atClient.logger });
  const endpoints = [first, second].map(({ port }) => ({ port, host }));
  const link = manager.open({ endpoints, reconnect: QUICK });
  await link.send("to the first");
  expect(await receiveText(link)).toBe("to the first");
  const moved = heard(link, "state");
  await first.supervisor.close();
  await moved;
  await link.send("to the second");
  expect(await receiveText(link)).toBe("to the second");
  expect(second.links.size).toBe(1);
  const levels = new Set([...atClient.lines, ...atServer.lines].map(({ level }) => level));
  expect(levels).toEqual(new Set(["info"]));
  expect(atClient.lines.filter(({ reason }) => reason === "moved").length).toBeGreaterThan(0);
});

describe("waits that go along", () => {
  test("one that is aborted after the move says what is known of its message", async () => {
    const { client, server, supervisor, port } = await pair();
    // Positions of the session that ends are high, those of the next are low.
    const before = client.send("x".repeat(1_000), { until: "accepted" });
    await server.receive();
    await before;
    server.trySend("keeps it here");
    await eventually(() => expect(client.readableLength).toBeGreaterThan(0));
    const closing = supervisor.close();
    await turned(client, "draining");
    const abort = new AbortController();
    const accepted = failure(client.send("goes along", { until: "accepted", signal: abort.signal }));
    await client.receive();
    await closing;
    const next = await serve({ port });
    await client.connected();
    const link = await next.links.next();
    await eventually(() => expect(link.readableLength).toBeGreaterThan(0));
    abort.abort();
    expect(await accepted).toMatchObject({ code: "ABORTED", delivery: "maybe" });
  });

  test("the message of one that was aborted after the move is reported when it is lost", async () => {
    const { client, server, supervisor, port } = await pair();
    server.trySend("keeps it here");
    await eventually(() => expect(client.readableLength).toBeGreaterThan(0));
    const closing = supervisor.close();
    await turned(client, "draining");
    const abort = new AbortController();
    const accepted = failure(client.send("goes along", { until: "accepted", signal: abort.signal }));
    await client.receive();
    await closing;
    const next = await serve({ port });
    await client.connected();
    const link = await next.links.next();
    await eventually(() => expect(link.readableLength).toBeGreaterThan(0));
    abort.abort();
    await accepted;
    link.abort("enough");
    const { undelivered } = await client.closed;
    expect(undelivered.map(({ message }) => String(message))).toEqual(["goes along"]);
  });
});

describe("the server's handler", () => {
  test("that waits for room is told that sending is over while there is time left", async () => {
    let told: unknown;
    let toldMs = 0;
    const options = { queue: { maxMessages: 2 }, maxMessageBytes: 1_000 };
    const { supervisor, port, links } = await serve(options, async (link) => {
      try {
        for (;;) await link.send("x".repeat(1_000));
      } catch (error) {
        told = error;
        toldMs = performance.now();
      }
    });
    // It reads nothing, so that the handler has to wait for room.
    const client = openTo(port, { window: { minBytes: 2_000, maxBytes: 2_000 }, maxMessageBytes: 1_000 });
    await client.connected();
    const server = await links.next();
    await eventually(() => expect(server.stats().queue.messages).toBe(2));
    const beganMs = performance.now();
    await supervisor.close({ deadlineMs: 1_000 });
    expect(told).toMatchObject({ code: "LINK_ENDED" });
    expect(toldMs - beganMs).toBeLessThan(950);
  });

  test("that stops when it hears that the server goes away does not end its client's link for good", async () => {
    const { supervisor, port, links } = await serve({}, async (link) => {
      while (link.state === "connected") {
        await link.send("tick");
        await wait(5);
      }
    });
    const relay = await relayTo(port);
    const client = openTo(relay.port);
    client.onMessage(() => {});
    await links.next();
    relay.latency(50);
    await supervisor.close();
    await eventually(() => expect(client.state).toBe("reconnecting"));
  });

  test("that ends with 'end' answers a move with a move", async () => {
    const { supervisor, port, links } = await serve({ allowHalfOpen: true }, async (link) => {
      const ended = heard(link, "end");
      link.on("end", () => link.end());
      for await (const _ of link) await ended;
      await link.closed;
    });
    const client = openTo(port);
    await client.send("held");
    const server = await links.next();
    await eventually(() => expect(server.position).toBeGreaterThan(0));
    expect(await supervisor.close()).toEqual({ left: 0, undelivered: [] });
    await eventually(() => expect(client.state).toBe("reconnecting"));
  });
});

test("close() during a move does not wait for what nobody reads", async () => {
  const { client, server, supervisor, port } = await pair();
  server.trySend("nobody reads this");
  await eventually(() => expect(client.readableLength).toBeGreaterThan(0));
  const closing = supervisor.close();
  await turned(client, "draining");
  client.trySend("the last word");
  const closed = client.close({ deadlineMs: 3_000 });
  await closing;
  const next = await serve({ port });
  void next.links.next().then((link) => link.onMessage(() => {}));
  expect(await closed).toEqual({ undelivered: [] });
});

test("close() during a move needs no other server, if there is nothing for it", async () => {
  const { client, supervisor } = await pair();
  client.onMessage(() => {});
  const closing = supervisor.close();
  await turned(client, "draining");
  const closed = client.close({ deadlineMs: 1_000 });
  await closing;
  expect(await closed).toEqual({ undelivered: [] });
});

test("a link that is confirmed while the server goes away has the time that is left", async () => {
  const { supervisor, port, links } = await serve({}, async (link) => {
    for await (const message of link) await wait(Number(String(message)));
  });
  const first = openTo(port);
  await first.send("100");
  await links.next();
  const gate = await holdingAfterHello(port);
  const late = openTo(gate.port);
  const undelivered: unknown[] = [];
  late.on("undelivered", (event) => undelivered.push(event));
  late.trySend("300");
  await gate.welcomed;
  const closing = supervisor.close();
  gate.open();
  await links.next();
  expect(await closing).toEqual({ left: 0, undelivered: [] });
  await serve({ port });
  await late.connected();
  expect(undelivered).toEqual([]);
});

test("rolling restarts: once and in order, both ways, with cuts", { timeout: 60_000 }, async () => {
  const got: number[] = [];
  const handler = async (link: Link): Promise<void> => {
    for await (const message of link) {
      const n = Number(String(message));
      got.push(n);
      await link.send(`answer ${n}`);
    }
  };
  const ports: number[] = [];
  const servers = [await serve({}, handler), await serve({}, handler)];
  for (const s of servers) ports.push(s.port);
  const relays = [await relayTo(ports[0] as number), await relayTo(ports[1] as number)];
  const client = manage().open({ endpoints: relays.map(({ port }) => ({ port, host })), reconnect: QUICK });
  const answers: number[] = [];
  client.onMessage((m) => void answers.push(Number(String(m).slice(7))));
  const undelivered: unknown[] = [];
  client.on("undelivered", (e) => undelivered.push(e));
  let sent = 0;
  let stop = false;
  const sender = (async () => {
    while (!stop) {
      await client.send(String(sent++));
      if (sent % 20 === 0) await wait(1);
    }
  })();
  for (let round = 0; round < 30; round++) {
    const at = round % 2;
    await wait(40);
    const s = servers[at] as (typeof servers)[0];
    if (round % 3 === 0) setTimeout(() => relays[at]?.cut("rst"), round / 3);
    const report = await s.supervisor.close({ deadlineMs: 3_000 });
    expect(report).toEqual({ left: 0, undelivered: [] });
    servers[at] = await serve({ port: ports[at] as number }, handler);
  }
  stop = true;
  await sender;
  await client.flush();
  await eventually(() => expect(answers.length).toBe(sent));
  expect(undelivered).toEqual([]);
  expect(got).toEqual(Array.from({ length: sent }, (_, n) => n));
  expect(answers).toEqual(Array.from({ length: sent }, (_, n) => n));
});

test("a link that has ended is not kept by a handler that never returns", async () => {
  const printed = await runToExit(`
    import v8 from "node:v8";
    import vm from "node:vm";
    v8.setFlagsFromString("--expose-gc");
    const gc = vm.runInNewContext("gc");
    const links = [];
    const supervisor = new resplice.ServerSupervisor({ port: 0, host: "127.0.0.1" });
    supervisor.serve(async (link) => {
      links.push(new WeakRef(link));
      link.onMessage(() => {});
      await new Promise(() => {});
    });
    const { port } = await supervisor.listen();
    const manager = new resplice.ConnectionManager();
    for (let n = 0; n < 20; n++) {
      const link = manager.open({ port, host: "127.0.0.1" });
      await link.send("hello", { until: "accepted" });
      await link.close();
    }
    for (let n = 0; n < 20; n++) {
      await new Promise((resolve) => setTimeout(resolve, 20));
      gc();
    }
    console.log(links.length, links.filter((link) => link.deref() !== undefined).length < 5 ? "few" : "all");
    await manager.close();
    await supervisor.close({ deadlineMs: 0 });
  `);
  expect(printed).toBe("20 few");
});
