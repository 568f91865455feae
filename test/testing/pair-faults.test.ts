/** A pair whose path has faults: cut, black hole, stalled, slow, refused; and a session that is lost by them. */
import { describe, expect, test } from "vitest";
import type { Link } from "../../src/index.ts";
import { linkPair, type LinkPair } from "../../src/testing/index.ts";
import { echo, heard, isPending, receiveAll, receiveText } from "../support.ts";
import { paired, states } from "./paired.ts";

describe("a path that is cut", () => {
  test.each([
    ["fin", "closed by the peer"],
    ["rst", "ECONNRESET"],
  ] as const)("with %s is lost at once and back within 200 ms, at both ends", async (how, reason) => {
    const pair = paired();
    const { client, server, path, clock } = pair;
    const atClient = states(client, pair);
    const atServer = states(server, pair);
    path.cut(how);
    expect(client.state).toBe("connected");
    await clock.advance(0);
    expect([client.state, server.state]).toEqual(["reconnecting", "reconnecting"]);
    await clock.advance(200);
    expect(atClient.map(({ to }) => to)).toEqual(["reconnecting", "connecting", "connected"]);
    expect(atClient[0]).toEqual({ atMs: 0, to: "reconnecting", reason });
    expect(atServer).toEqual([
      { atMs: 0, to: "reconnecting", reason },
      { atMs: atClient[2]?.atMs, to: "connected", reason: "resumed" },
    ]);
  });

  test("takes what is under way with it, and every message arrives once and in order, both ways", async () => {
    const { client, server, path, clock } = paired();
    const expected = Array.from({ length: 300 }, (_, n) => String(n));
    const received = [receiveAll(client), receiveAll(server)];
    for (const [n, text] of expected.entries()) {
      await Promise.all([client.send(text), server.send(text)]);
      if (n % 10 === 5) path.cut(n % 20 === 5 ? "fin" : "rst");
      if (n % 7 === 0) await clock.advance(100);
    }
    client.end();
    server.end();
    await clock.advance(10_000);
    expect(await Promise.all(received)).toEqual([expected, expected]);
    expect(client.stats().reconnects).toBeGreaterThan(5);
  });

  test("after every single byte of an exchange: an echo is answered once", async () => {
    let cuts = 0;
    for (let bytes = 0; bytes < 200; bytes++) {
      const { client, path, clock, [Symbol.asyncDispose]: dispose } = bound(linkPair({ seed: bytes, serve: echo }));
      path.cutAfterBytes(bytes);
      await client.send("first");
      await client.send("second");
      client.end();
      const received = receiveAll(client);
      await clock.advance(5_000);
      expect(await received).toEqual(["first", "second"]);
      cuts += client.stats().reconnects;
      await dispose();
    }
    // Beyond that everything has passed.
    expect(cuts).toBeGreaterThan(80);
    expect(cuts).toBeLessThan(200);
  });

  test("after bytes in one direction counts no others, passes none at 0, and fires once", async () => {
    const pair = paired();
    const { client, server, path, clock } = pair;
    const seen = states(client, pair);
    path.cutAfterBytes(0, { direction: "to-client" });
    // The server's acknowledgement is the first byte that way.
    await client.send("x");
    expect(await receiveText(server)).toBe("x");
    await clock.advance(0);
    expect(seen).toEqual([{ atMs: 0, to: "reconnecting", reason: "ECONNRESET" }]);
    await clock.advance(1_000);
    await client.flush();
    expect(client.stats().reconnects).toBe(1);
  });

  test("cut by heal() no more", async () => {
    const { client, server, path, clock } = paired();
    path.cutAfterBytes(1);
    path.heal();
    await client.send("x");
    await server.receive();
    await clock.advance(1_000);
    expect(client.stats().reconnects).toBe(0);
  });
});

function bound(pair: LinkPair): LinkPair {
  return {
    client: pair.client,
    server: pair.server,
    path: pair.path,
    clock: pair.clock,
    [Symbol.asyncDispose]: () => pair[Symbol.asyncDispose](),
  };
}

