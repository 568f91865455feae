import { createHash, randomBytes } from "node:crypto";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { describe, expect, test } from "vitest";
import { type Link, RespliceError } from "../../src/index.ts";
import { linkPair, type LinkPair, type LinkPairOptions } from "../../src/testing/index.ts";
import { echo, failure, heard, isPending, receiveAll, receiveText, refusal, runToExit } from "../support.ts";
import { paired, states } from "./paired.ts";

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
    expect(error.message).toMatch(/^there is no option client\.option; allowed: /);
    expect(error.option).toMatchObject({ name: "client.option", value: "a string of length 9" });
  });

  test("two modes", async () => {
    const error = await failure(() => linkPair({ client: { mode: "bytes" } }));
    expect(error).toMatchObject({ code: "PROTOCOL_MISMATCH", retryable: false });
  });

  test.each<[string, (pair: LinkPair) => void]>([
    ["blackHole()", ({ path }) => path.blackHole({ direction: "up" as "to-server" })],
    ["stall()", ({ path }) => path.stall({ direction: "up" as "to-server" })],
    ["its jitter", ({ path }) => path.latency(1, { jitterMs: Number.NaN })],
    ["misspelled jitter", ({ path }) => path.latency(1, { jiterMs: 5 } as object)],
    ["misspelled direction", ({ path }) => path.cutAfterBytes(1, { directon: "to-server" } as object)],
  ])("of %s: INVALID_OPTION", (_, act) => {
    const pair = paired();
    expect(refusal(() => act(pair)).code).toBe("INVALID_OPTION");
  });

  test.each<[string, (pair: LinkPair) => void]>([
    ["cut()", ({ path }) => path.cut("FIN" as "fin")],
    ["cut() without an argument", ({ path }) => (path.cut as () => void)()],
    ["stall() of a word", ({ path }) => path.stall("to-server" as never)],
    ["latency()", ({ path }) => path.latency(-1)],
    ["cutAfterBytes()", ({ path }) => path.cutAfterBytes(0.5)],
  ])("of %s: INVALID_ARGUMENT", (_, act) => {
    const pair = paired();
    expect(refusal(() => act(pair)).code).toBe("INVALID_ARGUMENT");
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
