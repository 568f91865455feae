import { once } from "node:events";
import net from "node:net";
import { describe, expect, test, vi } from "vitest";
import { type CloseReport, ConnectionManager, type Link, MiB } from "../../src/index.ts";
import { opener } from "../../src/client/manager.ts";
import { FORGET_AFTER_MS } from "../../src/link/closing.ts";
import { fakeTime } from "../fake-time.ts";
import {
  echo,
  eventually,
  failure,
  isPending,
  logKeeper,
  manage,
  QUICK,
  receiveText,
  relayTo,
  runToExit,
  serve,
  turned,
  unusedPort,
} from "../support.ts";

const host = "127.0.0.1";

test("links: those that can be sent on", async () => {
  const { port } = await serve();
  const manager = manage();
  const one = manager.open({ port, host });
  const two = manager.open({ port, host });
  expect([...manager.links]).toEqual([one, two]);
  await manager.connected();
  void one.close();
  expect([...manager.links]).toEqual([two]);
  two.abort();
  expect([...manager.links]).toEqual([]);
});

test("defaults are for links that say nothing else, group by group", async () => {
  const { port, links } = await serve();
  const manager = manage({ defaults: { queue: { maxMessages: 2 }, maxMessageBytes: 10, reconnect: QUICK } });
  const link = manager.open({ port, host, queue: { maxBytes: 1_000 } });
  const other = manager.open({ port, host, maxMessageBytes: 20 });
  expect(await failure(link.send("x".repeat(11)))).toMatchObject({ code: "MESSAGE_TOO_LARGE" });
  expect([0, 1, 2].map(() => link.trySend("x"))).toEqual([true, true, false]);
  expect(other.trySend("x".repeat(11))).toBe(true);
  await links.next();
});

test("links that share their options are links by themselves; they are opened as others are", async () => {
  const { port, links } = await serve();
  const manager = manage();
  const open = opener(manager, { port, host });
  const [one, other] = [open(), open()];
  await manager.connected();
  one.abort();
  expect([...manager.links]).toEqual([other]);
  await other.send("hello");
  await links.next();
  expect(() => opener(manager, { port: 0, host })).toThrow(expect.objectContaining({ code: "INVALID_OPTION" }));
  await manager.close({ deadlineMs: 0 });
  expect(open).toThrow(expect.objectContaining({ code: "INVALID_STATE" }));
});

describe("connected()", () => {
  test("resolves when all are; at once without links", async () => {
    const { port } = await serve();
    const manager = manage();
    await manager.connected();
    const relay = await relayTo(port);
    relay.refuse();
    manager.open({ port, host });
    manager.open({ port: relay.port, host, reconnect: QUICK });
    const connected = manager.connected();
    expect(await isPending(connected, 50)).toBe(true);
    relay.heal();
    await connected;
  });

  test("rejects with the error of the first that ends instead, or ABORTED", async () => {
    const manager = manage();
    manager.open({ port: await unusedPort(), host, reconnect: QUICK });
    const controller = new AbortController();
    const waiting = failure(manager.connected({ signal: controller.signal }));
    controller.abort();
    expect(await waiting).toMatchObject({ code: "ABORTED" });
    manager.open({ port: await unusedPort(), host, reconnect: { maxAttempts: 1 } });
    expect(await failure(manager.connected())).toMatchObject({ code: "GAVE_UP" });
  });
});

test("health: healthy, degraded, down", async () => {
  const { port } = await serve();
  const relay = await relayTo(port);
  const manager = manage();
  expect(manager.health()).toEqual({ status: "healthy", reasons: [] });
  const one = manager.open({ port, host });
  const two = manager.open({ port: relay.port, host, reconnect: QUICK });
  expect(manager.health().status).toBe("down");
  await manager.connected();
  expect(manager.health()).toEqual({ status: "healthy", reasons: [] });
  relay.refuse();
  relay.cut("rst");
  await turned(two, "reconnecting");
  expect(manager.health().status).toBe("degraded");
  expect(manager.health().reasons).toEqual([`link ${two.id} is reconnecting: ECONNRESET`]);
  one.abort();
  expect(manager.health().status).toBe("down");
  void manager.close({ deadlineMs: 0 });
  expect(manager.health().status).toBe("down");
});

