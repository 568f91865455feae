/** A link whose queue has a policy, at the client's end of a pair in memory. */
import { describe, expect, test } from "vitest";
import type { ClearOptions, QueueOptions, RespliceError } from "../../src/index.ts";
import { Acceptance } from "../../src/link/acceptance.ts";
import { Backlog } from "../../src/link/backlog.ts";
import { resolveLinkOptions } from "../../src/link/options.ts";
import type { Outbound } from "../../src/link/protocol.ts";
import type { QueuePolicy } from "../../src/link/queue-options.ts";
import { ampleAccount } from "../core/support.ts";
import { failure, isPending, ManualClock, refusal } from "../support.ts";
import { paired } from "../testing/paired.ts";
import { away, connected, loseConnection, sendAll } from "./backlogs.ts";

describe("while the link is connected and keeps up", () => {
  test("messages go straight to the log: a queue for one message drops none of a hundred", async () => {
    const { client, clock, got, events } = connected({ overflow: "drop-oldest", maxMessages: 1 });
    for (let n = 0; n < 100; n++) {
      client.trySend(`${n}`);
      await clock.advance(0);
    }
    expect([got.length, events]).toEqual([100, []]);
    expect(client.stats()).toMatchObject({
      taken: { messages: 100 },
      queue: { messages: 0, bytes: 0, oldestAgeMs: 0 },
    });
  });

  test("one turn writes at once what fills a write: nothing is dropped that the connection takes", async () => {
    const { client, clock, got, events } = connected({ overflow: "drop-oldest", maxMessages: 10 });
    for (let n = 0; n < 60; n++) client.trySend("x".repeat(2_000));
    await clock.advance(1_000);
    expect([got.length, events.length]).toEqual([60, 0]);
  });

  test("what the connection does not take waits under the policy, and not in the log", async () => {
    const { client, server, clock, path, events } = connected({ overflow: "drop-oldest", maxMessages: 5 });
    await clock.advance(10);
    path.stall();
    for (let n = 0; n < 400; n++) {
      client.trySend(`${String(n).padStart(3)}${"x".repeat(997)}`);
      if (n % 10 === 9) await clock.advance(0);
    }
    expect(new Set(events.map(([reason]) => reason))).toEqual(new Set(["overflow"]));
    // Two writes, the queue, and one message that began below the mark.
    expect(client.stats().queue.messages).toBeLessThan(140);
    path.heal();
    await clock.advance(5_000);
    const dropped = events.flatMap(([, messages]) => messages);
    expect(dropped.length).toBeGreaterThan(150);
    expect(server.stats().received.messages + dropped.length).toBe(400);
    expect(dropped.at(-1)).toMatch(/^394/u);
  });

  test("a small message does not overtake a large one for which the log has no memory yet", () => {
    const log: string[] = [];
    const outbound = {
      adopted: { id: 1 },
      sendingEnded: false,
      queuedBytes: 0,
      unackedBytes: 0,
      maxMessageBytes: 1_000,
      hasRoom: (bytes: number) => bytes < 100,
      newAccount: ampleAccount,
      take: (payload: string) => void log.push(payload),
    } as unknown as Outbound;
    const { policy } = resolveLinkOptions({ queue: { ttlMs: Infinity } }, "client").queue;
    const driver = { clock: new ManualClock(0), changed: () => {}, run: () => {} };
    const host = { hearsUndelivered: false, onDropped: () => {}, onCallLost: () => {}, emitAll: () => {} };
    const backlog = new Backlog(policy as QueuePolicy, {
      outbound,
      acceptance: new Acceptance(outbound),
      driver,
      host,
    });
    const terms = backlog.terms(undefined);
    expect(backlog.isDirect).toBe(true);
    void backlog.push({ payload: "large", given: true, boundTo: undefined }, 100, terms, "taken", undefined);
    void backlog.push({ payload: "small", given: true, boundTo: undefined }, 5, terms, "taken", undefined);
    backlog.progress();
    expect([log, backlog.isDirect]).toEqual([[], false]);
  });
});

