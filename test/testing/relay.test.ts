import { once } from "node:events";
import { connect, createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import type { Direction } from "../../src/testing/faults.ts";
import { faultRelay } from "../../src/testing/relay.ts";
import { failure, refusal, unusedPort } from "../support.ts";
import { directions, ends, expectWorks, listen, peer, setUp } from "./relay-ends.ts";

test("forwards both ways and counts connections", async () => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  client.send("hello");
  expect(await server.take(5)).toBe("hello");
  server.send("welcome");
  expect(await client.take(7)).toBe("welcome");
  expect(relay.connections).toBe(1);
  await open();
  expect(relay.connections).toBe(2);
});

test.each(directions)("a half-close %s leaves the other direction open", async (direction) => {
  const { open } = await setUp();
  const { from, to } = ends(await open(), direction);
  from.socket.end("question");
  await to.ended;
  expect(to.text).toBe("question");
  to.socket.end("answer");
  await from.ended;
  expect(from.text).toBe("answer");
  expect(await Promise.all([from.closed, to.closed])).toEqual(["ok", "ok"]);
});

test.each(directions)("a reset %s arrives as a reset", async (direction) => {
  const { open } = await setUp();
  const { from, to } = ends(await open(), direction);
  from.socket.resetAndDestroy();
  expect(await to.closed).toBe("ECONNRESET");
});

test("a reset arrives after a half-close the other way", async () => {
  const { open } = await setUp();
  const [client, server] = await open();
  client.socket.end();
  await server.ended;
  server.socket.resetAndDestroy();
  expect(await client.closed).toBe("ECONNRESET");
});

test("a target that refuses resets the client", async () => {
  const relay = await faultRelay({ port: await unusedPort() });
  onTestFinished(() => relay.close());
  const client = peer(connect(relay.port, "127.0.0.1"));
  expect(await client.closed).toBe("ECONNRESET");
});

test("refuse() refuses new connections and leaves open ones, heal() listens on the same port", async () => {
  const { relay, open } = await setUp();
  const pair = await open();
  relay.refuse();
  const refused = peer(connect(relay.port, "127.0.0.1"));
  expect(await refused.closed).toBe("ECONNREFUSED");
  await expectWorks(pair);
  relay.heal();
  await expectWorks(await open());
  await expectWorks(pair);
  expect(relay.connections).toBe(2);
});

test("the port is kept while connections are refused, and left when they no longer are", async () => {
  const { relay, open } = await setUp();
  const { port } = relay;
  const host = "127.0.0.1";
  // One socket can be connected to itself there. The system gives such a port to nobody who asks for any.
  const onItself = async (): Promise<unknown> => {
    const socket = connect({ port, host, localPort: port, localAddress: host });
    const outcome = await once(socket, "connect").then(
      () => "free",
      (error: NodeJS.ErrnoException) => error.code,
    );
    socket.resetAndDestroy();
    return outcome;
  };
  relay.refuse();
  expect(await onItself()).toBe("EADDRNOTAVAIL");
  relay.heal();
  await expectWorks(await open());
  relay.refuse();
  relay.heal();
  await expectWorks(await open());
  expect(relay.connections).toBe(2);
  relay.refuse();
  await relay.close();
  expect(await onItself()).toBe("free");
});

test("refuse() right after heal() refuses", async () => {
  const { relay } = await setUp();
  relay.refuse();
  relay.heal();
  relay.refuse();
  // Two, as the first may meet the socket that is about to be closed.
  await peer(connect(relay.port, "127.0.0.1")).closed;
  expect(await peer(connect(relay.port, "127.0.0.1")).closed).toBe("ECONNREFUSED");
});

