/** The limits of a server of clients that are not resplice. */
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { Arrivals, eventually, logKeeper } from "../support.ts";
import { echoLines, lineClient, type PlainServed, servePlain } from "./plain-servers.ts";

const forever = (): Promise<void> => new Promise(() => {});

async function echoes(port: number): Promise<ReturnType<typeof lineClient>> {
  const client = lineClient(port);
  client.say("hello");
  expect(await client.lines.next()).toBe("hello");
  return client;
}

function turnedAway({ supervisor }: PlainServed): Record<string, number> {
  return supervisor.stats().turnedAway;
}

test("connections: a client above it is closed, counted and logged, and there is room when one has left", async () => {
  const { lines, logger } = logKeeper();
  const served = await servePlain({ logger, limits: { connections: 2 } }, echoLines);
  const first = await echoes(served.port);
  await echoes(served.port);
  await lineClient(served.port).ended;
  expect(turnedAway(served)).toEqual({ connections: 1 });
  expect(served.supervisor.stats()).toMatchObject({ refused: { overloaded: 1 }, connections: { open: 2 } });
  expect(lines.find(({ event }) => event === "server.refused")).toMatchObject({
    code: "overloaded",
    reason: "too many connections",
    remoteAddress: "127.0.0.1",
  });
  expect(served.supervisor.health()).toMatchObject({ status: "degraded" });
  first.socket.destroy();
  await eventually(() => expect(served.supervisor.stats().connections.open).toBe(1));
  await echoes(served.port);
});

test("a link whose messages nobody reads keeps its place until it has ended", async () => {
  const served = await servePlain({ limits: { connections: 1 } });
  const client = lineClient(served.port);
  client.say("unread");
  const link = await served.links.next();
  await eventually(() => expect(link.readableLength).toBeGreaterThan(0));
  client.socket.resetAndDestroy();
  await eventually(() => expect(link.state).toBe("draining"));
  await lineClient(served.port).ended;
  expect(turnedAway(served)).toEqual({ connections: 1 });
  link.abort();
  lineClient(served.port);
  await served.links.next();
});

test("handshakes: who has not logged in gives way to who comes", async () => {
  const inLogin = new Arrivals<AbortSignal>();
  const served = await servePlain({
    limits: { handshakes: 2 },
    plain: {
      login: ({ signal }) => {
        inLogin.put(signal);
        return forever();
      },
    },
  });
  const clients = [lineClient(served.port), lineClient(served.port), lineClient(served.port)];
  const signals = [await inLogin.next(), await inLogin.next(), await inLogin.next()];
  expect(turnedAway(served)).toEqual({ handshakes: 1 });
  expect(served.supervisor.stats()).toMatchObject({ refused: { overloaded: 1 }, rejected: {} });
  expect(served.supervisor.stats().connections).toEqual({ open: 2, handshaking: 2 });
  expect(signals.map(({ aborted }) => aborted).filter(Boolean)).toHaveLength(1);
  await Promise.race(clients.map(({ ended }) => ended));
});

test("connections: so does one that has not logged in", async () => {
  let isSlow = false;
  const served = await servePlain(
    { limits: { connections: 2 }, plain: { login: () => (isSlow ? forever() : Promise.resolve()) } },
    echoLines,
  );
  await echoes(served.port);
  isSlow = true;
  const silent = lineClient(served.port);
  await eventually(() => expect(served.supervisor.stats().connections.handshaking).toBe(1));
  isSlow = false;
  await echoes(served.port);
  await silent.ended;
  expect(turnedAway(served)).toEqual({ connections: 1 });
});

test("connectionsPerAddress: those of others are not counted", async () => {
  const served = await servePlain({ host: "0.0.0.0", limits: { connectionsPerAddress: 1 } }, echoLines);
  await echoes(served.port);
  await lineClient(served.port).ended;
  expect(turnedAway(served)).toEqual({ connectionsPerAddress: 1 });
  const other = lineClient(served.port, { localAddress: "127.0.0.2" });
  other.say("hello");
  expect(await other.lines.next()).toBe("hello");
});

test("opensPerSecond", async () => {
  const served = await servePlain({ limits: { opensPerSecond: 1 } }, echoLines);
  const clients = Array.from({ length: 6 }, () => lineClient(served.port));
  const letIn = (): number => served.supervisor.stats().connections.open;
  const away = (): number => turnedAway(served)["opensPerSecond"] ?? 0;
  await eventually(() => expect(letIn() + away()).toBe(clients.length));
  expect([letIn() > 0, away() > 1]).toEqual([true, true]);
});

describe("bufferBytes", () => {
  test("bounds what has arrived and is not read, over all links", async () => {
    const served = await servePlain({ limits: { bufferBytes: 400_000 }, windowBytes: 10_000_000 });
    const clients = [lineClient(served.port), lineClient(served.port), lineClient(served.port)];
    const links = [await served.links.next(), await served.links.next(), await served.links.next()];
    for (const { socket } of clients) for (let n = 0; n < 400; n++) socket.write(`${"x".repeat(9_999)}\n`);
    await eventually(() => {
      for (const link of links) expect(link.readableLength).toBeGreaterThan(65_536);
    });
    let before = -1;
    await eventually(() => {
      const { bufferBytes } = served.supervisor.stats();
      const isStill = bufferBytes === before;
      before = bufferBytes;
      expect(isStill).toBe(true);
    });
    // Each is sure of 64 KiB, and may be ahead by one chunk; together they share less than half of the buffer.
    expect(before).toBeLessThan(200_000 + 3 * 2 * 65_536 + 3 * 20_000);
    for (const link of links) for (let n = 0; n < 400; n++) expect(await link.receive()).toHaveLength(9_999);
  });
});

test("a connection that is not served ends with its client: nothing is left of many", async () => {
  const served = await servePlain({}, echoLines);
  for (let round = 0; round < 3; round++) {
    const clients = await Promise.all(Array.from({ length: 30 }, () => echoes(served.port)));
    for (const [n, { socket }] of clients.entries()) {
      if (n % 2 === 0) socket.resetAndDestroy();
      else socket.end();
    }
    await Promise.all(clients.map(async ({ socket }) => socket.closed || once(socket, "close")));
    await eventually(() =>
      expect(served.supervisor.stats()).toMatchObject({
        connections: { open: 0 },
        bufferBytes: 0,
        links: { closed: 0 },
      }),
    );
  }
  expect(turnedAway(served)).toEqual({});
});

test("rates: a link above one is read later, and nothing is lost or closed", async () => {
  const handed: number[] = [];
  const limits = { rates: { address: { messagesPerSecond: 100 } } };
  const served = await servePlain({ limits }, (link) => link.onMessage(() => void handed.push(performance.now())));
  const client = lineClient(served.port);
  for (let n = 0; n < 120; n++) client.say(String(n));
  await eventually(() => expect(handed).toHaveLength(120));
  // A second's worth at once; each of the others when it had come back.
  expect((handed[119] ?? 0) - (handed[0] ?? 0)).toBeGreaterThan(190);
  expect(served.supervisor.stats()).toMatchObject({ connections: { open: 1 }, turnedAway: {} });
  expect(served.supervisor.stats().held.address).toBeGreaterThan(0);
});