describe("a link that has ended for good", () => {
  async function lost(): Promise<{ manager: ConnectionManager; link: Link; target: { port: number; host: string } }> {
    const manager = manage();
    const target = { port: await unusedPort(), host };
    const link = manager.open({ ...target, reconnect: { maxAttempts: 1 } });
    await link.closed;
    return { manager, link, target };
  }

  test("is missed, by health() and connected(), until another to the same target is opened", async () => {
    const { manager, link, target } = await lost();
    const { status, reasons } = manager.health();
    expect([status, reasons]).toEqual(["down", [expect.stringMatching(`^link ${link.id} has ended: GAVE_UP: `)]]);
    expect(await failure(manager.connected())).toBe((await link.closed).error);
    const { port } = await serve();
    manager.open({ port, host });
    await eventually(() => expect(manager.health().status).toBe("degraded"));
    expect(await failure(manager.connected())).toMatchObject({ code: "GAVE_UP" });
    manager.open(target).abort();
    expect(manager.health()).toEqual({ status: "healthy", reasons: [] });
    await manager.connected();
  });

  test("is missed no more when the application closes it", async () => {
    const { manager, link } = await lost();
    await link.close();
    expect(manager.health()).toEqual({ status: "healthy", reasons: [] });
    await manager.connected();
  });

  test("is not missed if it was closed before, or is replaced by who hears of its end", async () => {
    const manager = manage();
    const { port } = await serve();
    const target = { port: await unusedPort(), host };
    const closed = manager.open(target);
    closed.trySend("never delivered");
    expect((await closed.close({ deadlineMs: 0 })).error).toMatchObject({ code: "CLOSE_TIMEOUT" });
    expect(manager.health().status).toBe("healthy");
    const link = manager.open({ ...target, reconnect: { maxAttempts: 1 } });
    let next: Link | undefined;
    link.on("state", ({ to }) => {
      if (to === "closed") next = manager.open({ ...target, reconnect: QUICK });
    });
    await link.closed;
    expect(manager.health().reasons).toEqual([`link ${next?.id} is created: opened`]);
    next?.abort();
    manager.open({ port, host });
    await manager.connected();
    expect(manager.health().status).toBe("healthy");
  });

  test("a manager that closes has nothing connected", async () => {
    const manager = manage();
    await manager.close();
    expect(await failure(manager.connected())).toMatchObject({ code: "INVALID_STATE" });
  });
});

test("health names ten links at the most, and why they are away", async () => {
  const manager = manage();
  const port = await unusedPort();
  const links = Array.from({ length: 12 }, () => manager.open({ port, host }));
  await Promise.all(links.map((link) => turned(link, "reconnecting")));
  const { status, reasons } = manager.health();
  expect([status, reasons.length, reasons.at(-1)]).toEqual(["down", 11, "and 2 more links"]);
  expect(reasons[0]).toMatch(
    new RegExp(`^link ${links[0]?.id} is reconnecting: CONNECT_FAILED: connect ECONNREFUSED 127\\.0\\.0\\.1:\\d+$`),
  );
});

test("stats add up over the links", async () => {
  const { port } = await serve({}, echo);
  const manager = manage();
  for (const text of ["one", "three"]) {
    const link = manager.open({ port, host });
    await link.send(text);
    await receiveText(link);
  }
  expect(manager.stats()).toMatchObject({
    links: { connected: 2, closed: 0 },
    dialsInFlight: 0,
    taken: { messages: 2, bytes: 8 },
    received: { messages: 2, bytes: 8 },
  });
  expect(manager.stats().bufferBytes).toBeGreaterThanOrEqual(0);
});

test("maxDialsInFlight holds for all links together", async () => {
  const manager = manage({ maxDialsInFlight: 2 });
  const gate = Promise.withResolvers<void>();
  let inFlight = 0;
  let most = 0;
  for (let i = 0; i < 6; i++) {
    manager.open({
      reconnect: { minDelayMs: 1, maxDelayMs: 1, maxAttempts: 2 },
      connect: async () => {
        most = Math.max(most, ++inFlight);
        await gate.promise;
        inFlight--;
        throw new Error("nothing there");
      },
    });
  }
  await eventually(() => expect([inFlight, manager.stats().dialsInFlight]).toEqual([2, 2]));
  gate.resolve();
  await eventually(() => expect(manager.links.size).toBe(0));
  expect(most).toBe(2);
});

