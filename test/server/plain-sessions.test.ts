/** Clients that are not resplice, over sockets. */
import { once } from "node:events";
import net from "node:net";
import tls from "node:tls";
import { describe, expect, onTestFinished, test } from "vitest";
import { lengthPrefixed, lines, plain, type StateChange } from "../../src/index.ts";
import { certificate, eventually, failure, heard, logKeeper, manage, receiveText, socketPath } from "../support.ts";
import { LineSocket } from "../client/plain-server.ts";
import { echoLines, lineClient, servePlain } from "./plain-servers.ts";

test("a handler serves each client, with the same face as any link", async () => {
  const { port, links, supervisor } = await servePlain({}, echoLines);
  const client = lineClient(port);
  client.say("one", "two");
  expect([await client.lines.next(), await client.lines.next()]).toEqual(["one", "two"]);
  const link = await links.next();
  expect(link).toMatchObject({ state: "connected", sessionId: "", identity: undefined, remoteAddress: "127.0.0.1" });
  expect([...supervisor.links]).toEqual([link]);
  expect(supervisor.health()).toEqual({ status: "healthy", reasons: [] });
  expect(supervisor.stats()).toMatchObject({
    connections: { open: 1, handshaking: 0 },
    sessions: { connected: 1, waiting: 0 },
    links: { connected: 1 },
    received: { messages: 2, bytes: 6 },
    taken: { messages: 2 },
  });
  client.socket.end();
  expect(await link.closed).toEqual({ undelivered: [], untracked: { messages: 2, bytes: 6 } });
  expect([supervisor.links.size, supervisor.stats().connections.open]).toEqual([0, 0]);
});

test("a client of this package is served like any other", async () => {
  const protocol = plain({ framing: lengthPrefixed(), requests: {} });
  const { port } = await servePlain({ plain: { framing: lengthPrefixed() } }, (link) =>
    link.onMessage(async (message) => link.send(`${String(message)}!`)),
  );
  const link = manage().open({ port, host: "127.0.0.1", protocol });
  expect(String(await link.request("hello"))).toBe("hello!");
});

describe("a client that ends first", () => {
  test("gets the answers to everything that it has said, and then the end", async () => {
    const { port, links } = await servePlain({}, async (link) => {
      for await (const message of link) {
        await new Promise((resolve) => setTimeout(resolve, 20));
        await link.send(`${String(message)}!`);
      }
    });
    const client = lineClient(port, { allowHalfOpen: true });
    client.socket.end("one\ntwo\n");
    expect([await client.lines.next(), await client.lines.next()]).toEqual(["one!", "two!"]);
    await client.ended;
    expect(await (await links.next()).closed).toEqual({ undelivered: [], untracked: { messages: 2, bytes: 8 } });
  });

  test("so it does over TLS", async () => {
    const { cert, key } = await certificate();
    const { port } = await servePlain({ tls: { cert, key } }, (link) =>
      link.onMessage(async (message) => link.send(`${String(message)}!`)),
    );
    const below = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const socket = tls.connect({ socket: below, ca: cert, servername: "localhost" });
    onTestFinished(() => void socket.destroy());
    const client = new LineSocket(socket);
    socket.end("one\n");
    expect(await client.lines.next()).toBe("one!");
    await once(socket, "end");
  });

  test("is heard to the end by a handler that sends only later, with allowHalfOpen", async () => {
    const { port } = await servePlain({ allowHalfOpen: true }, async (link) => {
      const question = await receiveText(link);
      expect(await receiveText(link)).toBeNull();
      await link.send(`late answer to ${question}`);
    });
    const client = lineClient(port, { allowHalfOpen: true });
    client.socket.end("one\n");
    expect(await client.lines.next()).toBe("late answer to one");
    await client.ended;
  });
});

test("a handler that only sends, to a client that ends while it reads on, has not failed", async () => {
  const { port, supervisor, links } = await servePlain({}, async (link) => {
    for (;;) await link.send("x".repeat(100_000));
  });
  let failures = 0;
  supervisor.on("handlerError", () => failures++);
  const client = lineClient(port, { allowHalfOpen: true });
  await client.lines.next();
  client.socket.pause();
  const link = await links.next();
  await eventually(() => expect(link.writableLength).toBeGreaterThan(1_000_000));
  client.socket.end();
  client.socket.resume();
  await client.ended;
  expect((await link.closed).error).toBeUndefined();
  expect([failures, (await link.closed).undelivered]).toEqual([0, []]);
});