describe("a path that is doubted", () => {
  test("is asked at once; without an answer it is suspect 2 to 4 s later, at either end, and the client stands by", async () => {
    const pair = paired();
    const { client, server, path, clock } = pair;
    await client.send("acquainted");
    await server.receive();
    await client.flush();
    await clock.advance(49_000);
    const atClient = states(client, pair);
    const atServer = states(server, pair);
    path.blackHole();
    const askedMs = clock.nowMs;
    client.ping();
    server.ping();
    await clock.advance(4_000);
    for (const [seen] of [atClient, atServer]) {
      expect(seen).toMatchObject({ to: "suspect", reason: "no evidence" });
      expect((seen?.atMs ?? NaN) - askedMs).toBeGreaterThanOrEqual(2_000);
    }
    path.heal();
    await clock.advance(10_000);
    expect(atClient.slice(1).map(({ to, reason }) => [to, reason])).toEqual([["connected", "standby"]]);
    expect(atServer.slice(1).map(({ to, reason }) => [to, reason])).toEqual([["connected", "standby"]]);
  });

  test("is asked no second time, and the answer that is awaited has less time", async () => {
    const pair = paired({ client: { keepalive: { pingAfterMs: 1_000, suspectAfterMs: 30_000 } } });
    const { client, path, clock } = pair;
    path.blackHole();
    await clock.advance(2_000);
    client.ping();
    const seen = states(client, pair);
    await clock.advance(1_999);
    expect(seen).toEqual([]);
    await clock.advance(2_001);
    expect(seen[0]).toMatchObject({ to: "suspect" });
  });

  test("and answers: nobody hears of it", async () => {
    const pair = paired({ client: { keepalive: { pingAfterMs: 0 } } });
    const { client, path, clock } = pair;
    path.latency(40);
    const seen = states(client, pair);
    client.ping();
    await clock.advance(60_000);
    expect([seen, client.state]).toEqual([[], "connected"]);
    expect(client.stats().rttMs).toBeGreaterThan(5);
  });
});

describe("a path that is a black hole", () => {
  test("is noticed after pingAfterMs and suspectAfterMs, and a fresh connection takes over", async () => {
    const pair = paired();
    const { client, server, path, clock } = pair;
    // Both ends have heard of each other: otherwise the client resumes instead of standing by.
    await client.send("acquainted");
    await server.receive();
    await client.flush();
    // By then the PINGs after speech are over, the last was answered, and the next is more than ten seconds away.
    await clock.advance(49_000);
    const seen = states(client, pair);
    path.blackHole();
    await clock.advance(10_000);
    await client.send("into the hole");
    path.heal();
    await clock.advance(0);
    expect(server.readableLength).toBe(0);
    expect(seen).toEqual([]);
    await clock.advance(10_000);
    expect(seen.map(({ to, reason }) => [to, reason])).toEqual([
      ["suspect", "no evidence"],
      ["connected", "standby"],
    ]);
    expect(seen[0]?.atMs).toBeGreaterThan(61_000);
    expect(seen[0]?.atMs).toBeLessThan(64_000);
  });

  test.each(["to-server", "to-client"] as const)(
    "%s, between a request and its answer: noticed in 5 s",
    async (direction) => {
      const pair = paired();
      const { client, server, path, clock } = pair;
      await client.send("request");
      const request = await server.receive();
      await client.flush();
      const seen = states(client, pair);
      await clock.advance(500);
      path.blackHole({ direction });
      await clock.advance(4_500);
      expect(seen.map(({ to }) => to)).toContain("suspect");
      path.heal();
      await server.send(`answer to ${String(request)}`);
      await clock.advance(5_000);
      expect(await receiveText(client)).toBe("answer to request");
    },
  );

  test.each(["to-server", "to-client"] as const)("one way, %s, loses nothing", async (direction) => {
    const pair = paired({ client: { keepalive: { pingAfterMs: 200, suspectAfterMs: 100 } }, serve: echo });
    const { client, path, clock } = pair;
    const seen = states(client, pair);
    await client.send("before");
    expect(await receiveText(client)).toBe("before");
    path.blackHole({ direction });
    await client.send("within");
    await clock.advance(5_000);
    expect(seen[0]?.to).toBe("suspect");
    path.heal();
    await clock.advance(60_000);
    expect(await receiveText(client)).toBe("within");
    expect(client.state).toBe("connected");
  });

  test("an idle link finds out by its keepalive, and not before", async () => {
    const pair = paired();
    const seen = states(pair.client, pair);
    pair.path.blackHole();
    await pair.clock.advance(14_000);
    expect(seen).toEqual([]);
    await pair.clock.advance(8_000);
    expect(seen.length).toBeGreaterThan(0);
    pair.path.heal();
    await pair.clock.advance(60_000);
    expect(pair.client.state).toBe("connected");
  });

  test("says nothing of a cut of the other end's", async () => {
    const { client, server, path, clock } = paired();
    path.blackHole({ direction: "to-client" });
    server.abort();
    await clock.advance(1_000);
    expect(client.state).toBe("connected");
  });
});

