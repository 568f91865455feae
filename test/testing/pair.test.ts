import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { afterEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { type Link, RespliceError, type StateChange } from "../../src/index.ts";
import { linkPair, type LinkPair, type LinkPairOptions } from "../../src/testing/index.ts";
import { echo, failure, heard, isPending, receiveAll, receiveText, runToExit } from "../support.ts";

/** Disposed of when the test is over. */
function paired(options?: LinkPairOptions): LinkPair {
  const pair = linkPair(options);
  onTestFinished(() => pair[Symbol.asyncDispose]());
  return pair;
}

/** The states that a link passes through, with when and why. */
function states(link: Link, { clock }: LinkPair): Array<{ atMs: number; to: string; reason: string }> {
  const seen: Array<{ atMs: number; to: string; reason: string }> = [];
  link.on("state", ({ to, reason }: StateChange) => void seen.push({ atMs: clock.nowMs, to, reason }));
  return seen;
}

describe("a pair", () => {
  test("is connected when it is made, and no time has passed", () => {
    const { client, server, clock } = paired({ identity: "alice", openPayload: "orders" });
    expect([client.state, server.state, clock.nowMs]).toEqual(["connected", "connected", 0]);
    expect(client.sessionId).toBe(server.sessionId);
    expect(client.id).not.toBe(server.id);
    expect([client.identity, server.identity]).toEqual([undefined, "alice"]);
    expect([String(client.openPayload), String(server.openPayload)]).toEqual(["orders", "orders"]);
    expect([client.remoteAddress, server.remoteAddress]).toEqual(["127.0.0.1", "127.0.0.1"]);
  });

  test("shows the server's end what is claimed of its client", () => {
    const claims = { role: "admin" };
    const { client, server } = paired({ identity: "alice", claims });
    expect([client.claims, server.identity, server.claims]).toEqual([undefined, "alice", claims]);
  });

  test("without an identity has none", () => {
    const { server } = paired();
    expect([server.identity, server.claims]).toEqual([undefined, undefined]);
  });

  test("carries messages both ways while the test awaits, and no time passes", async () => {
    const { client, server, clock } = paired();
    await client.send("there");
    expect(await receiveText(server)).toBe("there");
    await server.send("and back");
    expect(await receiveText(client)).toBe("and back");
    expect(clock.nowMs).toBe(0);
  });

  test.each(["client", "server"] as const)("acknowledges without time what the %s accepts turns later", async (who) => {
    const pair = paired();
    const [from, to] = who === "server" ? [pair.client, pair.server] : [pair.server, pair.client];
    // Written before anybody waits for it: the message itself asks for nothing.
    await from.send("one");
    expect(await isPending(to.closed, 20)).toBe(true);
    const flushed = from.flush();
    expect(await isPending(flushed, 20)).toBe(true);
    expect(await receiveText(to)).toBe("one");
    await flushed;
    const accepted = from.send("two", { until: "accepted" });
    expect(await isPending(accepted, 20)).toBe(true);
    await to.receive();
    await accepted;
    expect([from.writableLength, pair.clock.nowMs]).toEqual([0, 0]);
  });

  test("ends and closes without time", async () => {
    const { client, server, clock } = paired();
    await client.send("last");
    client.end();
    expect(await receiveAll(server)).toEqual(["last"]);
    expect(await server.close()).toEqual({ undelivered: [] });
    expect(await client.closed).toEqual({ undelivered: [] });
    expect(clock.nowMs).toBe(0);
  });

  test("aborts", async () => {
    const { client, server } = paired();
    const ended = heard(server, "error");
    client.abort("enough");
    expect(await ended).toMatchObject({ code: "PEER_ABORTED", peerCode: "enough" });
  });

  test("in mode bytes is a stream", async () => {
    const { client, server, clock } = paired({ client: { mode: "bytes" }, server: { mode: "bytes" } });
    const sent = randomBytes(3_000_000);
    const hash = createHash("sha256");
    await Promise.all([
      pipeline(Readable.from([sent]), client.duplex()),
      pipeline(server.duplex(), async (chunks: AsyncIterable<Buffer>) => {
        for await (const chunk of chunks) hash.update(chunk);
      }),
    ]);
    expect(hash.digest("hex")).toBe(createHash("sha256").update(sent).digest("hex"));
    expect(clock.nowMs).toBe(0);
  });

  test("presses back: what nobody reads is not sent without end", async () => {
    const { client, server } = paired({ client: { queue: { maxMessages: 10 } } });
    let taken = 0;
    while (!(await isPending(client.ready(), 50))) if (client.trySend(Buffer.alloc(65_536))) taken++;
    expect(taken).toBeLessThan(1_000);
    let read = 0;
    void (async () => {
      for await (const _ of server) read++;
    })();
    await client.flush();
    expect(read).toBe(taken);
  });
});

describe("the clock", () => {
  test("passes only when it is told to, by exactly so much", async () => {
    const { clock } = paired();
    await clock.advance(1_500);
    expect(clock.nowMs).toBe(1_500);
    await clock.advance(0);
    await clock.advance(0.5);
    expect(clock.nowMs).toBe(1_500.5);
  });

  test("called again before it has passed goes on from there", async () => {
    const { clock } = paired();
    const seen: number[] = [];
    await Promise.all(
      [1_000, 500, 250].map(async (ms) => {
        await clock.advance(ms);
        seen.push(clock.nowMs);
      }),
    );
    expect(seen).toEqual([1_000, 1_500, 1_750]);
  });

  test.each([-1, Number.NaN, Infinity, "5" as unknown as number])("refuses %s", async (ms) => {
    const { clock } = paired();
    await expect(clock.advance(ms)).rejects.toThrow(RangeError);
    expect(clock.nowMs).toBe(0);
    await clock.advance(1);
    expect(clock.nowMs).toBe(1);
  });

  test("lets promises, ticks and turns of the application come in between", async () => {
    const pair = paired();
    pair.path.latency(100);
    const times: number[] = [];
    void (async () => {
      for await (const message of pair.server) {
        for (let hop = 0; hop < 200; hop++) await Promise.resolve();
        await new Promise<void>((resolve) => {
          process.nextTick(resolve);
        });
        await new Promise((resolve) => {
          setImmediate(resolve);
        });
        times.push(pair.clock.nowMs);
        await pair.server.send(message);
      }
    })();
    void (async () => {
      for await (const message of pair.client) {
        times.push(pair.clock.nowMs);
        if (times.length < 6) await pair.client.send(message);
      }
    })();
    await pair.client.send("ping");
    await pair.clock.advance(1_000);
    expect(times).toEqual([100, 200, 300, 400, 500, 600]);
  });

  test(
    "says so when the two ends talk at one moment without end, and can go on after that",
    { timeout: 60_000 },
    async () => {
      const { client, server, path, clock } = paired();
      let talks = true;
      const answer = (link: Link) => async (): Promise<void> => {
        if (talks) await link.send("and you?");
      };
      client.onMessage(answer(client));
      server.onMessage(answer(server));
      await client.send("how are you?");
      expect(await failure(clock.advance(1))).toMatchObject({ code: "INVALID_STATE" });
      path.latency(10);
      await clock.advance(1_000);
      talks = false;
      expect(clock.nowMs).toBe(1_000);
    },
  );

  describe("beside the fake timers of a test runner", () => {
    afterEach(() => void vi.useRealTimers());

    test("runs all the same", async () => {
      vi.useFakeTimers();
      const pair = linkPair({ serve: echo });
      await pair.client.send("hello");
      expect(await receiveText(pair.client)).toBe("hello");
      pair.path.cut("rst");
      await pair.clock.advance(1_000);
      expect(pair.client.state).toBe("connected");
      await pair[Symbol.asyncDispose]();
    });
  });
});

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

describe("a path that is a black hole", () => {
  test("is noticed after pingAfterMs and suspectAfterMs, and a fresh connection takes over", async () => {
    const pair = paired();
    const { client, server, path, clock } = pair;
    // Both ends have heard of each other: otherwise the client resumes instead of standing by.
    await client.send("acquainted");
    await server.receive();
    await client.flush();
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
    expect(seen[0]?.atMs).toBeGreaterThan(12_000);
    expect(seen[0]?.atMs).toBeLessThan(15_000);
  });

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

describe("the service's handler", () => {
  test("that is done closes its link", async () => {
    const { client } = paired({
      serve: async (link) => {
        await link.send("bye");
      },
    });
    expect(await receiveAll(client)).toEqual(["bye"]);
  });

  test.each<[string, (link: Link) => void | Promise<void>]>([
    [
      "rejects",
      async (link) => {
        await link.receive();
        throw new Error("poison");
      },
    ],
    [
      "throws in onMessage()",
      (link) => {
        link.onMessage(() => {
          throw new Error("poison");
        });
      },
    ],
  ])("that %s ends its link with HANDLER_FAILED, and is called for the session that follows", async (_, serve) => {
    let calls = 0;
    const pair = paired({
      serve: (link) => {
        calls++;
        return serve(link);
      },
    });
    const { client, server, clock } = pair;
    const failed = heard(server, "error");
    await client.send("x");
    const error = await failed;
    expect(error).toMatchObject({ code: "HANDLER_FAILED", cause: new Error("poison") });
    await clock.advance(1_000);
    expect(client.state).toBe("connected");
    expect([calls, pair.server === server]).toEqual([2, false]);
  });

  test("that throws in a listener reaches uncaughtException, and stops nothing", async () => {
    const printed = await runToExit(`
      const { linkPair } = await import(${JSON.stringify(TESTING_URL)});
      process.on("uncaughtException", (error) => console.log(error.message));
      const pair = linkPair();
      pair.client.on("state", () => { throw new Error("a listener's"); });
      pair.path.cut("rst");
      await pair.clock.advance(1_000);
      console.log(pair.client.state);
    `);
    expect(printed.split("\n")).toEqual(["a listener's", "a listener's", "a listener's", "connected"]);
  });
});

const TESTING_URL: string = new URL("../../src/testing/index.ts", import.meta.url).href;

describe("options", () => {
  test.each<[string, unknown, string]>([
    ["a name that is none", { seeds: 1 }, "seeds"],
    ["a seed that is none", { seed: 1.5 }, "seed"],
    ["a negative seed", { seed: -1 }, "seed"],
    ["an empty identity", { identity: "" }, "identity"],
    ["claims of nobody", { claims: { admin: true } }, "claims"],
    ["a large open payload", { openPayload: Buffer.alloc(5_000) }, "openPayload"],
    ["an open payload of another kind", { openPayload: 5 }, "openPayload"],
    ["a handler that is none", { serve: "echo" }, "serve"],
    ["client options that are none", { client: 5 }, "client"],
    ["a client's port", { client: { port: 5 } }, "client.port"],
    ["a client's credentials", { client: { credentials: "x" } }, "client.credentials"],
    ["a server's limits", { server: { limits: {} } }, "server.limits"],
    ["a client's keepalive", { client: { keepalive: { pingAfterMs: -1 } } }, "client.keepalive.pingAfterMs"],
    ["a server's window", { server: { window: { maxBytes: 5 } } }, "server.window.minBytes"],
    ["a server's time", { server: { resumeForMs: 0 } }, "server.resumeForMs"],
  ])("%s", async (_, options, name) => {
    const error = await failure(() => linkPair(options as LinkPairOptions));
    expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name } });
  });

  test("a refusal says at which end, and shows no secret", async () => {
    const given = { client: { option: "sk-s3cr3t" } };
    const error = await failure(() => linkPair(given as LinkPairOptions));
    expect(error.message).toMatch(/^option client\.option is a string of length 9; allowed: /);
    expect(error.option).toMatchObject({ name: "client.option", value: "a string of length 9" });
  });

  test("two modes", async () => {
    const error = await failure(() => linkPair({ client: { mode: "bytes" } }));
    expect(error).toMatchObject({ code: "PROTOCOL_MISMATCH", retryable: false });
  });

  test.each<[string, (pair: LinkPair) => void]>([
    ["cut()", ({ path }) => path.cut("FIN" as "fin")],
    ["blackHole()", ({ path }) => path.blackHole({ direction: "up" as "to-server" })],
    ["stall()", ({ path }) => path.stall({ direction: "up" as "to-server" })],
  ])("of %s: a TypeError", (_, act) => {
    const pair = paired();
    expect(() => act(pair)).toThrow(TypeError);
  });

  test.each<[string, (pair: LinkPair) => void]>([
    ["latency()", ({ path }) => path.latency(-1)],
    ["its jitter", ({ path }) => path.latency(1, { jitterMs: Number.NaN })],
    ["cutAfterBytes()", ({ path }) => path.cutAfterBytes(0.5)],
  ])("of %s: a RangeError", (_, act) => {
    const pair = paired();
    expect(() => act(pair)).toThrow(RangeError);
  });
});

