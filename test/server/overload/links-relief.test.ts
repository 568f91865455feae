/** What is done to links, sessions and connections, each by itself. */
import { describe, expect, test } from "vitest";
import type { Link } from "../../../src/index.ts";
import type { OverloadAction } from "../../../src/core/overload/actions.ts";
import { LinksRelief } from "../../../src/server/overload/links-relief.ts";
import type { ActTerms } from "../../../src/server/overload/relief.ts";
import type { ServedLinks } from "../../../src/server/served-links.ts";
import type { VirtualTime } from "../../../src/testing/virtual-time.ts";
import { receiveText } from "../../support.ts";
import { HandConnection, plainSessions, type PlainServerTerms } from "../plain-servers.ts";
import { connect, type Server, setUp } from "../served-sessions.ts";

const KIB = "x".repeat(1_024);
const TERMS: ActTerms = {
  resource: "memory",
  sheds: "biggest",
  mostShed: 10,
  bytes: Infinity,
  connections: Infinity,
  dryRun: false,
};

function reliefOf(served: ServedLinks, clock: VirtualTime, lingering = () => 0) {
  const readsLess: boolean[] = [];
  const relief = new LinksRelief(served, {
    lingering,
    readLess: (isInForce) => void readsLess.push(isInForce),
    now: () => clock.now(),
    random: () => 0.5,
  });
  return { relief, readsLess };
}

function durable(options: Parameters<typeof setUp>[1] = {}) {
  const server = setUp(undefined, options);
  const { relief } = reliefOf(server.sessions, server.clock);
  const act = (action: OverloadAction, terms: Partial<ActTerms> = {}) =>
    relief.carryOut(action, { ...TERMS, ...terms });
  return { ...server, relief, act };
}

/** All clients lose their connections, and cannot come back before `path.heal()`. */
async function cutOff({ path, clock }: Server, forMs = 10): Promise<void> {
  path.refuse();
  path.cut("rst");
  await clock.advance(forMs);
}

const idsOf = (links: readonly Link[]): string[] => links.map(({ id }) => id);

describe("forget-received", () => {
  test("of sessions that wait: what was not handed out comes again, once and in order", async () => {
    const server = durable();
    const { clock, links, path, relief, act } = server;
    const client = await connect(server);
    for (let n = 0; n < 5; n++) await client.send(`${n} ${KIB}`);
    await clock.advance(100);
    const [link] = links as [Link];
    expect(await receiveText(link)).toBe(`0 ${KIB}`);
    expect([relief.isIdle("forget-received"), act("forget-received").bytes]).toEqual([true, 0]);
    await cutOff(server);
    const { bytes } = act("forget-received", { dryRun: true });
    expect(act("forget-received")).toMatchObject({ victims: [link.id], bytes, connections: 0, sessions: 0 });
    expect(bytes).toBeGreaterThan(4 * 1_024);
    expect([relief.isIdle("forget-received"), link.stats().unacceptedBytes]).toEqual([true, 0]);
    path.heal();
    await client.send("last");
    await clock.advance(60_000);
    const received = [];
    for (let n = 1; n < 6; n++) received.push((await receiveText(link))?.split(" ")[0]);
    expect(received).toEqual(["1", "2", "3", "4", "last"]);
  });
});

describe("close-hopeless", () => {
  async function stalled() {
    const server = durable();
    const { clock, links, path } = server;
    await connect(server);
    const [link] = links as [Link];
    // It has been connected for longer than it may stall.
    await clock.advance(60_000);
    path.refuse();
    path.blackHole();
    await link.send(KIB);
    await clock.advance(14_999);
    return { ...server, link };
  }

  test("a connection that has brought its bytes no further for 15 s; its session waits", async () => {
    const { clock, link, relief, act, sessions } = await stalled();
    expect([relief.isIdle("close-hopeless"), act("close-hopeless").victims]).toEqual([true, []]);
    await clock.advance(2);
    expect(relief.isIdle("close-hopeless")).toBe(false);
    expect(act("close-hopeless", { dryRun: true })).toMatchObject({ victims: [link.id], connections: 1 });
    expect([link.state, sessions.connections]).toEqual(["suspect", 1]);
    expect(act("close-hopeless")).toMatchObject({ victims: [link.id], connections: 1, bytes: 0 });
    expect([link.state, sessions.connections, sessions.links]).toEqual(["reconnecting", 0, 1]);
  });

  test("never one whose peer only has a slow consumer, however much there is to send", async () => {
    const server = durable();
    const { clock, links, relief } = server;
    await connect(server, { window: { minBytes: 1, maxBytes: 1_100_000 } });
    const [link] = links as [Link];
    for (let n = 0; n < 3_000; n++) link.trySend(KIB);
    await clock.advance(60_000);
    expect(link.writableLength).toBeGreaterThan(1_000_000);
    expect(relief.isIdle("close-hopeless")).toBe(true);
  });
});