describe("a path that stalls", () => {
  test("holds back and loses nothing, on the same connection", async () => {
    const pair = paired();
    const { client, server, path, clock } = pair;
    path.stall();
    await client.send("held");
    const received = server.receive();
    await clock.advance(1_000);
    expect(await isPending(received, 50)).toBe(true);
    path.heal();
    expect(String(await received)).toBe("held");
    await clock.advance(60_000);
    expect(client.stats().reconnects).toBe(0);
  });

  test("in one direction lets the other through", async () => {
    const { client, server, path } = paired();
    path.stall({ direction: "to-client" });
    await client.send("there");
    expect(await receiveText(server)).toBe("there");
    await server.send("and back");
    const received = client.receive();
    expect(await isPending(received, 50)).toBe(true);
    path.heal();
    expect(String(await received)).toBe("and back");
  });

  test("for long is suspected, and nothing comes twice when it goes on", async () => {
    const pair = paired({ serve: echo });
    const { client, path, clock } = pair;
    await client.send("one");
    expect(await receiveText(client)).toBe("one");
    path.stall();
    await client.send("two");
    await clock.advance(30_000);
    expect(client.state).not.toBe("connected");
    path.heal();
    await client.send("three");
    client.end();
    await clock.advance(60_000);
    expect(await receiveAll(client)).toEqual(["two", "three"]);
  });
});

describe("a slow path", () => {
  test("delays each chunk by exactly so much, one way or both", async () => {
    const { client, server, path, clock } = paired();
    path.latency(100, { direction: "to-server" });
    path.latency(30, { direction: "to-client" });
    await client.send("there");
    const received = server.receive();
    await clock.advance(99);
    expect(await isPending(received, 20)).toBe(true);
    await clock.advance(1);
    expect(String(await received)).toBe("there");
    const answered = client.receive();
    await server.send("and back");
    await clock.advance(29);
    expect(await isPending(answered, 20)).toBe(true);
    await clock.advance(1);
    expect(String(await answered)).toBe("and back");
  });

  test("with jitter keeps the order", async () => {
    const { client, server, path, clock } = paired();
    path.latency(10, { jitterMs: 500 });
    const received: string[] = [];
    const times = new Set<number>();
    server.onMessage((message) => {
      received.push(String(message));
      times.add(clock.nowMs);
    });
    const expected = Array.from({ length: 50 }, (_, n) => String(n));
    for (const text of expected) {
      await client.send(text);
      await clock.advance(100);
    }
    await clock.advance(1_000);
    expect(received).toEqual(expected);
    expect(times.size).toBeGreaterThan(10);
  });

  test("that heals lets go of what still waits", async () => {
    const { client, server, path } = paired();
    path.latency(1_000);
    await client.send("late");
    const received = server.receive();
    expect(await isPending(received, 20)).toBe(true);
    path.heal();
    expect(String(await received)).toBe("late");
  });
});