test("heal() gets its port back from someone who took it for a while", async () => {
  const { relay, accepted } = await setUp();
  relay.refuse();
  const thief = createServer();
  await listen(thief, relay.port);
  const stolen = once(thief, "connection");
  relay.heal();
  // The relay's first attempt has failed when this arrives.
  const client = connect(relay.port, "127.0.0.1");
  await stolen;
  client.destroy();
  thief.close();
  const server = accepted();
  for (;;) {
    const attempt = peer(connect(relay.port, "127.0.0.1"));
    const connected = once(attempt.socket, "connect").then(
      () => true,
      () => false,
    );
    if (await connected) return expectWorks([attempt, await server]);
  }
});

test("faults add up until heal()", async () => {
  const { relay, open } = await setUp();
  const [client, server] = await open();
  relay.latency(3_600_000, { direction: "to-server" });
  relay.stall({ direction: "to-client" });
  relay.refuse();
  client.send("one");
  server.send("two");
  expect(await peer(connect(relay.port, "127.0.0.1")).closed).toBe("ECONNREFUSED");
  expect([client.bytes, server.bytes]).toEqual([0, 0]);
  relay.heal();
  expect([await server.take(3), await client.take(3)]).toEqual(["one", "two"]);
});

test("close() ends everything under any fault, can be repeated, and faults do nothing after it", async () => {
  const { relay, open } = await setUp();
  const pairs = [await open(), await open()].flat();
  for (const end of pairs) end.answersFin();
  relay.latency(3_600_000, { direction: "to-server" });
  pairs[0]?.send("never");
  relay.stall();
  relay.blackHole();
  relay.refuse();
  await Promise.all([relay.close(), relay.close(), relay[Symbol.asyncDispose]()]);
  for (const { closed } of pairs) await closed;
  relay.heal();
  relay.cut("rst");
  expect(await peer(connect(relay.port, "127.0.0.1")).closed).toBe("ECONNREFUSED");
});

test("listenPort is used, and one that is taken rejects", async () => {
  const port = await unusedPort();
  const relay = await faultRelay({ port: 9, listenPort: port });
  onTestFinished(() => relay.close());
  expect(relay.port).toBe(port);
  await expect(faultRelay({ port: 9, listenPort: port })).rejects.toMatchObject({ code: "EADDRINUSE" });
});

test("arguments that make no sense are refused", async () => {
  const { relay, open } = await setUp();
  const sideways = { direction: "sideways" as Direction };
  const code = (run: () => unknown): string => refusal(run).code;
  expect(code(() => relay.cut("bang" as "fin"))).toBe("INVALID_ARGUMENT");
  expect(refusal(() => (relay.cut as () => void)()).message).toBe('cut() takes "fin" or "rst", and not undefined');
  expect(code(() => relay.blackHole(sideways))).toBe("INVALID_OPTION");
  expect(code(() => relay.stall(sideways))).toBe("INVALID_OPTION");
  expect(code(() => relay.latency(1, sideways))).toBe("INVALID_OPTION");
  expect(code(() => relay.latency(1, { jiterMs: 1 } as object))).toBe("INVALID_OPTION");
  expect(code(() => relay.cutAfterBytes(1, sideways))).toBe("INVALID_OPTION");
  for (const wrong of [-1, NaN, Infinity, "5" as unknown as number]) {
    expect(code(() => relay.latency(wrong))).toBe("INVALID_ARGUMENT");
    expect(code(() => relay.latency(1, { jitterMs: wrong }))).toBe("INVALID_OPTION");
    expect(code(() => relay.cutAfterBytes(wrong))).toBe("INVALID_ARGUMENT");
    expect(await failure(faultRelay({ port: wrong }))).toMatchObject({ code: "INVALID_OPTION" });
    expect(await failure(faultRelay({ port: 9, listenPort: wrong }))).toMatchObject({ code: "INVALID_OPTION" });
  }
  expect(code(() => relay.cutAfterBytes(1.5))).toBe("INVALID_ARGUMENT");
  expect(await failure((faultRelay as unknown as () => Promise<unknown>)())).toMatchObject({
    code: "INVALID_ARGUMENT",
  });
  await expectWorks(await open());
});
