/** A server that has too little of something lets go of connections, and their clients come back when they were asked to. */
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { encodeLater, encodeToken, FRAME_HEADER_BYTES } from "../../src/core/wire/frames.ts";
import type { Link, StateChange } from "../../src/index.ts";
import { MOST_RETRY_MS } from "../../src/core/server/come-back-times.ts";
import { eventually, openTo, receiveText } from "../support.ts";
import { HandConnection, plainSessions } from "./plain-servers.ts";
import { rawSession } from "./raw-session.ts";
import { connect, type Server, setUp, setUpOnSockets, shedAll } from "./served-sessions.ts";

function changesOf(link: Link): StateChange[] {
  const changes: StateChange[] = [];
  link.on("state", (change) => void changes.push(change));
  return changes;
}

/** The errors of its changes to "reconnecting", with the time that each says. */
function troubles(changes: readonly StateChange[]): unknown[] {
  return changes.flatMap((change) =>
    change.to === "reconnecting" ? [[change.reason, change.error?.code, change.error?.retryAfterMs]] : [],
  );
}

async function connected(
  options?: Parameters<typeof connect>[1],
): Promise<Omit<Server, "client"> & { client: Link; server: Link }> {
  const both = setUp(undefined, { authenticate: () => "alice" });
  const client = await connect(both, options);
  return { ...both, client, server: both.links[0] as Link };
}

