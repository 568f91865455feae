/** A link whose connections are cut, over and over and at every byte. */
import { describe, expect, test } from "vitest";
import type { Link } from "../../src/index.ts";
import {
  acquaint,
  echo,
  eventually,
  manage,
  pair,
  receiveAll,
  receiveText,
  relayTo,
  serve,
  turned,
  WATCHFUL,
} from "../support.ts";
import { paired } from "../testing/paired.ts";
import { watch } from "./records.ts";

const HASTY = { minDelayMs: 0, maxDelayMs: 0, resetAfterMs: 1 };

/** 0 to `count` - 1 in eight lanes that run side by side. */
async function inLanes(count: number, run: (numbers: number[]) => Promise<void>): Promise<void> {
  const lanes: number[][] = Array.from({ length: 8 }, () => []);
  for (let i = 0; i < count; i++) lanes[i % lanes.length]?.push(i);
  await Promise.all(lanes.map(run));
}

describe("cuts", () => {
  test.each(["rst", "fin"] as const)("%s, again and again, with traffic both ways: once and in order", async (how) => {
    const { client, server, relay } = await pair();
    const count = 5_000;
    const run = async (link: Link): Promise<void> => {
      const sending = (async () => {
        for (let i = 0; i < count; i++) {
          await link.send(`message ${i}`);
          if (i % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
        }
        link.end();
      })();
      let next = 0;
      for await (const message of link) {
        expect(String(message)).toBe(`message ${next++}`);
        // In the middle of what both are saying.
        if (link === client && next % 1_000 === 500) relay.cut(how);
      }
      expect(next).toBe(count);
      await sending;
    };
    await Promise.all([run(client), run(server)]);
    expect(relay.connections).toBeGreaterThan(2);
    expect(await client.close()).toEqual({ undelivered: [] });
    expect(await server.closed).toEqual({ undelivered: [] });
  });

  test.each([undefined, "to-server", "to-client"] as const)(
    "a black hole (%s): a second connection takes over, and nothing is lost",
    async (direction) => {
      const both = await pair({ keepalive: WATCHFUL });
      const { client, server, relay } = both;
      await acquaint(both);
      const seen = watch(client);
      relay.blackHole(direction === undefined ? {} : { direction });
      client.trySend("up");
      server.trySend("down");
      await turned(client, "suspect");
      relay.heal();
      expect(await receiveText(server)).toBe("up");
      expect(await receiveText(client)).toBe("down");
      expect(relay.connections).toBeGreaterThanOrEqual(2);
      expect(seen.filter((line) => line.startsWith("connected>suspect"))).toHaveLength(1);
      expect(seen.some((line) => line.includes("closed"))).toBe(false);
    },
  );

  test("a stall that outlasts patience, and then heals", async () => {
    const both = await pair({ keepalive: WATCHFUL });
    const { client, server, relay } = both;
    await acquaint(both);
    relay.stall();
    client.trySend("up");
    await turned(client, "suspect");
    await eventually(() => expect(relay.connections).toBeGreaterThanOrEqual(2));
    relay.heal();
    expect(await receiveText(server)).toBe("up");
    await client.send("more");
    expect(await receiveText(server)).toBe("more");
  });

  test("the old connection's bytes after a takeover change nothing", async () => {
    const both = await pair({ keepalive: WATCHFUL });
    const { client, server, relay } = both;
    await acquaint(both);
    relay.stall({ direction: "to-client" });
    for (let i = 0; i < 100; i++) server.trySend(`message ${i}`);
    await turned(client, "suspect");
    relay.heal();
    for (let i = 0; i < 100; i++) expect(await receiveText(client)).toBe(`message ${i}`);
    server.end();
    expect(await client.receive()).toBeNull();
  });

  test(
    "a cut after every single byte of the opening handshake, and a little beyond",
    { timeout: 120_000 },
    async () => {
      const { port } = await serve({}, echo);
      const manager = manage({ maxDialsPerSecond: 10_000 });
      await inLanes(401, async (bytesToCut) => {
        const relay = await relayTo(port);
        for (const bytes of bytesToCut) {
          relay.heal();
          relay.cutAfterBytes(bytes);
          const link = manager.open({ port: relay.port, host: "127.0.0.1", reconnect: HASTY });
          for (const text of ["one", "two", "three"]) link.trySend(text);
          link.end();
          expect(await receiveAll(link), `cut after ${bytes} bytes`).toEqual(["one", "two", "three"]);
          expect(await link.closed).toEqual({ undelivered: [] });
        }
      });
    },
  );

  test("a cut after every single byte of a resume, and a little beyond", { timeout: 120_000 }, async () => {
    const { port } = await serve({}, echo);
    const manager = manage({ maxDialsPerSecond: 10_000 });
    await inLanes(401, async (bytesToCut) => {
      const relay = await relayTo(port);
      const link = manager.open({ port: relay.port, host: "127.0.0.1", reconnect: HASTY });
      await link.connected();
      const { sessionId } = link;
      for (const bytes of bytesToCut) {
        relay.cut("rst");
        relay.cutAfterBytes(bytes);
        await link.send(`message ${bytes}`);
        expect(await receiveText(link), `cut after ${bytes} bytes`).toBe(`message ${bytes}`);
      }
      expect(link.sessionId).toBe(sessionId);
      expect(await link.close()).toEqual({ undelivered: [] });
    });
  });
});

describe("ping()", () => {
  /** Silence is asked about by ping() alone, and the answer is awaited for 160 to 200 ms. */
  const PATIENT = { pingAfterMs: 0, suspectAfterMs: 200 };

  test("on a path that is dead: the link is suspect, and goes on over a second connection", async () => {
    const both = await pair({ keepalive: PATIENT });
    const { client, server, relay } = both;
    await acquaint(both);
    const seen = watch(client);
    relay.blackHole();
    client.ping();
    await turned(client, "suspect");
    relay.heal();
    await turned(client, "connected");
    expect(seen).toEqual(["connected>suspect: no evidence", "suspect>connected: standby"]);
    await client.send("on the second");
    expect(await receiveText(server)).toBe("on the second");
    expect(relay.connections).toBeGreaterThanOrEqual(2);
  });

  test("at a server: its link is suspect, and connected again when its client has answered", async () => {
    const both = await pair({}, { keepalive: PATIENT });
    const { client, server, relay } = both;
    await acquaint(both);
    const seen = watch(server);
    relay.stall({ direction: "to-client" });
    server.ping();
    await turned(server, "suspect");
    relay.heal();
    await turned(server, "connected");
    expect(seen).toEqual(["connected>suspect: no evidence", "suspect>connected: answered"]);
    expect([client.state, relay.connections]).toEqual(["connected", 1]);
  });

  test("is answered on a path that works: the round trip is measured, and nothing else happens", async () => {
    const both = await pair({ keepalive: PATIENT });
    const { client, relay } = both;
    await acquaint(both);
    const seen = watch(client);
    const { rttMs: before } = client.stats();
    relay.latency(30);
    client.ping();
    await eventually(() => expect(client.stats().rttMs).not.toBe(before));
    expect(seen).toEqual([]);
  });

  test("does nothing once the link has ended", async () => {
    const { client, server } = await pair();
    await client.close({ deadlineMs: 0 });
    await server.closed;
    for (const link of [client, server]) {
      link.ping();
      expect(link.state).toBe("closed");
    }
  });
});

test.each(["client", "server"] as const)(
  "the %s's application hears of a cut when the step is complete",
  async (end) => {
    const { [end]: link, path, clock } = paired();
    const seen: string[] = [];
    link.on("state", ({ to }) => {
      if (to !== "reconnecting") return;
      // Within the step nothing would happen before its end.
      link.abort();
      seen.push(link.state);
    });
    path.cut("rst");
    await clock.advance(0);
    expect(seen).toEqual(["closed"]);
  },
);
