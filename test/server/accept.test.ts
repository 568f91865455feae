/** Streams that were connected elsewhere, handed to a supervisor. */
import { once } from "node:events";
import net from "node:net";
import { type Duplex, duplexPair, PassThrough } from "node:stream";
import { describe, expect, onTestFinished, test } from "vitest";
import { lines, type Link, plain, ServerSupervisor, type ServerSupervisorOptions } from "../../src/index.ts";
import {
  Arrivals,
  echo,
  eventually,
  logKeeper,
  manage,
  QUICK,
  rawServer,
  receiveText,
  refusal,
  turned,
} from "../support.ts";

/** A server that listens nowhere. */
function nowhere(options: ServerSupervisorOptions = {}, handler: (link: Link) => void | Promise<void> = echo) {
  const supervisor = new ServerSupervisor(options);
  const links = new Arrivals<Link>();
  supervisor.serve((link) => {
    links.put(link);
    return handler(link);
  });
  onTestFinished(() => void supervisor.close({ deadlineMs: 0 }));
  return { supervisor, links };
}

test("a durable link lives on over one stream after the other, without a listener", async () => {
  const { supervisor, links } = nowhere();
  const streams: Duplex[] = [];
  const link = manage().open({
    reconnect: QUICK,
    connect: () => {
      const [ours, theirs] = duplexPair();
      streams.push(ours);
      supervisor.accept(theirs, { remoteAddress: "203.0.113.7" });
      return ours;
    },
  });
  await link.send("one");
  expect(await receiveText(link)).toBe("one");
  streams[0]?.destroy();
  const { session } = await turned(link, "connected");
  await link.send("two");
  expect([session, await receiveText(link), streams.length]).toEqual(["resumed", "two", 2]);
  expect((await links.next()).remoteAddress).toBe("203.0.113.7");
  expect([supervisor.state, supervisor.health().status]).toEqual(["created", "healthy"]);
  await Promise.all([link.close(), supervisor.close()]);
  expect(supervisor.state).toBe("closed");
});

test("a client that is not resplice is served, and a half-closed socket is answered", async () => {
  const supervisor = new ServerSupervisor({ protocol: plain({ framing: lines() }) });
  supervisor.serve((link) =>
    link.onMessage(async (message) => {
      await new Promise((resolve) => setTimeout(resolve, 20));
      await link.send(`${String(message)}!`);
    }),
  );
  onTestFinished(() => void supervisor.close({ deadlineMs: 0 }));
  const port = await rawServer((socket) => supervisor.accept(socket));
  const client = net.connect({ port, host: "127.0.0.1", allowHalfOpen: true });
  onTestFinished(() => void client.destroy());
  client.end("one\n");
  let got = "";
  client.on("data", (chunk: Buffer) => (got += String(chunk)));
  await once(client, "end");
  expect(got).toBe("one!\n");
  await eventually(() => expect(supervisor.stats().connections.open).toBe(0));
});

test("beside a listener, under the same limits, counted by the address that is given", async () => {
  const { lines: log, logger } = logKeeper();
  const protocol = plain({ framing: lines() });
  const limits = { connectionsPerAddress: 1 };
  const supervisor = new ServerSupervisor({ port: 0, host: "127.0.0.1", protocol, limits, logger });
  supervisor.serve((link) => link.onMessage(() => {}));
  onTestFinished(() => void supervisor.close({ deadlineMs: 0 }));
  const { port } = await supervisor.listen();
  const listened = net.connect(port, "127.0.0.1");
  onTestFinished(() => void listened.destroy());
  await eventually(() => expect(supervisor.links.size).toBe(1));
  const streams = ["127.0.0.1", "203.0.113.7", "203.0.113.7"].map((remoteAddress) => {
    const [ours, theirs] = duplexPair();
    supervisor.accept(theirs, { remoteAddress });
    return [ours.on("error", () => {}), theirs] as const;
  });
  expect(supervisor.stats()).toMatchObject({ connections: { open: 2 }, turnedAway: { connectionsPerAddress: 2 } });
  expect(streams.map(([, theirs]) => theirs.destroyed)).toEqual([true, false, true]);
  expect(log.filter(({ event }) => event === "server.refused").map(({ remoteAddress }) => remoteAddress)).toEqual([
    "127.0.0.1",
    "203.0.113.7",
  ]);
});

