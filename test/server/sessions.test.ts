/** A server without its listener, in memory and under virtual time. */
import { describe, expect, test } from "vitest";
import { encodeReset } from "../../src/core/wire/frames.ts";
import { type Link, type LinkReport, RespliceError } from "../../src/index.ts";
import { isPending } from "../support.ts";
import { connect, type Handler, type Server, setUp } from "./served-sessions.ts";
import { unconfirmed } from "./unconfirmed.ts";

/** Drains, and answers the reports, and how long it took in virtual time. */
async function drained({ sessions, clock }: Server, deadlineMs: number) {
  const beganMs = clock.nowMs;
  let reports: Map<Link, LinkReport> | undefined;
  void sessions.drain({ deadlineMs }).then((all) => (reports = all));
  await clock.advanceUntil(() => reports !== undefined);
  return { reports: reports ?? new Map<Link, LinkReport>(), tookMs: clock.nowMs - beganMs };
}

describe("the handler", () => {
  test.each<[string, Handler, string]>([
    ["that returns at once leaves its link open", () => {}, "connected"],
    ["that is async and done closes its link", async () => {}, "closed"],
    ["that is done, and has called onMessage(), leaves it open", async (link) => link.onMessage(() => {}), "connected"],
    ["that runs on leaves it open", () => new Promise(() => {}), "connected"],
  ])("%s", async (_, handler, state) => {
    const server = setUp(handler);
    await connect(server);
    await server.clock.advance(10);
    expect(server.links.map((link) => link.state)).toEqual([state]);
  });

  test("is called when the link is connected", async () => {
    const states: string[] = [];
    await connect(setUp((link) => void states.push(link.state)));
    expect(states).toEqual(["connected"]);
  });

  test("is not called with a link that ended in the very step in which it was opened", async () => {
    const server = setUp();
    const { connection, confirm } = await unconfirmed(server);
    connection.handler.onData(Buffer.concat([confirm(), encodeReset("aborted", 0, "")]));
    await server.clock.advance(0);
    expect(server.ended).toHaveLength(1);
    expect(server.links).toEqual([]);
  });

  const told = new RespliceError("LINK_ENDED", "sending is over");
  test.each<[string, boolean, unknown, boolean]>([
    ["that rethrows LINK_ENDED while the server goes away has not failed", true, told, false],
    ["that rethrows it at another time has failed", false, told, true],
    ["that throws anything else has failed", true, new Error("mine"), true],
  ])("%s", async (_, goesAway, error, hasFailed) => {
    const gate = Promise.withResolvers<void>();
    const server = setUp(() => gate.promise);
    await connect(server, { whenSessionLost: "end" });
    if (goesAway) void server.sessions.drain({ deadlineMs: 1_000 });
    gate.reject(error);
    await server.clock.advance(100);
    const { closed } = server.links[0] as Link;
    expect((await closed).error?.code).toBe(hasFailed ? "HANDLER_FAILED" : goesAway ? undefined : "LINK_ENDED");
    const failures = server.records.filter(({ event }) => event === "link.handler-failed");
    expect(failures).toMatchObject(hasFailed ? [{ thrown: error, isHeard: false }] : []);
  });
});

describe("the links that can be sent on, and their numbers", () => {
  test("a connection that is lost leaves a session that waits", async () => {
    const server = setUp();
    const { sessions, path, clock } = server;
    await connect(server);
    expect([...sessions.open]).toEqual(server.links);
    expect(sessions.connections).toBe(1);
    expect(sessions.stats()).toMatchObject({ handshaking: 0, sessions: { connected: 1, waiting: 0 } });
    path.refuse();
    path.cut("rst");
    await clock.advance(10);
    expect(sessions.connections).toBe(0);
    expect(sessions.stats()).toMatchObject({ links: { reconnecting: 1 }, sessions: { connected: 0, waiting: 1 } });
    expect([...sessions.open]).toEqual(server.links);
    expect(sessions.linkStats()).toMatchObject([{ state: "reconnecting" }]);
  });

  test("a link that has ended is none of them, though its tombstone waits for the client", async () => {
    const server = setUp(() => {}, { resumeForMs: 10_000 });
    const { sessions, path, clock, ended } = server;
    await connect(server);
    path.refuse();
    path.cut("rst");
    await clock.advance(10);
    server.links[0]?.abort();
    await clock.advance(0);
    expect(ended).toEqual(server.links);
    expect([...sessions.open]).toEqual([]);
    expect(sessions.linkStats()).toEqual([]);
    expect(sessions.stats()).toMatchObject({ links: { closed: 1 }, sessions: { connected: 0, waiting: 1 } });
    await clock.advance(20_000);
    expect(sessions.stats()).toMatchObject({ links: { closed: 0 }, sessions: { connected: 0, waiting: 0 } });
    expect(ended).toHaveLength(1);
  });

  test("stop() ends every timer: a session no longer expires", async () => {
    const lives: string[] = [];
    for (const isStopped of [false, true]) {
      const server = setUp(() => {}, { resumeForMs: 1_000 });
      await connect(server, { reconnect: { maxAttempts: 0 } });
      server.path.refuse();
      server.path.cut("rst");
      await server.clock.advance(10);
      if (isStopped) server.sessions.stop();
      await server.clock.advance(5_000);
      lives.push(server.links[0]?.state ?? "");
    }
    expect(lives).toEqual(["closed", "reconnecting"]);
  });
});