describe("evict-waiting", () => {
  test("the longest waiting first, a twentieth at once; its client is told that it is lost", async () => {
    const server = durable();
    const { clock, path, links, relief, act, sessions } = server;
    const first = await connect(server);
    expect(relief.isIdle("evict-waiting")).toBe(true);
    await cutOff(server, 1_000);
    path.heal();
    first.hold();
    const second = await connect(server);
    await cutOff(server, 1_000);
    const [evicted, stays] = links as [Link, Link];
    await evicted.send(KIB);
    expect(act("evict-waiting", { dryRun: true })).toMatchObject({ victims: [evicted.id], sessions: 1 });
    expect(sessions.links).toBe(2);
    const { victims, bytes } = act("evict-waiting");
    expect(victims).toEqual([evicted.id]);
    expect(bytes).toBeGreaterThan(1_024);
    expect([sessions.links, stays.state]).toEqual([1, "reconnecting"]);
    expect(await evicted.closed).toMatchObject({ error: { code: "SESSION_LOST" }, undelivered: [{}] });
    path.heal();
    first.retryNow();
    await clock.advance(60_000);
    expect([first.sessionId === evicted.sessionId, second.sessionId]).toEqual([false, stays.sessionId]);
    expect([first.state, second.state, links.length]).toEqual(["connected", "connected", 3]);
  });

  test("no more than hold what is too much", async () => {
    const server = durable();
    for (let n = 0; n < 40; n++) await connect(server);
    await cutOff(server);
    for (const link of server.links) await link.send(KIB);
    expect(server.act("evict-waiting", { bytes: 1, dryRun: true }).sessions).toBe(1);
    expect(server.act("evict-waiting").sessions).toBe(2);
  });

  test("not a session whose client was asked to come back later", async () => {
    const server = durable();
    await connect(server);
    server.act("shed", { sheds: "cheapest to resume" });
    await server.clock.advance(10);
    expect(server.links[0]?.state).toBe("reconnecting");
    expect([server.relief.isIdle("evict-waiting"), server.act("evict-waiting").sessions]).toEqual([true, 0]);
  });
});

describe("shed", () => {
  test("for memory those that hold most, each with a time of its own; what they sent is forgotten", async () => {
    const server = durable();
    const { clock, links, records, sessions, act } = server;
    const clients = [await connect(server), await connect(server), await connect(server)];
    for (const [n, client] of clients.entries()) for (let i = 0; i < n; i++) await client.send(KIB);
    await clock.advance(100);
    const [, middle, most] = links as [Link, Link, Link];
    expect(act("shed", { dryRun: true }).victims).toEqual(idsOf([most, middle]));
    expect(act("shed", { mostShed: 1, dryRun: true }).victims).toEqual([most.id]);
    const { victims, connections, bytes } = act("shed");
    expect([victims, connections]).toEqual([idsOf([most, middle]), 2]);
    expect(bytes).toBeGreaterThan(3 * 1_024);
    expect(sessions.stats()).toMatchObject({ shed: { memory: 2 }, sessions: { connected: 1, waiting: 2 } });
    const told = records.flatMap((record) => (record.event === "server.shed" ? [record.retryAfterMs] : []));
    expect(new Set(told).size).toBe(2);
    for (const ms of told) expect([ms >= 15_000, ms <= 30_000]).toEqual([true, true]);
    await clock.advance(31_000);
    expect(sessions.stats().sessions).toEqual({ connected: 3, waiting: 0 });
    expect(await receiveText(most)).toBe(KIB);
  });

  test("else those that have least to send again, the longest connected first", async () => {
    const server = durable();
    const { clock, links, act } = server;
    const clients = [await connect(server), await connect(server), await connect(server)];
    await clients[0]?.send(KIB);
    await clock.advance(100);
    const [, cheap, later] = links as [Link, Link, Link];
    expect(act("shed", { sheds: "cheapest to resume", mostShed: 2 }).victims).toEqual(idsOf([cheap, later]));
  });

  test("nothing to shed: nobody is connected", async () => {
    const server = durable();
    expect(server.relief.isIdle("shed")).toBe(true);
    await connect(server);
    expect(server.relief.isIdle("shed")).toBe(false);
    await cutOff(server);
    expect([server.relief.isIdle("shed"), server.act("shed").victims]).toEqual([true, []]);
  });
});