describe("what cannot be served", () => {
  const [open] = duplexPair();

  test.each<[string, () => unknown, RegExp]>([
    ["nothing", () => undefined, /given no stream\.Duplex/],
    ["a Readable", () => Object.assign(new PassThrough(), { write: undefined }), /given no stream\.Duplex/],
    ["destroyed", () => new PassThrough().destroy(), /ended, or was closed/],
    ["ended by us", () => new PassThrough().end(), /ended, or was closed/],
    ["of objects", () => new PassThrough({ objectMode: true }), /stream of objects/],
    ["of text", () => new PassThrough().setEncoding("utf8"), /one of text/],
    ["read by another", () => new PassThrough().on("readable", () => {}), /listener for 'readable'/],
  ])("%s is INVALID_ARGUMENT, and left alone", (_, make, saying) => {
    const { supervisor } = nowhere();
    const given = make();
    const error = refusal(() => supervisor.accept(given as Duplex));
    expect(error.code).toBe("INVALID_ARGUMENT");
    expect(error.message).toMatch(saying);
    expect(supervisor.stats().connections.open).toBe(0);
  });

  test("a stream that is served already", () => {
    const { supervisor } = nowhere();
    const [stream] = duplexPair();
    supervisor.accept(stream);
    expect(refusal(() => supervisor.accept(stream)).message).toMatch(/a connection of a link already/);
    expect(supervisor.stats().connections.open).toBe(1);
  });

  test.each([5, "x".repeat(257), null])("a remoteAddress that is none", (remoteAddress) => {
    const { supervisor } = nowhere();
    expect(refusal(() => supervisor.accept(open, { remoteAddress } as never)).code).toBe("INVALID_OPTION");
  });

  test("anything before serve()", () => {
    const supervisor = new ServerSupervisor({});
    expect(refusal(() => supervisor.accept(open)).code).toBe("INVALID_STATE");
    expect([open.destroyed, supervisor.health().status]).toEqual([false, "down"]);
  });
});

/** A stream whose method of this name throws. */
function throwing(method: "destroy" | "resume"): Duplex {
  const [stream] = duplexPair();
  stream[method] = () => {
    throw new Error("mine");
  };
  return stream;
}

test("a stream that cannot be read all the same is INVALID_ARGUMENT, destroyed, and not kept", async () => {
  const { supervisor } = nowhere({}, () => {});
  const stream = throwing("resume");
  const error = refusal(() => supervisor.accept(stream));
  expect(error).toMatchObject({ code: "INVALID_ARGUMENT", cause: { message: "mine" } });
  expect([stream.destroyed, supervisor.stats().connections.open]).toEqual([true, 0]);
  expect(await supervisor.close()).toMatchObject({ left: 0 });
});

describe("close()", () => {
  test.each([
    ["durable", {}],
    ["plain", { protocol: plain({ framing: lines() }) }],
  ])("of a %s server with a stream whose destroy() throws: the others are destroyed", async (_, options) => {
    const { supervisor } = nowhere(options as ServerSupervisorOptions, () => new Promise(() => {}));
    const others = [duplexPair()[0], duplexPair()[0]];
    for (const stream of [others[0], throwing("destroy"), others[1]]) supervisor.accept(stream as Duplex);
    await supervisor.close({ deadlineMs: 50 });
    expect([supervisor.state, ...others.map(({ destroyed }) => destroyed)]).toEqual(["closed", true, true]);
  });

  test.each([
    ["durable", {}],
    ["plain", { protocol: plain({ framing: lines() }) }],
  ])("a stream that comes to a closing %s server is closed, and nothing is thrown", async (_, options) => {
    const gate = Promise.withResolvers<void>();
    const { supervisor } = nowhere(options as ServerSupervisorOptions, () => gate.promise);
    const [, before] = duplexPair();
    supervisor.accept(before);
    const closing = supervisor.close({ deadlineMs: 500 });
    const [ours, theirs] = duplexPair();
    ours.on("error", () => {}).resume();
    supervisor.accept(theirs);
    // A durable client may have come back to finish.
    expect(theirs.destroyed).toBe("protocol" in options);
    gate.resolve();
    await closing;
    const [, late] = duplexPair();
    supervisor.accept(late);
    expect([supervisor.state, before.destroyed, theirs.destroyed, late.destroyed]).toEqual([
      "closed",
      true,
      true,
      true,
    ]);
  });
});

test("listen() of a server that has nowhere to listen is INVALID_OPTION, and changes nothing", async () => {
  const { supervisor } = nowhere();
  await expect(supervisor.listen()).rejects.toMatchObject({ code: "INVALID_OPTION", option: { name: "port" } });
  expect(supervisor.state).toBe("created");
  supervisor.accept(duplexPair()[0]);
  expect(supervisor.stats().connections.open).toBe(1);
});

test("the log has metrics from the first stream on, once for each interval", async () => {
  const { lines: log, logger } = logKeeper();
  const { supervisor } = nowhere({ logger, metricsIntervalMs: 50 });
  for (let n = 0; n < 5; n++) supervisor.accept(duplexPair()[0]);
  await eventually(() => expect(log.some(({ event }) => event === "server.metrics")).toBe(true));
  expect(log.filter(({ event }) => event === "server.metrics")).toHaveLength(1);
});

test("a stream that fails ends nothing but its connection", async () => {
  const { supervisor } = nowhere();
  const [, stream] = duplexPair();
  supervisor.accept(stream);
  stream.destroy(new Error("mine"));
  await eventually(() => expect(supervisor.stats().connections.open).toBe(0));
});
