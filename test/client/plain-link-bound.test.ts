/** Messages of a plain link that are for one connection alone. */
import { expect, test } from "vitest";
import { lines, plain, type PlainLink, ServerSupervisor, type Undelivered } from "../../src/index.ts";
import { Arrivals, eventually, failure, heard, isPending, manage, refusal, turned } from "../support.ts";
import { lineServer, openPlain } from "./plain-server.ts";

const GONE = { code: "CONNECTION_LOST", delivery: "not-sent", retryable: true };
const LARGE = "x".repeat(200_000);

test("`connection` is another for each connection, and undefined while there is none", async () => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port);
  expect(link.connection).toBeUndefined();
  await link.connected();
  const first = link.connection;
  const { socket } = await sockets.next();
  socket.resetAndDestroy();
  await turned(link, "reconnecting");
  expect(link.connection).toBeUndefined();
  await turned(link, "connected");
  expect(link.connection).toEqual(expect.any(Number));
  expect(link.connection).not.toBe(first);
  await link.close();
  expect(link.connection).toBeUndefined();
});

test("a message for a connection that is gone is refused, whatever the call is", async () => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port, { plain: { requests: {} } });
  await link.connected();
  const onConnection = link.connection;
  const first = await sockets.next();
  const answered = link.request("on the first", { onConnection });
  expect(await first.lines.next()).toBe("on the first");
  first.say("yes");
  expect(String(await answered)).toBe("yes");
  first.socket.resetAndDestroy();
  await turned(link, "reconnecting");
  for (const gone of [{ onConnection }, { onConnection: undefined }]) {
    expect(await failure(link.send("late", gone))).toMatchObject(GONE);
    expect(await failure(link.request("late", gone))).toMatchObject(GONE);
    expect(refusal(() => link.trySend("late", gone))).toMatchObject(GONE);
  }
  await turned(link, "connected");
  expect(await failure(link.request("late", { onConnection }))).toMatchObject(GONE);
  const second = await sockets.next();
  const next = link.request("on the second", { onConnection: link.connection });
  expect(await second.lines.next()).toBe("on the second");
  second.say("yes");
  expect(String(await next)).toBe("yes");
  await link.close();
  expect(await failure(link.send("late", { onConnection }))).toMatchObject({ code: "LINK_ENDED" });
});

/** A link whose first request has no answer, so that what is sent next waits. */
async function waiting(terms: Parameters<typeof openPlain>[1] = {}) {
  const { port, sockets } = await lineServer();
  const link = openPlain(port, { ...terms, plain: { requests: { maxInFlight: 1 } } });
  await link.connected();
  const onConnection = link.connection;
  const first = await sockets.next();
  link.trySend("first");
  expect(await first.lines.next()).toBe("first");
  return { link, sockets, onConnection, first };
}

/** Answers the lines that come until one is `last`. */
async function answerUpTo(
  socket: { lines: Arrivals<string>; say(line: string): void },
  last: string,
): Promise<string[]> {
  const got: string[] = [];
  while (got.at(-1) !== last) {
    got.push(await socket.lines.next());
    socket.say("yes");
  }
  return got;
}

test("what waits under a policy of the queue is not sent once the connection is gone", async () => {
  const { link, sockets, onConnection, first } = await waiting({ queue: { overflow: "drop-oldest" } });
  // The log takes no more behind this.
  link.trySend(LARGE);
  const calls = [
    failure(link.request("a", { onConnection })),
    failure(link.send("b", { onConnection, until: "accepted" })),
  ];
  const flushed = failure(link.flush());
  link.trySend("c", { onConnection });
  link.trySend("d");
  expect(link.stats().queue.messages).toBe(5);
  const told: Array<[string, string[]]> = [];
  link.on("undelivered", ({ reason, messages }: Undelivered) => {
    told.push([reason, messages.map(({ message, delivery }) => `${String(message)} ${delivery}`)]);
  });
  first.socket.resetAndDestroy();
  expect(await Promise.all(calls)).toMatchObject([GONE, GONE]);
  expect(await flushed).toMatchObject({ code: "CONNECTION_LOST" });
  await eventually(() =>
    expect(told).toEqual([
      ["connection-lost", ["first maybe"]],
      ["connection-lost", ["c not-sent"]],
    ]),
  );
  expect(await answerUpTo(await sockets.next(), "d")).toEqual([LARGE, "d"]);
  // Those of calls are counted as well, wherever they have waited.
  expect(link.stats().undelivered).toMatchObject({ "connection-lost": 4, overflow: 0 });
  await eventually(() => expect(link.stats().queue.messages).toBe(0));
});

test("a call that waits for room is told as soon as the connection is gone, and others wait on", async () => {
  const { link, sockets, onConnection, first } = await waiting({ queue: { maxMessages: 2 } });
  for (const text of ["second", "third"]) link.trySend(text);
  const bound = failure(link.send("bound", { onConnection }));
  const any = link.send("any");
  expect(await isPending(bound)).toBe(true);
  link.hold();
  first.socket.resetAndDestroy();
  expect(await bound).toMatchObject(GONE);
  expect(await isPending(any)).toBe(true);
  link.retryNow();
  expect(await answerUpTo(await sockets.next(), "any")).toEqual(["second", "third", "any"]);
});

test("a call that waits for room is taken for its connection while that lasts", async () => {
  const { link, sockets, onConnection, first } = await waiting({ queue: { maxMessages: 1 } });
  link.trySend("second");
  const bound = link.send("bound", { onConnection });
  first.say("yes");
  await bound;
  const undelivered = heard(link, "undelivered");
  first.socket.resetAndDestroy();
  const { messages } = await undelivered;
  expect(messages.map(({ message, delivery }) => `${String(message)} ${delivery}`)).toEqual([
    "second maybe",
    "bound not-sent",
  ]);
  link.trySend("last");
  expect(await answerUpTo(await sockets.next(), "last")).toEqual(["last"]);
});

test("at a server the link has one connection", async () => {
  const supervisor = new ServerSupervisor({ port: 0, protocol: plain({ framing: lines() }) });
  const links = new Arrivals<PlainLink>();
  supervisor.serve((link) => {
    links.put(link);
    link.onMessage((message) => void link.trySend(message, { onConnection: link.connection }));
  });
  const { port } = await supervisor.listen();
  const client = manage().open({ port, protocol: plain({ framing: lines() }) });
  client.trySend("hello");
  expect(String(await client.receive())).toBe("hello");
  const served = await links.next();
  expect(served.connection).toEqual(expect.any(Number));
  await Promise.all([client.close(), served.closed]);
  expect([served.connection, await supervisor.close()]).toMatchObject([undefined, { left: 0 }]);
});