describe("drain()", () => {
  test("takes no time where there are no links", async () => {
    expect(await drained(setUp(), 5_000)).toEqual({ reports: new Map(), tookMs: 0 });
  });

  test("asks the client to go on elsewhere: its link is not over, and no session is opened for it here", async () => {
    const server = setUp();
    const client = await connect(server);
    const { reports } = await drained(server, 5_000);
    expect([...reports]).toEqual([[server.links[0], { undelivered: [] }]]);
    expect(client.state).not.toBe("closed");
    await server.clock.advance(5_000);
    expect(server.links).toHaveLength(1);
    expect(server.sessions.stats().refused["draining"]).toBeGreaterThan(0);
  });

  test("lets a byte stream come to its own end, and cuts it off at the deadline", async () => {
    const server = setUp(() => {}, { mode: "bytes" });
    await connect(server, { mode: "bytes" });
    const { reports, tookMs } = await drained(server, 200);
    expect([...reports.values()]).toMatchObject([{ error: { code: "CLOSE_TIMEOUT" } }]);
    expect(tookMs).toBe(200);
  });

  test("cuts off the links whose turn has still to come when its signal is aborted", async () => {
    const server = setUp();
    for (let n = 0; n < 3; n++) await connect(server);
    const abort = new AbortController();
    const draining = server.sessions.drain({ deadlineMs: 60_000, signal: abort.signal });
    expect(server.sessions.open.size).toBe(2);
    abort.abort();
    await server.clock.advance(0);
    expect(await isPending(draining)).toBe(false);
    expect([...(await draining).values()].map(({ cutOff }) => cutOff)).toEqual(["peer", "peer", "peer"]);
  });

  test("does not keep a link until its turn comes when its handler has returned", async () => {
    const gate = Promise.withResolvers<void>();
    const server = setUp(() => gate.promise);
    for (let n = 0; n < 3; n++) await connect(server);
    void server.sessions.drain({ deadlineMs: 60_000 });
    gate.resolve();
    await server.clock.advance(10);
    expect(server.links.map(({ state }) => state)).toEqual(["closed", "closed", "closed"]);
  });

  test("says of a link whose handler is still at work that the application had not ended it", async () => {
    const server = setUp(async (link) => {
      while ((await link.receive()) !== null);
      await new Promise(() => {});
    });
    await connect(server);
    const abort = new AbortController();
    const draining = server.sessions.drain({ deadlineMs: 60_000, signal: abort.signal });
    await server.clock.advance(1_000);
    abort.abort();
    await server.clock.advance(0);
    expect([...(await draining).values()]).toMatchObject([{ error: { code: "CLOSE_TIMEOUT" }, cutOff: "application" }]);
  });

  /** A link that has ended in order, and whose client was cut before it could hear so. */
  async function endedUnheard(): Promise<Server> {
    const server = setUp(() => {}, { mode: "bytes" });
    const { clock, links, path } = server;
    const client = await connect(server, { mode: "bytes", allowHalfOpen: true });
    const [link] = links as [Link];
    link.end();
    const heardEnd = client.receive();
    await clock.advance(100);
    expect(await heardEnd).toBeNull();
    client.trySend("last");
    client.end();
    await clock.advance(100);
    path.refuse();
    path.cut("rst");
    await clock.advance(0);
    expect(String(await link.receive())).toBe("last");
    expect(await link.receive()).toBeNull();
    await clock.advance(0);
    expect(link.state).toBe("closed");
    return server;
  }

  test.each([
    [60_000, 6_000],
    [200, 1_200],
  ])("with %d ms it waits %d ms for a client that has still to hear of the end", async (deadlineMs, waitsMs) => {
    expect((await drained(await endedUnheard(), deadlineMs)).tookMs).toBe(waitsMs);
  });

  test("a signal that is aborted ends that wait, too", async () => {
    const { sessions, clock } = await endedUnheard();
    const abort = new AbortController();
    const draining = sessions.drain({ deadlineMs: 60_000, signal: abort.signal });
    await clock.advance(100);
    expect(await isPending(draining)).toBe(true);
    abort.abort();
    expect(await isPending(draining)).toBe(false);
  });

  test.each([
    [5_000, 1_000],
    [300, 300],
  ])("with %d ms it waits %d ms for a client that does not confirm its session", async (deadlineMs, waitsMs) => {
    const server = setUp();
    await unconfirmed(server);
    expect(await drained(server, deadlineMs)).toEqual({ reports: new Map(), tookMs: waitsMs });
  });

  test("a session that is confirmed meanwhile is served, and has the rest of the time", async () => {
    const server = setUp(() => new Promise(() => {}));
    const { connection, confirm } = await unconfirmed(server);
    connection.handler.onData(confirm());
    const draining = drained(server, 2_000);
    const { reports, tookMs } = await draining;
    expect(server.links).toHaveLength(1);
    // This client does not go on elsewhere.
    expect([...reports.values()]).toMatchObject([{ error: { code: "CLOSE_TIMEOUT" }, cutOff: "peer" }]);
    expect(tookMs).toBeGreaterThanOrEqual(2_000);
  });
});