describe("refuse-sessions", () => {
  test("who is new is told when to come back, before it is authenticated; who has a session resumes it", async () => {
    let calls = 0;
    const authenticate = (): string => {
      calls++;
      return "alice";
    };
    const server = durable({ authenticate });
    const { clock, path, relief, sessions, records } = server;
    const known = await connect(server);
    relief.enforce("refuse-sessions", "overloaded: heap");
    const news = connect(server);
    await clock.advance(100);
    path.cut("rst");
    await clock.advance(1_000);
    expect([known.state, calls]).toEqual(["connected", 2]);
    const refused = records.find((record) => record.event === "server.refused");
    expect(refused).toMatchObject({ code: "overloaded", reason: "overloaded: heap" });
    expect(refused?.retryAfterMs).toBeGreaterThan(5_000);
    expect(refused?.retryAfterMs).toBeLessThanOrEqual(10_000);
    relief.enforce("refuse-sessions", "");
    await clock.advance(12_000);
    expect((await news).state).toBe("connected");
    expect(sessions.stats()).toMatchObject({ refused: { overloaded: 1 }, turnedAway: {}, sessions: { connected: 2 } });
  });
});

test("refuse-sessions: whose session is lost opens no other one meanwhile; who asks again for its new one is let in", async () => {
  const server = durable();
  const { clock, links, path, relief, act, sessions } = server;
  const lost = await connect(server);
  await cutOff(server);
  act("evict-waiting");
  path.heal();
  relief.enforce("refuse-sessions", "overloaded: heap");
  await clock.advance(4_000);
  expect([lost.state, links.length]).toEqual(["reconnecting", 1]);
  relief.enforce("refuse-sessions", "");
  // Its WELCOME does not arrive.
  path.blackHole({ direction: "to-client" });
  const asking = connect(server);
  await clock.advance(10);
  relief.enforce("refuse-sessions", "overloaded: heap");
  path.heal();
  path.cut("rst");
  await clock.advance(3_000);
  expect((await asking).state).toBe("connected");
  expect(sessions.stats().sessions.connected).toBe(1);
});

describe("refuse-standbys", () => {
  test("a second connection is told when to come back; the first goes on", async () => {
    const server = durable();
    const { clock, path, relief, sessions, records } = server;
    const client = await connect(server, { keepalive: { pingAfterMs: 1_000, suspectAfterMs: 500 } });
    await client.send("known to be confirmed");
    await clock.advance(100);
    relief.enforce("refuse-standbys", "overloaded: descriptors");
    path.blackHole();
    path.heal();
    await clock.advance(5_000);
    expect([client.state, sessions.stats().handshaking]).toEqual(["suspect", 0]);
    const refused = records.filter((record) => record.event === "server.refused");
    expect(refused).toEqual([
      expect.objectContaining({ reason: "overloaded: descriptors", sessionId: client.sessionId }),
    ]);
    relief.enforce("refuse-standbys", "");
    await clock.advance(60_000);
    expect(client.state).toBe("connected");
  });
});

describe("shrink-windows", () => {
  test("windows become smaller as they drain, and sends wait; afterwards both are as before", async () => {
    const server = durable({ maxMessageBytes: 4_096, window: { minBytes: 65_536, maxBytes: 1_048_576 } });
    const { clock, links, relief } = server;
    const client = await connect(server);
    const [link] = links as [Link];
    expect(link.stats().windowBytes).toBe(65_536);
    relief.enforce("shrink-windows", "overloaded: memory");
    link.onMessage(() => {});
    for (let n = 0; n < 200; n++) await client.send(KIB);
    await clock.advance(1_000);
    expect(link.stats().windowBytes).toBe(4_100);
    await cutOff(server);
    let taken = 0;
    while (taken < 1_000 && link.trySend(KIB)) taken++;
    expect(taken).toBeLessThan(200);
    relief.enforce("shrink-windows", "");
    while (taken < 1_000 && link.trySend(KIB)) taken++;
    expect(taken).toBe(1_000);
  });
});