describe("the same run each time", () => {
  /** Everything that shows of a run with all faults in it. */
  async function run(seed: number): Promise<string[]> {
    const pair = linkPair({ seed, serve: echo, client: { keepalive: { pingAfterMs: 500, suspectAfterMs: 200 } } });
    const { client, path, clock } = pair;
    const trace: string[] = [`${client.id} ${client.sessionId}`];
    const note = (what: string): void => void trace.push(`${clock.nowMs} ${what}`);
    client.on("state", (change) => note(JSON.stringify(change)));
    client.onMessage((message) => note(String(message)));
    const faults = [
      () => path.cut("fin"),
      () => path.blackHole({ direction: "to-server" }),
      () => path.stall(),
      () => path.latency(250, { jitterMs: 50 }),
      () => path.cutAfterBytes(17),
      () => path.refuse(),
    ];
    for (const [n, fault] of faults.entries()) {
      await client.send(`before ${n}`);
      await clock.advance(20);
      fault();
      await client.send(`after ${n}`);
      await clock.advance(2_000);
      path.heal();
      await clock.advance(30_000);
    }
    await pair[Symbol.asyncDispose]();
    return trace;
  }

  test("with the same seed, and another with another", async () => {
    const [first, again, other] = [await run(7), await run(7), await run(8)];
    expect(first.filter((line) => /(before|after) \d$/u.test(line))).toHaveLength(12);
    expect(first.length).toBeGreaterThan(25);
    expect(again).toEqual(first);
    expect(other).not.toEqual(first);
  });

  test("when two run at the same time", async () => {
    const alone = await run(3);
    expect(await Promise.all([run(3), run(3)])).toEqual([alone, alone]);
  });
});