describe("a link that is shed", () => {
  test("says so at both ends, waits as long as it was asked to, and loses nothing", async () => {
    const { clock, client, server, sessions, records } = await connected();
    const [atClient, atServer] = [changesOf(client), changesOf(server)];
    expect(shedAll(sessions, 5_000)).toEqual([true]);
    await clock.advance(0);
    expect(atServer).toEqual([{ from: "connected", to: "reconnecting", reason: "shed", attempt: 0, nextDelayMs: 0 }]);
    expect(atClient).toEqual([
      {
        from: "connected",
        to: "reconnecting",
        reason: "asked to come back later",
        attempt: 1,
        nextDelayMs: expect.any(Number),
        error: expect.objectContaining({ code: "OVERLOADED", retryable: true, retryAfterMs: 5_000 }),
      },
    ]);
    const [change] = atClient as Array<StateChange & { to: "reconnecting" }>;
    expect(change?.nextDelayMs).toBeGreaterThanOrEqual(5_000);
    expect(change?.nextDelayMs).toBeLessThanOrEqual(5_500);
    await client.send("meanwhile");
    await server.send("there, too");
    await clock.advance(4_999);
    expect([client.state, sessions.connections]).toEqual(["reconnecting", 0]);
    await clock.advance(501);
    expect(atClient.slice(1)).toMatchObject([{ to: "connecting" }, { to: "connected", session: "resumed" }]);
    expect([await receiveText(server), await receiveText(client)]).toEqual(["meanwhile", "there, too"]);
    expect(sessions.stats()).toMatchObject({ shed: { memory: 1 }, refused: {}, turnedAway: {}, rejected: {} });
    const ids = { link: server.id, session: server.sessionId, identity: "alice" };
    expect(records.filter(({ event }) => event === "server.shed")).toEqual([
      { event: "server.shed", ids, reason: "memory", retryAfterMs: 5_000 },
    ]);
  });

  test("that is lost again after its time is dialled as after any loss", async () => {
    const { clock, client, path, sessions } = await connected();
    shedAll(sessions, 5_000);
    await clock.advance(5_500);
    expect(client.state).toBe("connected");
    await clock.advance(1_000);
    const changes = changesOf(client);
    path.cut("rst");
    await clock.advance(200);
    expect(troubles(changes)).toEqual([["ECONNRESET", undefined, undefined]]);
    expect(client.state).toBe("connected");
  });

  test("and whose dial fails afterwards has failed by that, not by what it was asked", async () => {
    const { clock, client, path, sessions } = await connected();
    const changes = changesOf(client);
    path.refuse();
    shedAll(sessions, 5_000);
    await clock.advance(8_000);
    const told = troubles(changes);
    expect(told[0]).toEqual(["asked to come back later", "OVERLOADED", 5_000]);
    expect(told[1]).toEqual(["CONNECT_FAILED", "CONNECT_FAILED", undefined]);
    expect(new Set(told.slice(1).map(String)).size).toBe(1);
  });

  test("is dialled at once by retryNow(), refused with what is left, and comes back then", async () => {
    const { clock, client, sessions } = await connected();
    const changes = changesOf(client);
    shedAll(sessions, 5_000);
    await clock.advance(1_000);
    client.retryNow();
    await clock.advance(0);
    expect(troubles(changes)).toEqual([
      ["asked to come back later", "OVERLOADED", 5_000],
      ["OVERLOADED", "OVERLOADED", 4_000],
    ]);
    await clock.advance(3_999);
    expect(client.state).toBe("reconnecting");
    await clock.advance(401);
    expect(client.state).toBe("connected");
    expect(sessions.stats()).toMatchObject({ refused: { overloaded: 1 }, turnedAway: {} });
  });

  test("and closed by its application dials at once, and is closed in order when its time is over", async () => {
    const { clock, client, server, sessions } = await connected();
    shedAll(sessions, 5_000);
    await clock.advance(0);
    await client.send("last words");
    const closing = client.close({ deadlineMs: 10_000 });
    await clock.advance(0);
    expect(sessions.stats().refused).toEqual({ overloaded: 1 });
    await clock.advance(5_500);
    expect(await receiveText(server)).toBe("last words");
    void server.close();
    await clock.advance(100);
    expect(await closing).toEqual({ undelivered: [] });
  });

  test("and closed with less time than it was asked to wait says what was not delivered", async () => {
    const { clock, client, sessions } = await connected();
    shedAll(sessions, 5_000);
    await clock.advance(0);
    await client.send("last words");
    const closing = client.close({ deadlineMs: 1_000 });
    await clock.advance(1_000);
    expect(await closing).toMatchObject({ error: { code: "CLOSE_TIMEOUT" }, undelivered: [{ delivery: "not-sent" }] });
  });

  test("and held is dialled by retryNow() only", async () => {
    const { clock, client, sessions } = await connected();
    client.hold();
    shedAll(sessions, 1_000);
    await clock.advance(60_000);
    expect(client.state).toBe("reconnecting");
    client.retryNow();
    await clock.advance(0);
    expect(client.state).toBe("connected");
  });

  test("gives up at once if it may be without a connection for less time, because of what it was asked", async () => {
    const { clock, client, sessions } = await connected({ reconnect: { maxElapsedMs: 4_000 } });
    shedAll(sessions, 5_000);
    await clock.advance(0);
    expect((await client.closed).error).toMatchObject({ code: "GAVE_UP", cause: { code: "OVERLOADED" } });
  });

  test("without a connection it is not shed, nor counted", async () => {
    const { clock, path, sessions, records } = await connected();
    path.refuse();
    path.cut("rst");
    await clock.advance(10);
    expect(shedAll(sessions, 5_000)).toEqual([false]);
    expect(sessions.stats().shed).toEqual({});
    expect(records.filter(({ event }) => event === "server.shed")).toEqual([]);
  });

  test("with a silent connection, and a second that stands by: both are let go", async () => {
    const { clock, client, path, sessions } = await connected({
      keepalive: { pingAfterMs: 1_000, suspectAfterMs: 500 },
    });
    await client.send("known to be confirmed");
    await clock.advance(100);
    const changes = changesOf(client);
    path.blackHole();
    path.heal();
    path.latency(200);
    for (let waitedMs = 0; waitedMs < 5_000 && sessions.stats().handshaking === 0; waitedMs += 10)
      await clock.advance(10);
    // STANDBY has arrived, and READY is on its way.
    await clock.advance(250);
    expect(client.state).toBe("suspect");
    shedAll(sessions, 5_000);
    expect(sessions.connections).toBe(0);
    await clock.advance(500);
    expect(troubles(changes)).toEqual([["asked to come back later", "OVERLOADED", 5_000]]);
    await clock.advance(6_000);
    expect(client.state).toBe("connected");
  });

  test("many come back spread as they were asked, none before its time", async () => {
    const both = setUp(undefined, { limits: { resumesPerSecond: 10 } });
    const clients: Link[] = [];
    for (let n = 0; n < 20; n++) clients.push(await connect(both));
    const { clock, sessions } = both;
    const back: number[] = [];
    for (const [n, served] of [...sessions.owners()].entries()) {
      sessions.shed(served, 1_000 + 1_000 * n, "lag");
      clients[n]?.on("state", ({ to }) => void (to === "connected" && back.push(clock.nowMs)));
    }
    await clock.advance(MOST_RETRY_MS);
    expect(sessions.stats()).toMatchObject({ shed: { lag: 20 }, refused: {}, sessions: { connected: 20 } });
    for (const [n, atMs] of back.toSorted((a, b) => a - b).entries())
      expect(atMs).toBeGreaterThanOrEqual(1_000 * (n + 1));
  });
});