describe("overflow", () => {
  test("drop-oldest: one event for all that were dropped in a turn", async () => {
    const { client, events, got, clock, back } = await away({ overflow: "drop-oldest", maxMessages: 2 });
    sendAll(client, "a", "b", "c", "d");
    await clock.advance(0);
    expect(events).toEqual([["overflow", ["a not-sent", "b not-sent"]]]);
    expect(client.stats()).toMatchObject({ undelivered: { overflow: 2 }, queue: { messages: 2, bytes: 2 } });
    await back();
    expect(got).toEqual(["c", "d"]);
  });

  test("drop-newest", async () => {
    const { client, events, got, clock, back } = await away({ overflow: "drop-newest", maxMessages: 2 });
    sendAll(client, "a", "b", "c");
    await clock.advance(0);
    expect(events).toEqual([["overflow", ["c not-sent"]]]);
    await back();
    expect(got).toEqual(["a", "b"]);
  });

  test("conflate: the newest of each key, in the oldest place", async () => {
    const { client, events, got, clock, back } = await away({ overflow: "conflate" });
    client.trySend("a1", { key: "a" });
    client.trySend("b1", { key: "b" });
    client.trySend("a2", { key: "a" });
    client.trySend("none");
    await clock.advance(0);
    expect(events).toEqual([["conflated", ["a1 not-sent"]]]);
    await back();
    expect(got).toEqual(["a2", "b1", "none"]);
  });

  test("a send() until accepted is told, and the event is not", async () => {
    const { client, events, clock } = await away({ overflow: "drop-oldest", maxMessages: 1 });
    const sent = failure(client.send("precious", { until: "accepted" }));
    await client.send("other");
    expect(await sent).toMatchObject({ code: "DROPPED", delivery: "not-sent", retryable: false });
    await clock.advance(0);
    expect(events).toEqual([]);
  });

  test("without a listener they are counted, and not kept for the report of close()", async () => {
    const pair = paired({ client: { queue: { overflow: "drop-oldest", maxMessages: 1 } } });
    await loseConnection(pair);
    sendAll(pair.client, "a", "b");
    const closed = pair.client.close({ deadlineMs: 0 });
    await pair.clock.advance(0);
    expect((await closed).undelivered.map(({ message }) => String(message))).toEqual(["b"]);
    expect(pair.client.stats().undelivered.overflow).toBe(1);
  });

  test("wait: trySend() answers false, send() and ready() wait, first come first served", async () => {
    const { client, got, back, clock } = await away({ ttlMs: Infinity, maxMessages: 2 });
    sendAll(client, "a", "b");
    expect(client.trySend("no")).toBe(false);
    const ready = client.ready();
    const sent = [client.send("c"), client.send("d")];
    await clock.advance(100);
    expect(await Promise.all([ready, ...sent].map((each) => isPending(each)))).toEqual([true, true, true]);
    const controller = new AbortController();
    const given = failure(client.send("given up", { signal: controller.signal }).then(() => {}));
    expect((await given).code).toBe("QUEUE_FULL");
    await back();
    await Promise.all([ready, ...sent]);
    expect(got).toEqual(["a", "b", "c", "d"]);
  });

  test("with a dropping policy ready() waits until nothing has to be dropped, and trySend() takes all the same", async () => {
    const { client, back } = await away({ overflow: "drop-oldest", maxMessages: 1 });
    await client.ready();
    sendAll(client, "a", "b");
    const ready = client.ready();
    expect(await isPending(ready)).toBe(true);
    await back();
    await ready;
  });
});