describe("disposed of", () => {
  test("both ends are closed, in order, and no time has passed", async () => {
    const pair = linkPair({ serve: echo });
    await pair.client.send("unread");
    await pair[Symbol.asyncDispose]();
    expect([pair.client.state, pair.server.state]).toEqual(["closed", "closed"]);
    expect(pair.clock.nowMs).toBeLessThanOrEqual(5_000);
  });

  test.each<[string, (pair: LinkPair) => void]>([
    ["away", ({ path }) => (path.cut("rst"), path.refuse())],
    ["in a black hole", ({ path }) => path.blackHole()],
    ["stalled", ({ path }) => path.stall()],
  ])("%s takes virtual time alone, and says what was not delivered", async (_, fault) => {
    const pair = linkPair();
    fault(pair);
    await pair.client.send("x");
    await pair.clock.advance(0);
    const startedMs = performance.now();
    await pair[Symbol.asyncDispose]();
    expect(performance.now() - startedMs).toBeLessThan(4_000);
    const { error, undelivered } = await pair.client.closed;
    expect(error).toMatchObject({ code: "CLOSE_TIMEOUT" });
    expect(undelivered.map(({ message }) => String(message))).toEqual(["x"]);
    expect(pair.clock.nowMs).toBeLessThanOrEqual(5_000);
  });

  test("again, after an end, and while time passes: the same", async () => {
    const pair = linkPair();
    pair.client.abort();
    const advanced = pair.clock.advance(60_000);
    await Promise.all([pair[Symbol.asyncDispose](), pair[Symbol.asyncDispose]()]);
    await advanced;
    await pair[Symbol.asyncDispose]();
    expect(pair.client.state).toBe("closed");
  });

  test("nothing happens any more", async () => {
    const pair = linkPair({ serve: echo });
    pair.path.cut("rst");
    await pair[Symbol.asyncDispose]();
    const seen = states(pair.client, pair);
    const { nowMs } = pair.clock;
    pair.path.heal();
    await pair.clock.advance(60_000);
    expect([seen, pair.clock.nowMs]).toEqual([[], nowMs]);
  });

  test("no timer, handle or listener is left behind", async () => {
    // In a process of its own: a test runner has timers that come and go.
    const printed = await runToExit(`
      const { linkPair } = await import(${JSON.stringify(TESTING_URL)});
      process.on("warning", (warning) => console.log(warning.message));
      const resources = () => process.getActiveResourcesInfo().filter((name) => name !== "PipeWrap").join();
      const before = resources();
      for (let seed = 0; seed < 50; seed++) {
        const pair = linkPair({ seed, serve: (link) => link.onMessage(() => {}) });
        pair.path.cut("rst");
        if (seed % 2 === 0) pair.path.refuse();
        await pair.client.send("x");
        await pair.clock.advance(1_000);
        if (seed % 3 > 0) await pair[Symbol.asyncDispose]();
      }
      await new Promise((resolve) => setImmediate(resolve));
      console.log(resources() === before);
    `);
    expect(printed).toBe("true");
  });

  test.each([
    ["", "disposed of"],
    ["//", "forgotten"],
  ])("the process exits by itself (%s%s)", async (comment) => {
    const printed = await runToExit(`
      const { linkPair } = await import(${JSON.stringify(TESTING_URL)});
      const pair = linkPair();
      await pair.client.send("hello");
      console.log(String(await pair.server.receive()));
      pair.path.cut("fin");
      pair.path.refuse();
      await pair.clock.advance(60_000);
      ${comment} await pair[Symbol.asyncDispose]();
    `);
    expect(printed).toBe("hello");
  });
});

test("errors are the package's", async () => {
  const { client, server } = paired();
  client.abort();
  await client.closed;
  const error = await failure(client.send("x"));
  expect(error).toBeInstanceOf(RespliceError);
  expect(error.code).toBe("LINK_ENDED");
  await expect(server.receive()).rejects.toMatchObject({ code: "PEER_ABORTED" });
});