describe("a server that refuses", () => {
  test("two minutes of outage take no time", async () => {
    const pair = paired();
    void echo(pair.server).catch(() => {});
    pair.path.cut("fin");
    pair.path.refuse();
    await pair.client.send("hello");
    await pair.clock.advance(120_000);
    expect(pair.client.state).toBe("reconnecting");
    pair.path.heal();
    await pair.clock.advance(60_000);
    expect(await receiveText(pair.client)).toBe("hello");
  });

  test("is dialled until it does not, with delays that grow with the outage", async () => {
    const pair = paired({ serve: echo });
    const { client, path, clock } = pair;
    const attempts: Array<{ attempt: number; delayMs: number; code: string | undefined }> = [];
    client.on("state", (change) => {
      if (change.to !== "reconnecting") return;
      attempts.push({ attempt: change.attempt, delayMs: change.nextDelayMs, code: change.error?.code });
    });
    path.cut("fin");
    path.refuse();
    await client.send("hello");
    await clock.advance(120_000);
    expect(client.state).toBe("reconnecting");
    expect(attempts[0]).toMatchObject({ attempt: 1, code: undefined });
    expect(attempts[1]).toMatchObject({ attempt: 2, code: "CONNECT_FAILED" });
    expect(attempts.at(-1)?.delayMs).toBeGreaterThan(4_000);
    expect(attempts.length).toBeGreaterThan(20);
    path.heal();
    await clock.advance(13_000);
    expect(await receiveText(client)).toBe("hello");
  });

  test("leaves open connections alone", async () => {
    const { client, server, path } = paired();
    path.refuse();
    await client.send("still here");
    expect(await receiveText(server)).toBe("still here");
  });

  test("is dialled at once by retryNow()", async () => {
    const { client, path, clock } = paired();
    path.cut("rst");
    path.refuse();
    await clock.advance(100_000);
    path.heal();
    // It asks the peer, and hurries no attempt.
    client.ping();
    await clock.advance(0);
    expect(client.state).toBe("reconnecting");
    client.retryNow();
    await clock.advance(0);
    expect(client.state).toBe("connected");
  });

  test.each([
    [{ maxAttempts: 3 }, 60_000],
    [{ maxElapsedMs: 10_000 }, 10_000],
  ])("is given up as %j says", async (reconnect, withinMs) => {
    const { client, path, clock } = paired({ client: { reconnect } });
    const ended = heard(client, "error");
    path.cut("rst");
    path.refuse();
    await clock.advance(withinMs);
    expect(await ended).toMatchObject({ code: "GAVE_UP", cause: { code: "CONNECT_FAILED" } });
  });
});

describe("a session that is lost", () => {
  test("by an outage longer than resumeForMs: both applications are told, and go on in another", async () => {
    const served: Link[] = [];
    const pair = paired({ server: { resumeForMs: 60_000 }, serve: (link) => void served.push(link) });
    const { client, path, clock } = pair;
    await clock.advance(0);
    const first = pair.server;
    expect(served).toEqual([first]);
    const { sessionId } = client;
    const undelivered = heard(client, "undelivered");
    const expired = heard(first, "error");
    path.stall();
    await client.send("maybe");
    await clock.advance(0);
    path.cut("rst");
    path.refuse();
    await clock.advance(59_000);
    expect(first.state).toBe("reconnecting");
    await clock.advance(2_000);
    expect(await expired).toMatchObject({ code: "SESSION_EXPIRED" });
    path.heal();
    await client.send("goes on");
    await clock.advance(10_000);
    const { messages, ...report } = await undelivered;
    expect(report).toEqual({ reason: "session-lost", sessionId });
    expect(messages.map(({ message, delivery }) => [String(message), delivery])).toEqual([["maybe", "maybe"]]);
    expect(client.sessionId).not.toBe(sessionId);
    expect(pair.server).not.toBe(first);
    expect(pair.server.sessionId).toBe(client.sessionId);
    expect(served).toEqual([first, pair.server]);
    expect(await receiveText(pair.server)).toBe("goes on");
  });

  test.each([
    ["resend", ["x"]],
    ["report", []],
  ] as const)("with whenSessionLost: %s", async (whenSessionLost, again) => {
    const pair = paired({ client: { whenSessionLost }, server: { resumeForMs: 1_000 } });
    const { client, path, clock } = pair;
    path.blackHole();
    await client.send("x");
    await clock.advance(0);
    path.cut("rst");
    path.refuse();
    await clock.advance(2_000);
    path.heal();
    await clock.advance(5_000);
    client.end();
    expect(await receiveAll(pair.server)).toEqual(again);
  });

  test("with whenSessionLost: end", async () => {
    const { client, path, clock } = paired({ client: { whenSessionLost: "end" }, server: { resumeForMs: 1_000 } });
    path.cut("rst");
    path.refuse();
    await clock.advance(2_000);
    path.heal();
    await clock.advance(5_000);
    expect(await client.closed).toMatchObject({ error: { code: "SESSION_LOST" } });
  });
});