describe("over sockets", () => {
  test("a client that writes all the time reads the word, and then the end, not a reset", async () => {
    const { port, sessions } = await setUpOnSockets();
    const client = await rawSession(port);
    await eventually(() => expect(sessions.stats().sessions.connected).toBe(1));
    const chunks: Buffer[] = [];
    const errors: unknown[] = [];
    client.socket.on("data", (chunk: Buffer) => chunks.push(chunk));
    client.socket.on("error", (error) => errors.push(error));
    client.socket.allowHalfOpen = true;
    const pings = Buffer.concat(Array.from({ length: 1_000 }, () => encodeToken("ping", 1)));
    const writing = setInterval(() => client.socket.write(pings), 1);
    const ended = once(client.socket, "end");
    await eventually(() => expect(client.socket.bytesWritten).toBeGreaterThan(100_000));
    expect(shedAll(sessions, 60_000)).toEqual([true]);
    await ended;
    clearInterval(writing);
    client.socket.end();
    await once(client.socket, "close");
    expect(Buffer.concat(chunks).subarray(-FRAME_HEADER_BYTES - 4)).toEqual(encodeLater(MOST_RETRY_MS));
    expect(errors).toEqual([]);
  });

  test("a client that does not close is waited for no longer than a second", async () => {
    const { port, sessions } = await setUpOnSockets();
    const client = await rawSession(port);
    await eventually(() => expect(sessions.stats().sessions.connected).toBe(1));
    client.socket.allowHalfOpen = true;
    const closed = new Promise((resolve) => {
      client.socket.on("error", () => {}).on("close", resolve);
    });
    const pinging = setInterval(() => client.socket.write(encodeToken("ping", 1)), 20);
    const beganMs = performance.now();
    shedAll(sessions, 1_000);
    await closed;
    clearInterval(pinging);
    const tookMs = performance.now() - beganMs;
    expect(tookMs).toBeGreaterThan(900);
    expect(tookMs).toBeLessThan(1_800);
  });

  test("messages both ways, shed again and again: once and in order", async () => {
    const { port, sessions, links } = await setUpOnSockets();
    const client = openTo(port);
    await client.connected();
    const atServer: string[] = [];
    const atClient: string[] = [];
    await eventually(() => expect(links).toHaveLength(1));
    const [server] = links as [Link];
    server.onMessage((message) => void atServer.push(String(message)));
    client.onMessage((message) => void atClient.push(String(message)));
    let sent = 0;
    for (let times = 0; times < 10; times++) {
      for (let n = 0; n < 100; n++) {
        await Promise.all([client.send(`${sent}`), server.send(`${sent}`)]);
        sent++;
      }
      shedAll(sessions, 20);
      await client.connected();
    }
    await Promise.all([client.flush(), server.flush()]);
    const all = Array.from({ length: sent }, (_, n) => `${n}`);
    expect([atServer, atClient]).toEqual([all, all]);
    expect(links).toHaveLength(1);
  });
});

/** The connection of a client that reads at once what is written. */
class ReadAtOnce extends HandConnection {
  override write(buffers: readonly Buffer[]): boolean {
    super.write(buffers);
    return true;
  }
}

describe("a link of a client that is not resplice", () => {
  function plainLink(handler: (link: Link) => void | Promise<void>) {
    const { clock, sessions } = plainSessions();
    let link: Link | undefined;
    sessions.handler = (served) => {
      link = served;
      return handler(served);
    };
    const connection = new ReadAtOnce();
    sessions.accept(connection);
    const shed = (): boolean[] => [...sessions.owners()].map((served) => sessions.shed(served, 5_000, "memory"));
    return { clock, sessions, connection, shed, link: () => link as Link };
  }

  test("takes no more, answers what its handler has, and is closed in order", async () => {
    const { clock, connection, sessions, shed, link } = plainLink(async (served) => {
      for await (const message of served) {
        await new Promise<void>((resolve) => void clock.schedule(100, resolve));
        await served.send(`${String(message)}!`);
      }
    });
    connection.handler.onData(Buffer.from("one\ntwo\n"));
    await clock.advance(50);
    const changes = changesOf(link());
    expect(shed()).toEqual([true]);
    expect(shed()).toEqual([false]);
    connection.handler.onData(Buffer.from("three\n"));
    await clock.advance(500);
    expect([connection.written, connection.closed]).toEqual(["one!\ntwo!\n", "in order"]);
    expect(changes.map(({ to, reason }) => [to, reason])).toEqual([
      ["draining", "shed"],
      ["closed", "closed"],
    ]);
    expect(sessions.stats().shed).toEqual({ memory: 1 });
  });

  test("is cut off after a second, if its handler does not come to the end", async () => {
    const { clock, connection, shed, link } = plainLink(() => new Promise(() => {}));
    connection.handler.onData(Buffer.from("one\n"));
    await clock.advance(0);
    shed();
    await clock.advance(999);
    expect(link().state).toBe("draining");
    await clock.advance(1);
    expect(connection.closed).toBe("at once");
    expect((await link().closed).error?.code).toBe("CLOSE_TIMEOUT");
  });

  test("is not shed when it is ending already", async () => {
    const { clock, shed, link } = plainLink(() => {});
    await clock.advance(0);
    link().end();
    expect(shed()).toEqual([false]);
  });
});