describe("a connection that breaks", () => {
  test("ends its link with CONNECTION_LOST, and the report says what became of each message", async () => {
    const { lines: log, logger } = logKeeper();
    const { port, links } = await servePlain({ logger });
    const client = lineClient(port);
    const link = await links.next();
    const changes: StateChange[] = [];
    link.on("state", (change) => void changes.push(change));
    await link.send("arrived?");
    expect(await client.lines.next()).toBe("arrived?");
    client.socket.pause();
    await link.send("x".repeat(500_000));
    for (let n = 0; n < 12; n++) await link.send("x".repeat(1_000_000));
    await link.send("never written");
    const waiting = failure(link.flush());
    const error = heard(link, "error");
    client.socket.resetAndDestroy();
    const report = await link.closed;
    expect(report.error).toMatchObject({ code: "CONNECTION_LOST", retryable: false });
    expect(await error).toBe(report.error);
    expect((await waiting).code).toBe("CONNECTION_LOST");
    expect(report.undelivered.at(-1)).toMatchObject({ delivery: "not-sent", message: Buffer.from("never written") });
    expect(report.undelivered.some(({ delivery }) => delivery === "maybe")).toBe(true);
    // Nothing is missing: what is no longer kept is counted.
    expect(report.undelivered.length + (report.untracked?.messages ?? 0)).toBe(15);
    expect(changes.map(({ to }) => to)).toEqual(["closed"]);
    expect(log.find(({ event, to }) => event === "link.state" && to === "closed")).toMatchObject({
      level: "warn",
      code: "CONNECTION_LOST",
    });
    expect(log.find(({ event }) => event === "link.undelivered")).toMatchObject({ reason: "ended" });
    expect((await failure(() => link.trySend("more"))).code).toBe("LINK_ENDED");
  });

  test("its loop is handed what has arrived, and then the error; that is no failure of the handler", async () => {
    const read: string[] = [];
    const failed = Promise.withResolvers<unknown>();
    const gate = Promise.withResolvers<void>();
    const { port, supervisor, links } = await servePlain({}, async (link) => {
      try {
        await gate.promise;
        for await (const message of link) read.push(String(message));
      } catch (error) {
        failed.resolve(error);
        throw error;
      }
    });
    let handlerErrors = 0;
    supervisor.on("handlerError", () => handlerErrors++);
    const client = lineClient(port);
    client.say("one", "two");
    const link = await links.next();
    await eventually(() => expect(link.readableLength).toBe(30));
    const changed = heard(link, "state");
    client.socket.resetAndDestroy();
    expect(await changed).toMatchObject({ to: "draining", reason: "ECONNRESET" });
    expect(supervisor.stats().sessions).toEqual({ connected: 0, waiting: 1 });
    expect((await failure(link.send("more"))).code).toBe("LINK_ENDED");
    gate.resolve();
    expect(await failed.promise).toMatchObject({ code: "CONNECTION_LOST" });
    expect(read).toEqual(["one", "two"]);
    await link.closed;
    expect(handlerErrors).toBe(0);
  });

  test("flush() of what was never written rejects, also while messages are still to be read", async () => {
    const { port, links } = await servePlain();
    const client = lineClient(port);
    client.say("unread");
    const link = await links.next();
    await eventually(() => expect(link.readableLength).toBeGreaterThan(0));
    client.socket.pause();
    for (let n = 0; n < 14; n++) await link.send("x".repeat(1_000_000));
    const changed = heard(link, "state");
    client.socket.resetAndDestroy();
    expect((await changed).to).toBe("draining");
    expect(await failure(link.flush())).toMatchObject({ code: "LINK_ENDED", cause: { code: "CONNECTION_LOST" } });
    link.abort();
    expect((await link.closed).error?.code).toBe("CONNECTION_LOST");
  });

  test("its handler does not wait for an answer that cannot come", async () => {
    const rejected = Promise.withResolvers<unknown>();
    const { port } = await servePlain(
      { plain: { requests: { classify: (m) => (m[0] === 33 ? "answer" : "push") } } },
      async (link) => {
        for await (const message of link) await link.request(message).catch(rejected.resolve);
      },
    );
    const client = lineClient(port);
    client.say("one", "two", "three");
    expect(await client.lines.next()).toBe("one");
    client.socket.resetAndDestroy();
    expect(await rejected.promise).toMatchObject({ code: "CONNECTION_LOST", delivery: "maybe" });
  });
});