test("a budget of nothing leaves each link its least window, and everything arrives", async () => {
  const { port } = await serve({ limits: { bufferBytes: 0 } }, echo);
  const manager = manage({ maxBufferBytes: 0 });
  const link = manager.open({ port, host });
  const message = Buffer.alloc(1 * MiB, 5);
  const send = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) await link.send(message);
  };
  const receive = async (): Promise<void> => {
    for (let i = 0; i < 5; i++) expect((await link.receive())?.equals(message)).toBe(true);
  };
  await Promise.all([send(), receive()]);
  await link.flush();
  expect(manager.stats().bufferBytes).toBe(0);
});

describe("close()", () => {
  test("drains all links, and none can be opened any more", async () => {
    const seen: string[] = [];
    const { port } = await serve({}, (link) => link.onMessage((message) => void seen.push(String(message))));
    const manager = manage();
    const links = [0, 1, 2].map((i) => {
      const link = manager.open({ port, host });
      link.trySend(`message ${i}`);
      return link;
    });
    const closing = manager.close();
    expect(manager.close()).toBe(closing);
    expect(await failure(() => manager.open({ port, host }))).toMatchObject({ code: "INVALID_STATE" });
    expect(await closing).toEqual({ left: 0, undelivered: [] });
    expect(seen.toSorted()).toEqual(["message 0", "message 1", "message 2"]);
    expect(links.map(({ state }) => state)).toEqual(["closed", "closed", "closed"]);
  });

  test("leaves no connection behind where a peer has not heard of the end", async () => {
    fakeTime({ toFake: ["setTimeout", "clearTimeout", "performance"], shouldAdvanceTime: true });
    const { port } = await serve({}, (link) => link.onMessage(() => {}));
    const relay = await relayTo(port);
    const manager = manage();
    const sockets: net.Socket[] = [];
    const link = manager.open({
      connect: () => {
        const socket = net.connect(relay.port, host);
        sockets.push(socket);
        return new Promise((resolve) => socket.once("connect", () => resolve(socket)));
      },
    });
    link.onMessage(() => {});
    await link.send("accepted");
    await link.flush();
    const silent = new Promise<void>((resolve) => {
      link.on("state", ({ to }) => {
        if (to !== "closed") return;
        relay.blackHole();
        resolve();
      });
    });
    const closing = manager.close();
    await silent;
    expect(sockets.map(({ destroyed }) => destroyed)).toContain(false);
    await vi.advanceTimersByTimeAsync(FORGET_AFTER_MS);
    await closing;
    expect(sockets.map(({ destroyed }) => destroyed)).not.toContain(false);
  });

  test("says which link could not deliver what", async () => {
    const manager = manage();
    const link = manager.open({ port: await unusedPort(), host, reconnect: QUICK });
    link.trySend("for nobody");
    expect(await manager.close({ deadlineMs: 50 })).toEqual({
      left: 1,
      cutOff: [{ link, reason: "away" }],
      undelivered: [{ link, message: Buffer.from("for nobody"), delivery: "not-sent", position: undefined }],
    });
  });

  test("without links, and by await using", async () => {
    expect(await manage().close()).toEqual({ left: 0, undelivered: [] });
    const { port, links } = await serve();
    {
      await using manager = new ConnectionManager();
      const link = manager.open({ port, host });
      await link.send("one");
      await (await links.next()).receive();
    }
    expect(links.size).toBe(0);
  });

  test("nothing is opened any more by who hears of a link's end, and a second call gives the same promise", async () => {
    const manager = manage();
    const links = [1, 2].map((port) => manager.open({ port, host }));
    const errors: unknown[] = [];
    let again: Promise<CloseReport> | undefined;
    links[0]?.on("state", () => {
      again ??= manager.close();
      try {
        manager.open({ port: 3, host });
      } catch (error) {
        errors.push(error);
      }
    });
    const closing = manager.close();
    await closing;
    expect(errors[0]).toMatchObject({ code: "INVALID_STATE" });
    expect(again).toBe(closing);
  });

  test("a link that a listener ends meanwhile is reported", async () => {
    const manager = manage();
    const [first, second] = [1, 2].map((port) => manager.open({ port, host })) as [Link, Link];
    first.trySend("one");
    second.trySend("two");
    first.on("state", () => second.abort());
    const { undelivered } = await manager.close({ deadlineMs: 0 });
    expect(undelivered.map(({ link }) => link)).toEqual(expect.arrayContaining([first, second]));
  });

  test("a deadline that makes no sense is refused", async () => {
    const { port } = await serve();
    const manager = manage();
    manager.open({ port, host });
    expect(await failure(() => manager.close({ deadlineMs: -1 }))).toMatchObject({ code: "INVALID_OPTION" });
    // And changes nothing.
    manager.open({ port, host });
  });
});

