import { once } from "node:events";
import net from "node:net";
import { expect, test } from "vitest";
import { lines, type LoginConnection, plain } from "../../src/index.ts";
import {
  eventually,
  failure,
  heard,
  isPending,
  manage,
  QUICK,
  receiveText,
  refusal,
  turned,
  unusedPort,
} from "../support.ts";
import { firstFailure } from "./first-failure.ts";
import { lineServer, openPlain } from "./plain-server.ts";

test("messages go both ways, over one connection after the other, in order", async () => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port);
  await link.send("one");
  const first = await sockets.next();
  expect(await first.lines.next()).toBe("one");
  first.say("hello", "again");
  expect([await receiveText(link), await receiveText(link)]).toEqual(["hello", "again"]);
  first.socket.end("last words\n");
  await turned(link, "reconnecting");
  expect(await receiveText(link)).toBe("last words");
  await link.send("two");
  const second = await sockets.next();
  expect(await second.lines.next()).toBe("two");
  // Nobody has said that it arrived; and nothing was wrong with its connection.
  expect(await link.close()).toEqual({
    undelivered: [{ message: Buffer.from("one"), delivery: "maybe", position: undefined }],
    untracked: { messages: 1, bytes: 3 },
  });
  expect([link.sessionId, link.stats().reconnects]).toEqual(["", 1]);
});

test("what is sent before there is a server waits for it", async () => {
  const port = await unusedPort();
  const link = openPlain(port);
  for (const text of ["one", "two", "three"]) link.trySend(text);
  await turned(link, "reconnecting");
  const server = net.createServer().listen(port, "127.0.0.1");
  const [socket] = (await once(server, "connection")) as [net.Socket];
  let got = "";
  socket.on("data", (chunk: Buffer) => (got += String(chunk)));
  await eventually(() => expect(got).toBe("one\ntwo\nthree\n"));
  socket.destroy();
  server.close();
});

test("a connection that is lost: what was written on it is in doubt, once, and the link goes on", async () => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port);
  await link.send("maybe");
  const first = await sockets.next();
  expect(await first.lines.next()).toBe("maybe");
  const undelivered = heard(link, "undelivered");
  first.socket.resetAndDestroy();
  expect(await undelivered).toEqual({
    reason: "connection-lost",
    sessionId: "",
    messages: [{ message: Buffer.from("maybe"), delivery: "maybe", position: undefined }],
  });
  await link.send("goes on");
  expect(await (await sockets.next()).lines.next()).toBe("goes on");
  expect(link.stats().undelivered["connection-lost"]).toBe(1);
});

test("with resendInFlight it is sent again, before anything newer", async () => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port, { plain: { resendInFlight: true } });
  await link.send("again");
  const first = await sockets.next();
  expect(await first.lines.next()).toBe("again");
  first.socket.resetAndDestroy();
  await turned(link, "reconnecting");
  await link.send("newer");
  const second = await sockets.next();
  expect([await second.lines.next(), await second.lines.next()]).toEqual(["again", "newer"]);
});

test("a message that cannot be framed is refused, and nothing is taken", async () => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port);
  const error = await failure(() => link.send("two\nlines"));
  expect(error).toMatchObject({ code: "INVALID_ARGUMENT", delivery: "not-sent" });
  expect(refusal(() => link.trySend("two\nlines")).code).toBe("INVALID_ARGUMENT");
  await link.send("one line");
  expect(await (await sockets.next()).lines.next()).toBe("one line");
  expect(link.stats().taken.messages).toBe(1);
});

test("until accepted: only a protocol that answers, or a probe that proves, can tell", async () => {
  const { port } = await lineServer();
  const link = openPlain(port);
  expect(await failure(() => link.send("one", { until: "accepted" }))).toMatchObject({ code: "NOT_SUPPORTED" });
  await link.flush();
});

test("poison closes the connection, and the delays grow as after failed attempts", async () => {
  let connections = 0;
  const { port } = await lineServer((socket) => {
    connections++;
    socket.say("x".repeat(200));
  });
  const link = openPlain(port, { maxMessageBytes: 100, reconnect: { minDelayMs: 60, maxDelayMs: 60 } });
  await eventually(() => expect(connections).toBe(3));
  const change = await turned(link, "reconnecting");
  expect(change.reason).toBe("framing-failed");
  expect(change.nextDelayMs).toBeGreaterThanOrEqual(30);
});

test("without a probe nothing is sent on an idle connection; with one the silence of a server is noticed", async () => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port, {
    keepalive: { pingAfterMs: 30, deadAfterMs: 60 },
    plain: { probe: { message: "PING", isAnswer: (message) => String(message) === "PONG" } },
  });
  const socket = await sockets.next();
  expect(await socket.lines.next()).toBe("PING");
  socket.say("PONG");
  expect(await socket.lines.next()).toBe("PING");
  const { reason } = await turned(link, "reconnecting");
  expect([reason, link.readableLength]).toEqual(["probe-unanswered", 0]);
});

test("a slow consumer stops the reading, and nothing is lost", async () => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port, { windowBytes: 10_000 });
  const { socket } = await sockets.next();
  const count = 200_000;
  for (let n = 0; n < count; n++) socket.write(`${n}\n`);
  await eventually(() => expect(link.readableLength).toBeGreaterThan(9_000));
  expect(link.readableLength).toBeLessThan(500_000);
  for (let n = 0; n < count; n++) {
    const message = await link.receive();
    if (String(message) !== String(n)) expect.fail(`${String(message)} is not ${n}`);
  }
});