describe("drop-handshakes", () => {
  test("connections that have said nothing, the oldest first, at least ten at once", async () => {
    const { clock, path, relief, act, sessions } = durable({ limits: { handshakes: 100 } });
    expect(relief.isIdle("drop-handshakes")).toBe(true);
    const closed: number[] = [];
    for (let n = 0; n < 12; n++) {
      path.open(
        (connection) => {
          connection.handler = { onData: () => undefined, onDrain: () => {}, onClosed: () => void closed.push(n) };
        },
        () => {},
      );
      await clock.advance(1);
    }
    expect(act("drop-handshakes", { dryRun: true }).connections).toBe(10);
    expect(sessions.handshaking).toBe(12);
    expect(act("drop-handshakes").connections).toBe(10);
    await clock.advance(10_000);
    expect(closed.toSorted((a, b) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    expect(sessions.stats()).toMatchObject({ refused: { overloaded: 10 }, turnedAway: {} });
  });
});

test("drop-lingering: those that were refused are waited for no longer, and no more are told of than there are", () => {
  const { clock, sessions } = setUp();
  let open = 0;
  const { relief } = reliefOf(sessions, clock, () => open);
  expect(relief.isIdle("drop-lingering")).toBe(true);
  for (let n = 0; n < 3; n++) sessions.lingering.end(new HandConnection(), []);
  // Their clients have read why, and are gone.
  expect(relief.isIdle("drop-lingering")).toBe(true);
  open = 2;
  expect(relief.isIdle("drop-lingering")).toBe(false);
  expect(relief.carryOut("drop-lingering", { ...TERMS, dryRun: true }).connections).toBe(2);
  expect(sessions.lingering.size).toBe(3);
  expect(relief.carryOut("drop-lingering", TERMS).connections).toBe(2);
  expect([sessions.lingering.size, relief.isIdle("drop-lingering")]).toEqual([0, true]);
});

test("read-less is for the whole process: it is handed on", () => {
  const { clock, sessions } = setUp();
  const { relief, readsLess } = reliefOf(sessions, clock);
  relief.enforce("read-less", "overloaded: lag");
  relief.enforce("read-less", "");
  expect(readsLess).toEqual([true, false]);
});

describe("of clients that are not resplice", () => {
  function plain(terms: PlainServerTerms = {}) {
    const { clock, sessions } = plainSessions(terms);
    const links: Link[] = [];
    sessions.handler = (link) => void links.push(link);
    const { relief } = reliefOf(sessions, clock);
    const act = (action: OverloadAction, more: Partial<ActTerms> = {}) =>
      relief.carryOut(action, { ...TERMS, ...more });
    const accept = (): HandConnection => {
      const connection = new HandConnection();
      sessions.accept(connection);
      return connection;
    };
    return { clock, sessions, links, relief, act, accept };
  }

  test("new connections are closed, and counted as refused", async () => {
    const { clock, accept, relief, sessions } = plain();
    const before = accept();
    relief.enforce("refuse-sessions", "overloaded: lag");
    const refused = accept();
    await clock.advance(0);
    expect([before.closed, refused.closed]).toEqual([undefined, "at once"]);
    expect(sessions.stats().refused).toEqual({ overloaded: 1 });
    relief.enforce("refuse-sessions", "");
    expect(accept().closed).toBeUndefined();
  });

  test("no session waits, nothing is sent again, and there are no second connections", async () => {
    const { clock, accept, relief } = plain();
    accept().handler.onData(Buffer.from("one\ntwo\n"));
    await clock.advance(0);
    const idle = [
      "close-idle",
      "forget-received",
      "evict-waiting",
      "refuse-standbys",
      "drop-handshakes",
      "close-hopeless",
    ] as const;
    expect(idle.filter((action) => !relief.isIdle(action))).toEqual([]);
    expect([relief.isIdle("shed"), relief.isIdle("refuse-sessions")]).toEqual([false, false]);
  });

  test("a client that takes nothing is closed, and what waits for it is freed", async () => {
    const { clock, accept, act, links } = plain({ timeouts: { writeStallMs: 60_000 } });
    const connection = accept();
    await clock.advance(0);
    const [link] = links as [Link];
    link.trySend(KIB);
    await clock.advance(15_001);
    expect(act("close-hopeless")).toMatchObject({ victims: [link.id], connections: 1, bytes: 1_024 });
    expect([connection.closed, (await link.closed).error?.code]).toEqual(["at once", "CONNECTION_LOST"]);
  });

  test("the oldest of those that log in are closed", async () => {
    const { clock, accept, act, relief, sessions } = plain({ plain: { login: () => new Promise(() => {}) } });
    const connections: HandConnection[] = [];
    for (let n = 0; n < 12; n++) {
      connections.push(accept());
      await clock.advance(1);
    }
    expect(relief.isIdle("drop-handshakes")).toBe(false);
    expect(act("drop-handshakes").connections).toBe(10);
    expect(connections.map(({ closed }) => closed)).toEqual([...Array(10).fill("at once"), undefined, undefined]);
    expect(sessions.stats()).toMatchObject({ refused: { overloaded: 10 }, handshaking: 2 });
  });
});