describe("the process", () => {
  test("exits by itself after close()", async () => {
    const { port } = await serve({}, echo);
    const printed = await runToExit(`
      const manager = new resplice.ConnectionManager({ logger: { debug() {}, info() {}, warn() {}, error() {} } });
      const link = manager.open({ port: ${port}, host: "127.0.0.1" });
      await link.send("hello");
      console.log(String(await link.receive()));
      await manager.close();
      console.log("closed");
    `);
    expect(printed).toBe("hello\nclosed");
  });

  test("exits by itself soon after close() has run out of time, offline", async () => {
    const printed = await runToExit(`
      const manager = new resplice.ConnectionManager();
      const link = manager.open({ port: ${await unusedPort()}, host: "127.0.0.1" });
      link.trySend("for nobody");
      await new Promise((resolve) => link.once("state", resolve));
      await manager.close({ deadlineMs: 50 });
      const closedMs = performance.now();
      process.on("exit", () => console.log(performance.now() - closedMs < 1_000 ? "soon" : "late"));
    `);
    expect(printed).toBe("soon");
  });

  test.each([
    ["an attempt: nothing is dialled", "connecting", 0],
    ["a pause between attempts: nobody waits for that", "reconnecting", 1],
  ])("exits by itself soon after a listener has ended the link that tells of %s", async (_, to, dials) => {
    const printed = await runToExit(`
      let dials = 0;
      const link = new resplice.ConnectionManager().open({
        reconnect: { minDelayMs: 5_000, maxDelayMs: 5_000 },
        connect: () => {
          dials++;
          throw new Error("nothing there");
        },
      });
      link.on("state", (change) => change.to === "${to}" && link.abort());
      await link.closed;
      const closedMs = performance.now();
      process.on("exit", () => console.log(performance.now() - closedMs < 1_000 ? "soon" : "late", dials));
    `);
    expect(printed).toBe(`soon ${dials}`);
  });

  test("stays alive for an open link, also while offline", async () => {
    const port = await unusedPort();
    const running = runToExit(`
      const manager = new resplice.ConnectionManager();
      const link = manager.open({ port: ${port}, host: "127.0.0.1" });
      await link.connected();
      console.log(link.state);
      process.exit();
    `);
    const closing = net.createServer((socket) => socket.destroy()).listen(port, host);
    await once(closing, "connection");
    closing.close();
    await once(closing, "close");
    await serve({ port });
    expect(await running).toBe("connected");
  });
});

test("what the logger is told holds no secret and no credential", async () => {
  const { lines, logger } = logKeeper();
  const { port } = await serve({ authenticate: () => "someone", logger }, echo);
  const relay = await relayTo(port);
  const manager = manage({ logger, metricsIntervalMs: 20 });
  const link = manager.open({
    port: relay.port,
    host,
    reconnect: QUICK,
    credentials: "hunter2",
    openPayload: "pay10ad",
  });
  await link.send("b0dy");
  await receiveText(link);
  relay.cut("rst");
  await turned(link, "connected");
  await eventually(() => expect(lines.some(({ event }) => event === "manager.metrics")).toBe(true));
  link.trySend("l0st");
  await link.close({ deadlineMs: 0 });
  expect(lines.length).toBeGreaterThan(5);
  for (const line of lines) {
    const text = JSON.stringify(line);
    for (const secret of ["hunter2", "pay10ad", "b0dy", "l0st"]) expect(text).not.toContain(secret);
  }
});

test("the metrics line has how long links were away", async () => {
  const { lines, logger } = logKeeper();
  const { port } = await serve();
  const relay = await relayTo(port);
  const manager = manage({ logger, metricsIntervalMs: 20 });
  const link = manager.open({ port: relay.port, host, reconnect: QUICK });
  await link.connected();
  relay.cut("rst");
  await turned(link, "reconnecting");
  await turned(link, "connected");
  const { recoveryMs } = link.stats();
  await eventually(() => {
    const metrics = lines.filter(({ event, reconnects }) => event === "manager.metrics" && reconnects === 1);
    expect(metrics).toMatchObject([{ recoveryMsMedian: recoveryMs, recoveryMsMax: recoveryMs }]);
  });
  expect(recoveryMs).toBeGreaterThan(0);
});