test("close() sends what waits first", async () => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port);
  link.trySend("one");
  const report = await link.close();
  expect(await (await sockets.next()).lines.next()).toBe("one");
  expect(report).toEqual({ undelivered: [], untracked: { messages: 1, bytes: 3 } });
});

test("an unused connection is closed, which is no fault; what is sent next dials at once", async () => {
  const { port, sockets } = await lineServer();
  const manager = manage();
  const protocol = plain({ framing: lines(), idleCloseMs: 30 });
  const link = manager.open({ port, host: "127.0.0.1", protocol });
  const first = await sockets.next();
  expect((await turned(link, "idle")).reason).toBe("idle");
  await once(first.socket, "close");
  expect(manager.health()).toEqual({ status: "healthy", reasons: [] });
  expect(manager.stats().links).toMatchObject({ idle: 1, reconnecting: 0 });
  await manager.connected();
  await link.send("needed again");
  expect(await (await sockets.next()).lines.next()).toBe("needed again");
});

test("when it is needed again and its login hangs, the manager says so, and connected() waits", async () => {
  const [{ port, sockets }, other] = [await lineServer(), await lineServer()];
  const manager = manage();
  await manager.open({ port: other.port, host: "127.0.0.1", protocol: plain({ framing: lines() }) }).connected();
  let logins = 0;
  const login = async (connection: LoginConnection): Promise<void> => {
    if (++logins > 1) await connection.receive();
  };
  const link = manager.open({
    port,
    host: "127.0.0.1",
    protocol: plain({ framing: lines(), idleCloseMs: 30, login }),
  });
  await sockets.next();
  await turned(link, "idle");
  link.trySend("needed again");
  const second = await sockets.next();
  await eventually(() => expect(logins).toBe(2));
  expect([manager.health().status, await isPending(manager.connected())]).toEqual(["degraded", true]);
  second.say("welcome");
  expect(await second.lines.next()).toBe("needed again");
  await manager.connected();
  expect(manager.health().status).toBe("healthy");
});

test("so it does with a policy of the queue, and time without need is no outage", async () => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port, {
    plain: { idleCloseMs: 30 },
    queue: { overflow: "drop-oldest", ttlMs: 5_000 },
    reconnect: { ...QUICK, maxElapsedMs: 20 },
  });
  const first = await sockets.next();
  await turned(link, "idle");
  await once(first.socket, "close");
  await link.send("needed again");
  await link.flush();
  expect(await (await sockets.next()).lines.next()).toBe("needed again");
  expect([link.stats().reconnects, link.stats().recoveryMs]).toEqual([0, undefined]);
  const failing = { protocol: plain({ framing: lines(), idleCloseMs: 30 }), queue: { whileDisconnected: "fail" } };
  expect(refusal(() => manage().open({ port, ...failing } as never)).option?.name).toBe("queue.whileDisconnected");
});

test("flush() waits for empty messages, too", async () => {
  const port = await unusedPort();
  const link = openPlain(port);
  await link.send("");
  expect(await isPending(link.flush())).toBe(true);
});

test("the report of the manager has what nobody can know", async () => {
  const { port, sockets } = await lineServer();
  const manager = manage();
  const protocol = plain({ framing: lines() });
  for (const text of ["one", "three"]) manager.open({ port, host: "127.0.0.1", protocol }).trySend(text);
  await (await sockets.next()).lines.next();
  expect(await manager.close()).toEqual({ left: 0, undelivered: [], untracked: { messages: 2, bytes: 8 } });
});

test("a server that cannot be reached is reported as for any link", async () => {
  expect(await firstFailure(openPlain(await unusedPort()))).toMatchObject({ code: "CONNECT_FAILED", retryable: true });
});

test("options of durable links are refused, and defaults are shared where they are for both", async () => {
  const protocol = plain({ framing: lines() });
  const manager = manage({ defaults: { keepalive: { suspectAfterMs: 1 }, maxMessageBytes: 3 } });
  for (const wrong of [{ credentials: "x" }, { mode: "messages" }, { keepalive: { suspectAfterMs: 1 } }]) {
    expect(refusal(() => manager.open({ port: 1, protocol, ...wrong } as never)).code).toBe("INVALID_OPTION");
  }
  expect(refusal(() => manager.open({ port: 1, protocol: { name: "mine" } })).option?.name).toBe("protocol");
  const { port } = await lineServer();
  const link = manager.open({ port, protocol });
  expect(await failure(() => link.send("four"))).toMatchObject({ code: "MESSAGE_TOO_LARGE" });
});

test.each([
  ["plain.framing", { framing: { name: "no functions" } }],
  ["plain.login", { login: "AUTH" }],
  ["plain.probe.message", { probe: { message: 1 } }],
  ["plain.probe.proves", { probe: { message: "PING", proves: true } }],
  ["plain.requests.maxInFlight", { requests: { maxInFlight: 0 } }],
  ["plain.inDoubtBytes", { inDoubtBytes: -1 }],
  ["plain.idleCloseMs", { idleCloseMs: 0 }],
  ["plain.typo", { typo: 1 }],
])("plain() refuses a wrong %s", (name, options) => {
  expect(refusal(() => plain({ framing: lines(), ...options } as never)).option?.name).toBe(name);
});