describe("time to live", () => {
  test("of the link, and of a message: reported when it is over, connected or not", async () => {
    const { client, events, got, clock, back } = await away({ ttlMs: 1_000 });
    sendAll(client, "a");
    client.trySend("short", { ttlMs: 100 });
    client.trySend("for ever", { ttlMs: Infinity });
    const sent = failure(client.send("awaited", { until: "accepted", ttlMs: 500 }));
    await clock.advance(99);
    expect(events).toEqual([]);
    await clock.advance(1);
    expect(events).toEqual([["expired", ["short not-sent"]]]);
    await clock.advance(900);
    expect(events.at(-1)).toEqual(["expired", ["a not-sent"]]);
    expect(await sent).toMatchObject({ code: "DROPPED", delivery: "not-sent" });
    expect(client.stats().undelivered.expired).toBe(2);
    await back();
    expect(got).toEqual(["for ever"]);
  });

  test("goes on while the link drains", async () => {
    const { client, events, clock } = await away({ ttlMs: 1_000 });
    sendAll(client, "a");
    const closed = client.close({ deadlineMs: 60_000 });
    await clock.advance(1_000);
    expect(events).toEqual([["expired", ["a not-sent"]]]);
    await clock.advance(60_000);
    expect((await closed).undelivered).toEqual([]);
  });
});

describe("priorities", () => {
  const priorities = [{ name: "urgent" }, { name: "bulk", maxMessages: 2 }];

  test("the urgent ones go first; without a name a message is of the last class", async () => {
    const { client, got, back } = await away({ priorities, overflow: "drop-oldest" });
    sendAll(client, "bulk 1");
    client.trySend("urgent 1", { priority: "urgent" });
    client.trySend("bulk 2", { priority: "bulk" });
    client.trySend("urgent 2", { priority: "urgent" });
    await back();
    expect(got).toEqual(["urgent 1", "urgent 2", "bulk 1", "bulk 2"]);
  });

  test("a class that is full, with calls that wait for it, does not keep another waiting", async () => {
    const { client, got, back, clock } = await away({ priorities });
    sendAll(client, "bulk 1", "bulk 2");
    const waiting = client.send("bulk 3");
    expect(client.trySend("no")).toBe(false);
    expect(client.trySend("urgent", { priority: "urgent" })).toBe(true);
    await clock.advance(0);
    expect(await isPending(waiting)).toBe(true);
    await back();
    expect(got).toEqual(["urgent", "bulk 1", "bulk 2", "bulk 3"]);
  });
});

describe("while disconnected", () => {
  test("fail: at once, and ready() waits for the connection", async () => {
    const { client, back, got } = await away({ whileDisconnected: "fail" });
    const expected = { code: "NOT_CONNECTED", delivery: "not-sent", retryable: true };
    expect(refusal(() => client.trySend("no"))).toMatchObject(expected);
    expect(await failure(client.send("no"))).toMatchObject(expected);
    const ready = client.ready();
    expect(await isPending(ready)).toBe(true);
    await back();
    await ready;
    sendAll(client, "yes");
    await client.flush();
    expect(got).toEqual(["yes"]);
  });

  test("failAfterMs: messages wait for so long, then they expire, and sends fail", async () => {
    const { client, events, clock, back, got } = await away({
      whileDisconnected: { failAfterMs: 1_000 },
      maxMessages: 1,
    });
    sendAll(client, "a");
    const waiting = failure(client.send("b"));
    await clock.advance(999);
    expect([events, await isPending(waiting)]).toEqual([[], true]);
    await clock.advance(1);
    expect(events).toEqual([["expired", ["a not-sent"]]]);
    expect(await waiting).toMatchObject({ code: "NOT_CONNECTED", delivery: "not-sent" });
    expect(refusal(() => client.trySend("c")).code).toBe("NOT_CONNECTED");
    await back();
    sendAll(client, "d");
    await client.flush();
    expect(got).toEqual(["d"]);
  });
});

