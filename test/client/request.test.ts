import { expect, test } from "vitest";
import { eventually, failure, heard, isPending, receiveText, turned } from "../support.ts";
import { lineServer, openPlain } from "./plain-server.ts";

const REQUESTS = { requests: {} };

test("each request is given its answer, in order, many at a time", async () => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port, { plain: REQUESTS });
  const answers = ["one", "two", "three"].map((text) => link.request(text));
  const socket = await sockets.next();
  for (let n = 0; n < 3; n++) socket.say(`answer to ${await socket.lines.next()}`);
  expect((await Promise.all(answers)).map(String)).toEqual(["answer to one", "answer to two", "answer to three"]);
  expect(link.stats().accepted).toEqual({ messages: 3, bytes: 11 });
});

test("answers of several parts, and messages that are no answers", async () => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port, {
    plain: {
      requests: {
        classify: (message) => (message[0] === 62 ? "push" : message[3] === 45 ? "more" : "answer"),
      },
    },
  });
  const [first, second] = [link.requestParts("EHLO"), link.request("HELP")];
  const socket = await sockets.next();
  socket.say("250-size", "> news", "250-pipelining", "250 ok", "214-read", "214 it");
  expect((await first).map(String)).toEqual(["250-size", "250-pipelining", "250 ok"]);
  expect([String(await second), await receiveText(link)]).toEqual(["214-read214 it", "> news"]);
});

test("a request that was cancelled keeps its place: the next one gets its own answer", async () => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port, { plain: REQUESTS });
  await link.connected();
  const abort = new AbortController();
  const cancelled = failure(() => link.request("slow", { signal: abort.signal }));
  const socket = await sockets.next();
  expect(await socket.lines.next()).toBe("slow");
  abort.abort();
  expect(await cancelled).toMatchObject({ code: "ABORTED", delivery: "maybe" });
  const next = link.request("next");
  expect(await socket.lines.next()).toBe("next");
  socket.say("slow answer", "next answer");
  expect(String(await next)).toBe("next answer");
});

test("an answer before the request was written whole: the rest is written, and nothing is mixed up", async () => {
  const { port, sockets } = await lineServer((socket) => socket.letGo());
  const link = openPlain(port, { plain: REQUESTS, maxMessageBytes: 8_000_000 });
  const large = "x".repeat(8_000_000);
  const first = link.request(large);
  const second = link.request("second");
  const { socket } = await sockets.next();
  let bytes = 0;
  let last = "";
  socket.once("data", () => {
    socket.pause();
    socket.write("too large\n");
  });
  expect(String(await first)).toBe("too large");
  socket.on("data", (chunk: Buffer) => {
    bytes += chunk.length;
    last = String(chunk.subarray(-8));
    if (last.endsWith("second\n")) socket.write("answer\n");
  });
  socket.resume();
  expect(String(await second)).toBe("answer");
  expect(bytes).toBeGreaterThan(7_500_000);
  expect(await link.close()).toEqual({ undelivered: [] });
});

test("by an id of theirs, in any order", async () => {
  const { port, sockets } = await lineServer();
  const idOf = (message: Buffer): string => String(message).split(" ")[0] as string;
  const link = openPlain(port, { plain: { requests: { idOf } } });
  const answers = [link.request("1 one"), link.request("2 two")];
  const socket = await sockets.next();
  await eventually(() => expect(socket.lines.size).toBe(2));
  socket.say("2 second", "1 first");
  expect((await Promise.all(answers)).map(String)).toEqual(["1 first", "2 second"]);
});

test("a connection that is lost: what was written and not answered is in doubt, what was not stays", async () => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port, { plain: { requests: { maxInFlight: 1 } } });
  const lost = failure(() => link.request("written"));
  const waits = link.request("waits");
  const first = await sockets.next();
  expect(await first.lines.next()).toBe("written");
  expect(first.lines.size).toBe(0);
  first.socket.resetAndDestroy();
  expect(await lost).toMatchObject({ code: "CONNECTION_LOST", delivery: "maybe" });
  const second = await sockets.next();
  expect(await second.lines.next()).toBe("waits");
  second.say("answered");
  expect(String(await waits)).toBe("answered");
});

test("an answer that does not come: the connection is given up", async () => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port, { plain: REQUESTS, timeouts: { answerMs: 50 } });
  const lost = failure(() => link.request("unanswered"));
  await sockets.next();
  expect((await turned(link, "reconnecting")).reason).toBe("answer-late");
  expect(await lost).toMatchObject({ code: "CONNECTION_LOST", delivery: "maybe" });
});

test("at the end of the link", async () => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port, { plain: { requests: { maxInFlight: 1 } } });
  const [written, waiting] = [failure(() => link.request("one")), failure(() => link.request("two"))];
  await (await sockets.next()).lines.next();
  link.abort();
  expect([await written, await waiting]).toMatchObject([
    { code: "LINK_ENDED", delivery: "maybe" },
    { code: "LINK_ENDED", delivery: "not-sent" },
  ]);
});

test("needs requests in plain(), and an id where there are ids", async () => {
  const { port } = await lineServer();
  expect(await failure(() => openPlain(port).request("one"))).toMatchObject({ code: "NOT_SUPPORTED" });
  const link = openPlain(port, { plain: { requests: { idOf: () => undefined } } });
  const refused = { code: "NOT_SUPPORTED", delivery: "not-sent" };
  expect(await failure(() => link.request("one"))).toMatchObject(refused);
  expect(await failure(() => link.send("one", { until: "accepted" }))).toMatchObject(refused);
  const queued = openPlain(port, { plain: { requests: { idOf: () => undefined } }, queue: { ttlMs: 60_000 } });
  expect(await failure(() => queued.send("one", { until: "accepted" }))).toMatchObject(refused);
});

test("send() until accepted resolves with the answer's arrival, and flush() when the kernel has everything", async () => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port, { plain: REQUESTS });
  await link.connected();
  const accepted = link.send("one", { until: "accepted" });
  await link.flush();
  expect(await isPending(accepted)).toBe(true);
  (await sockets.next()).say("ok");
  await accepted;
});

test("under a policy of the queue: a request that waits is dropped, and told so; one that cannot be framed is refused", async () => {
  const { port, sockets } = await lineServer((socket) => socket.socket.pause());
  const link = openPlain(port, {
    plain: { requests: { maxInFlight: 1 } },
    queue: { maxMessages: 1, overflow: "drop-oldest" },
  });
  const dropped = failure(() => link.request("old"));
  const answered = link.request("new");
  expect(await failure(() => link.request("two\nlines"))).toMatchObject({ code: "INVALID_ARGUMENT" });
  expect(await dropped).toMatchObject({ code: "DROPPED", delivery: "not-sent" });
  const socket = await sockets.next();
  socket.socket.resume();
  expect(await socket.lines.next()).toBe("new");
  socket.say("answer");
  expect(String(await answered)).toBe("answer");
});

test("messages that a policy drops are reported", async () => {
  const { port, sockets } = await lineServer();
  const link = openPlain(port, { queue: { maxMessages: 2, overflow: "drop-oldest" } });
  const undelivered = heard(link, "undelivered");
  for (const text of ["one", "two", "three"]) link.trySend(text);
  expect(await undelivered).toMatchObject({ reason: "overflow", messages: [{ delivery: "not-sent" }] });
  const socket = await sockets.next();
  expect([await socket.lines.next(), await socket.lines.next()]).toEqual(["two", "three"]);
});