describe("with requests", () => {
  test("the server asks its clients", async () => {
    const { port, links } = await servePlain({ plain: { requests: {} } });
    const client = lineClient(port);
    const link = await links.next();
    const answer = link.request("who?");
    expect(await client.lines.next()).toBe("who?");
    client.say("me");
    expect(String(await answer)).toBe("me");
  });

  test("without them request() is NOT_SUPPORTED", async () => {
    const { port, links } = await servePlain();
    lineClient(port);
    expect((await failure((await links.next()).request("who?"))).code).toBe("NOT_SUPPORTED");
  });
});

test("when its handler returns the link ends in order: what was sent arrives", async () => {
  const { port } = await servePlain({}, (link) => link.send("goodbye"));
  const client = lineClient(port);
  expect(await client.lines.next()).toBe("goodbye");
  await client.ended;
});

test("end() ends our direction, and the client may go on", async () => {
  const { port, links } = await servePlain();
  const client = lineClient(port, { allowHalfOpen: true });
  const link = await links.next();
  await link.send("last");
  link.end();
  expect(await client.lines.next()).toBe("last");
  await client.ended;
  client.say("still here");
  expect(await receiveText(link)).toBe("still here");
  client.socket.end();
  expect((await link.closed).error).toBeUndefined();
});

test("when both have ended a slow consumer still gets everything, and the end is in order", async () => {
  const gate = Promise.withResolvers<void>();
  const read: string[] = [];
  const { port, links } = await servePlain({}, async (link) => {
    link.end();
    await gate.promise;
    for await (const message of link) read.push(String(message));
  });
  const client = lineClient(port);
  const link = await links.next();
  client.socket.end("one\ntwo\n");
  await once(client.socket, "close");
  await eventually(() => expect(link.state).toBe("draining"));
  gate.resolve();
  expect(await link.closed).toEqual({ undelivered: [] });
  expect(read).toEqual(["one", "two"]);
});

test("a handler that throws ends its link alone", async () => {
  const { port, supervisor } = await servePlain({}, (link) =>
    link.onMessage((message) => {
      if (String(message) === "poison") throw new Error("mine");
      link.trySend(message);
    }),
  );
  const failed = new Promise((resolve) => supervisor.once("handlerError", ({ error }) => resolve(error)));
  const other = lineClient(port);
  const client = lineClient(port);
  client.say("poison");
  expect(await failed).toMatchObject({ message: "mine" });
  await client.ended;
  other.say("fine");
  expect(await other.lines.next()).toBe("fine");
});

test("a client that is silent is probed, and given up", async () => {
  const probe = { message: "PING", isAnswer: (message: Buffer): boolean => String(message) === "PONG" };
  const { port, links } = await servePlain({ plain: { probe }, keepalive: { pingAfterMs: 30, deadAfterMs: 60 } });
  const client = lineClient(port);
  const link = await links.next();
  expect(await client.lines.next()).toBe("PING");
  client.say("PONG");
  expect(await client.lines.next()).toBe("PING");
  expect((await link.closed).error?.message).toContain("probe-unanswered");
});

test("an unused connection is closed in order", async () => {
  const { port, links } = await servePlain({ plain: { idleCloseMs: 40 } }, echoLines);
  const client = lineClient(port);
  client.say("one");
  expect(await client.lines.next()).toBe("one");
  await client.ended;
  expect((await (await links.next()).closed).error).toBeUndefined();
});

test("a slow consumer stops the reading, and nothing is lost", async () => {
  const { port, links } = await servePlain({ windowBytes: 10_000 });
  const client = lineClient(port);
  const link = await links.next();
  const count = 100_000;
  for (let n = 0; n < count; n++) client.socket.write(`${n}\n`);
  await eventually(() => expect(link.readableLength).toBeGreaterThan(9_000));
  expect(link.readableLength).toBeLessThan(500_000);
  for (let n = 0; n < count; n++) {
    const message = await link.receive();
    if (String(message) !== String(n)) expect.fail(`${String(message)} is not ${n}`);
  }
});

test("on a Unix socket", async () => {
  const path = await socketPath();
  await servePlain({ path }, echoLines);
  const client = new LineSocket(net.connect(path));
  onTestFinished(() => void client.socket.destroy());
  client.say("one");
  expect(await client.lines.next()).toBe("one");
});

test("messages of one line protocol are no messages of another: the connection is closed, the others go on", async () => {
  const { port, links } = await servePlain({ plain: { framing: lines() }, maxMessageBytes: 10 }, echoLines);
  const client = lineClient(port);
  client.say("x".repeat(100));
  await client.ended;
  const { error } = await (await links.next()).closed;
  expect(error).toMatchObject({ code: "CONNECTION_LOST" });
  expect(error?.message).toContain("maxMessageBytes");
});