describe("a call that is aborted", () => {
  test("takes its message out of the queue: not-sent", async () => {
    const { client, got, back } = await away({ ttlMs: Infinity });
    const controller = new AbortController();
    const sent = failure(client.send("a", { until: "accepted", signal: controller.signal }));
    sendAll(client, "b");
    controller.abort();
    expect(await sent).toMatchObject({ code: "ABORTED", delivery: "not-sent" });
    await back();
    expect(got).toEqual(["b"]);
  });

  test("when its message is in the log: maybe", async () => {
    const { client, clock } = connected({ ttlMs: Infinity });
    const controller = new AbortController();
    const sent = failure(client.send("a", { until: "accepted", signal: controller.signal }));
    controller.abort();
    await clock.advance(0);
    expect(await sent).toMatchObject({ code: "ABORTED", delivery: "maybe" });
  });

  test("resolves when its message has waited and was then accepted", async () => {
    const { client, back } = await away({ ttlMs: Infinity });
    const sent = client.send("a", { until: "accepted" });
    await back();
    await sent;
    expect(client.writableLength).toBe(0);
  });
});

describe("clear()", () => {
  test("hands back what it removed, and makes room", async () => {
    const { client, got, back, events, clock } = await away({
      priorities: [{ name: "high" }, { name: "low", maxMessages: 2 }],
    });
    sendAll(client, "a");
    await clock.advance(10);
    sendAll(client, "b");
    client.trySend("urgent", { priority: "high" });
    const awaited = failure(client.send("awaited", { until: "accepted", priority: "high" }));
    const flushed = client.flush();
    expect(client.clear({ olderThanMs: 10 })).toEqual([]);
    expect(client.clear({ olderThanMs: 9 })).toEqual([
      { message: Buffer.from("a"), delivery: "not-sent", position: undefined },
    ]);
    expect(client.clear({ priority: "high" }).map(({ message }) => String(message))).toEqual(["urgent"]);
    expect(await awaited).toMatchObject({ code: "DROPPED" });
    sendAll(client, "c");
    await back();
    await flushed;
    expect([got, events]).toEqual([["b", "c"], []]);
  });

  test("is not there without a policy, and checks what it is given", async () => {
    expect(refusal(() => paired().client.clear())).toMatchObject({ code: "NOT_SUPPORTED" });
    const { client } = connected({ ttlMs: 5 });
    expect(refusal(() => client.clear({ olderThanMs: -1 })).code).toBe("INVALID_OPTION");
    expect(refusal(() => client.clear({ priority: "none" })).code).toBe("INVALID_OPTION");
    const misspelled = refusal(() => client.clear({ olderThan: 9 } as ClearOptions));
    expect(misspelled).toMatchObject({ code: "INVALID_OPTION", message: expect.stringContaining("olderThanMs") });
  });
});

describe("what one message may say", () => {
  const key = { key: "k" };
  test.each<[string, QueueOptions, object]>([
    ["a key without a policy", {}, key],
    ["a time to live without a policy", {}, { ttlMs: 5 }],
    ["a priority without a policy", {}, { priority: "high" }],
    ["a key without conflation", { overflow: "drop-oldest" }, key],
    ["a key that is no string", { overflow: "conflate" }, { key: 5 }],
    ["a key that is too long", { overflow: "conflate" }, { key: "x".repeat(257) }],
    ["a priority that does not exist", { priorities: [{ name: "high" }] }, { priority: "low" }],
    ["a priority where there are none", { ttlMs: 5 }, { priority: "" }],
    ["no time at all", { ttlMs: 5 }, { ttlMs: 0 }],
    ["a fraction", { ttlMs: 5 }, { ttlMs: 1.5 }],
  ])("%s: INVALID_OPTION, and nothing is sent", async (_, queue, options) => {
    const { client } = connected(queue);
    expect(refusal(() => client.trySend("no", options))).toMatchObject({ code: "INVALID_OPTION" });
    const error: RespliceError = await failure(client.send("no", options));
    expect(error).toMatchObject({ code: "INVALID_OPTION", delivery: "not-sent" });
    expect(client.stats().taken.messages).toBe(0);
  });

  test("the caller's bytes may change as soon as send() has returned", async () => {
    const { client, got, back } = await away({ ttlMs: Infinity });
    const bytes = Buffer.from("mine");
    client.trySend(bytes);
    bytes.fill(0);
    await back();
    expect(got).toEqual(["mine"]);
  });
});
