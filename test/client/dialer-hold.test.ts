/** hold(): a link that dials no more until retryNow(). */
import type net from "node:net";
import { setTimeout as lasts } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { linkPair } from "resplice/testing";
import type { Link, StateChange } from "../../src/index.ts";
import { eventually, failure, openTo, QUICK, rawServer, receiveText, runToExit, serve, turned } from "../support.ts";

function changesOf(link: Link): StateChange[] {
  const changes: StateChange[] = [];
  link.on("state", (change) => void changes.push(change));
  return changes;
}

describe("a held link", () => {
  test("does not begin, and takes messages", async () => {
    const { port, links } = await serve();
    const link = openTo(port);
    link.hold();
    link.hold();
    const changes = changesOf(link);
    await link.send("patient");
    await lasts(50);
    expect([link.state, changes]).toEqual(["created", []]);
    link.retryNow();
    expect(await receiveText(await links.next())).toBe("patient");
  });

  test("keeps its connection, and does not dial when that is lost", async () => {
    await using both = linkPair({ client: { reconnect: { maxElapsedMs: 10_000 } } });
    const { client, server, clock, path } = both;
    client.hold();
    await client.send("over the connection that stays");
    expect(await receiveText(server)).toBe("over the connection that stays");
    const changes = changesOf(client);
    path.cut("rst");
    await clock.advance(3_600_000);
    expect(changes).toEqual([
      { from: "connected", to: "reconnecting", reason: "ECONNRESET", attempt: 1, nextDelayMs: Infinity },
    ]);
    // The hour does not count for maxElapsedMs.
    path.refuse();
    client.retryNow();
    await clock.advance(5_000);
    expect(client.state).not.toBe("closed");
    path.heal();
    await clock.advance(3_000);
    expect(client.state).toBe("connected");
  });

  test("the time in which it dials counts for maxElapsedMs as before", async () => {
    const { client, clock, path } = linkPair({ client: { reconnect: { maxElapsedMs: 10_000 } } });
    path.refuse();
    path.cut("rst");
    await clock.advance(4_000);
    client.hold();
    await clock.advance(60_000);
    client.retryNow();
    await clock.advance(4_000);
    expect(client.state).not.toBe("closed");
    await clock.advance(4_000);
    expect((await client.closed).error).toMatchObject({ code: "GAVE_UP" });
  });

  test("dials no more though it waits for its next attempt", async () => {
    await using both = linkPair();
    const { client, clock, path } = both;
    path.refuse();
    path.cut("rst");
    await clock.advance(2_000);
    expect(client.state).toBe("reconnecting");
    client.hold();
    const changes = changesOf(client);
    path.heal();
    await clock.advance(3_600_000);
    expect(changes).toEqual([]);
    client.retryNow();
    await clock.advance(0);
    expect(client.state).toBe("connected");
  });

  test("dials no standby, nor goes on with one", async () => {
    await using both = linkPair();
    const { client, server, clock, path } = both;
    await client.send("one");
    await receiveText(server);
    path.blackHole();
    await client.send("two");
    await clock.advance(3_999);
    while (client.state !== "suspect") await clock.advance(1);
    client.hold();
    // The connection stays dead: only a second one brings what was sent.
    path.heal();
    await clock.advance(20_000);
    expect(client.state).toBe("suspect");
    const changes = changesOf(client);
    client.retryNow();
    await clock.advance(10_000);
    expect(changes).toMatchObject([{ to: "connected", session: "resumed" }]);
  });

  test("takes back the attempt that is under way, which counts as none", async () => {
    const sockets: net.Socket[] = [];
    const port = await rawServer((socket) => void sockets.push(socket.resume()));
    const link = openTo(port, { reconnect: { ...QUICK, maxAttempts: 1 } });
    const changes = changesOf(link);
    await eventually(() => expect(sockets.length).toBe(1));
    link.hold();
    await turned(link, "reconnecting");
    await eventually(() => expect(sockets[0]?.destroyed).toBe(true));
    expect(changes).toMatchObject([
      { to: "connecting", attempt: 1 },
      { to: "reconnecting", reason: "held", attempt: 1, nextDelayMs: Infinity },
    ]);
    expect(changes[1]).not.toHaveProperty("error");
    link.retryNow();
    expect(await turned(link, "connecting")).toMatchObject({ attempt: 1 });
  });

  test("tells a function of the options that its attempt is taken back", async () => {
    const { port } = await serve();
    const signals: AbortSignal[] = [];
    const link = openTo(port, {
      credentials: ({ signal }) => {
        signals.push(signal);
        return signals.length > 1 ? "" : new Promise<string>(() => {});
      },
    });
    await eventually(() => expect(signals.length).toBe(1));
    link.hold();
    expect(signals[0]?.aborted).toBe(true);
    await turned(link, "reconnecting");
    link.retryNow();
    await link.connected();
  });
});

describe("listeners", () => {
  test("may hold the link when they hear of an attempt", async () => {
    let connections = 0;
    const port = await rawServer(() => connections++);
    const link = openTo(port);
    link.on("state", ({ to }) => {
      if (to === "connecting") link.hold();
    });
    expect(await turned(link, "reconnecting")).toMatchObject({ reason: "held", nextDelayMs: Infinity });
    await lasts(50);
    expect(connections).toBe(0);
  });

  test("may end the hold when they hear of it", async () => {
    await using both = linkPair();
    const { client, clock, path } = both;
    client.hold();
    client.once("state", () => client.retryNow());
    path.cut("rst");
    await clock.advance(1_000);
    expect(client.state).toBe("connected");
  });
});

describe("the end of a held link", () => {
  test("close() dials, and delivers what was taken; a hold after that is none", async () => {
    const { port, links } = await serve();
    const link = openTo(port);
    link.hold();
    await link.send("last words");
    const closing = link.close();
    link.hold();
    expect(await receiveText(await links.next())).toBe("last words");
    expect(await closing).toEqual({ undelivered: [] });
    link.hold();
    expect(link.state).toBe("closed");
  });

  test("abort() tells the peer", async () => {
    await using both = linkPair();
    const { client, server, clock, path } = both;
    client.hold();
    path.cut("rst");
    await clock.advance(1_000);
    client.abort("enough");
    await clock.advance(1_000);
    expect(await failure(server.receive())).toMatchObject({ code: "PEER_ABORTED", peerCode: "enough" });
  });

  test("a server's link is not held", async () => {
    await using both = linkPair();
    const { client, server, clock, path } = both;
    server.hold();
    path.cut("rst");
    await clock.advance(1_000);
    expect([client.state, server.state]).toEqual(["connected", "connected"]);
  });
});

test("a held link keeps the process alive", { timeout: 30_000 }, async () => {
  const printed = await runToExit(
    `
      const link = new resplice.ConnectionManager({ metricsIntervalMs: 0 }).open({ port: 1, host: "127.0.0.1" });
      link.hold();
      setTimeout(() => {
        console.log("alive");
        process.exit();
      }, 300).unref();
    `,
    20_000,
  );
  expect(printed).toBe("alive");
});
