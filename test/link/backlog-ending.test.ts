/** What waits under a policy when it is flushed, and when its link ends. */
import { describe, expect, test } from "vitest";
import { failure, isPending, refusal } from "../support.ts";
import { away, sendAll } from "./backlogs.ts";

describe("flush()", () => {
  test("covers what waits, whatever comes later", async () => {
    const { client, got, back, clock } = await away({ priorities: [{ name: "high" }, { name: "low" }] });
    sendAll(client, "a");
    const flushed = client.flush();
    client.trySend("later", { priority: "high" });
    await clock.advance(0);
    expect(await isPending(flushed)).toBe(true);
    expect(client.writableLength).toBe(6);
    await back();
    await flushed;
    expect(got).toEqual(["later", "a"]);
  });

  test("rejects when one of those is dropped, and not for a later one", async () => {
    const { client, clock, back } = await away({ overflow: "drop-oldest" });
    client.trySend("a", { ttlMs: 10 });
    const first = failure(client.flush());
    sendAll(client, "b");
    const second = failure(client.flush());
    await clock.advance(10);
    expect(await first).toMatchObject({ code: "DROPPED" });
    expect(await second).toMatchObject({ code: "DROPPED" });
    const third = client.flush();
    client.trySend("c", { ttlMs: 1 });
    await clock.advance(1);
    await back();
    await third;
  });

  test("waits for the message that took the place of another, and not for one that was given up", async () => {
    const { client, got, back, clock } = await away({ overflow: "conflate" });
    client.trySend("a1", { key: "a" });
    const controller = new AbortController();
    const given = failure(client.send("given up", { until: "accepted", signal: controller.signal }));
    const flushed = client.flush();
    client.trySend("a2", { key: "a" });
    controller.abort();
    await given;
    await clock.advance(0);
    expect(await isPending(flushed)).toBe(true);
    await back();
    await flushed;
    expect(got).toEqual(["a2"]);
  });

  test("can be given up", async () => {
    const { client, clock } = await away({ overflow: "drop-oldest" });
    client.trySend("a", { ttlMs: 10 });
    const controller = new AbortController();
    const flushed = failure(client.flush({ signal: controller.signal }));
    controller.abort();
    expect(await flushed).toMatchObject({ code: "ABORTED", delivery: undefined });
    await clock.advance(10);
  });
});

describe("the end", () => {
  test("end() comes after all that waits; nothing more is taken meanwhile", async () => {
    const { client, server, got, back, clock } = await away({ ttlMs: Infinity });
    sendAll(client, "a", "b");
    client.end();
    expect(refusal(() => client.trySend("late")).code).toBe("LINK_ENDED");
    expect((await failure(client.send("late"))).code).toBe("LINK_ENDED");
    await back();
    expect([got, server.state]).toEqual([["a", "b"], "closed"]);
    await clock.advance(0);
    expect(await client.closed).toEqual({ undelivered: [] });
  });

  test("close() delivers what waits", async () => {
    const { client, got, path, clock } = await away({ overflow: "drop-oldest" });
    sendAll(client, "a", "b");
    path.heal();
    const closed = client.close();
    await clock.advance(5_000);
    expect([await closed, got]).toEqual([{ undelivered: [] }, ["a", "b"]]);
  });

  test("what waits when the link ends is not-sent, by class in its order; calls that wait are told", async () => {
    const { client, clock } = await away({ priorities: [{ name: "high" }, { name: "low" }], maxMessages: 6 });
    sendAll(client, "low 1", "low 2");
    client.trySend("high 1", { priority: "high" });
    const awaited = failure(client.send("awaited", { until: "accepted" }));
    const flushed = failure(client.flush());
    const waiting = failure(client.send("waits for room"));
    client.abort();
    await clock.advance(0);
    const { undelivered } = await client.closed;
    expect(undelivered.map(({ message, delivery }) => [String(message), delivery])).toEqual([
      ["high 1", "not-sent"],
      ["low 1", "not-sent"],
      ["low 2", "not-sent"],
    ]);
    const expected = { code: "LINK_ENDED", delivery: "not-sent" };
    expect(await awaited).toMatchObject(expected);
    expect(await waiting).toMatchObject(expected);
    expect((await flushed).code).toBe("LINK_ENDED");
    expect(client.stats().queue).toMatchObject({ messages: 0, bytes: 0 });
  });

  test("what was dropped just before is told when the step is complete, apart from the report of the link", async () => {
    const { client, clock, events } = await away({ overflow: "drop-oldest", maxMessages: 1 });
    const told: string[] = [];
    client.on("undelivered", () => void told.push(`undelivered while ${client.state}`));
    client.on("state", ({ to }) => void told.push(to));
    sendAll(client, "a", "b");
    client.abort();
    await clock.advance(0);
    expect(told).toEqual(["undelivered while closed", "closed"]);
    expect(events).toEqual([["overflow", ["a not-sent"]]]);
    expect((await client.closed).undelivered.map(({ message }) => String(message))).toEqual(["b"]);
  });

  test("a peer that ends waits for what this end has in its queue", async () => {
    const { client, server, got, clock, path } = await away({ ttlMs: Infinity });
    sendAll(client, "a");
    server.end();
    path.heal();
    client.retryNow();
    await clock.advance(5_000);
    expect([got, client.state, server.state]).toEqual([["a"], "closed", "closed"]);
  });

  test("a peer that reads no more ends a link that drains", async () => {
    const { client, server, clock, path } = await away({ ttlMs: Infinity });
    sendAll(client, "a");
    client.end();
    server.abort("enough");
    path.heal();
    client.retryNow();
    await clock.advance(5_000);
    const { error, undelivered } = await client.closed;
    expect(error?.code).toBe("PEER_ABORTED");
    expect(undelivered).toMatchObject([{ delivery: "not-sent" }]);
  });

  test("a session that is lost leaves what waits alone: it goes on in the next one", async () => {
    const pair = await away({ ttlMs: Infinity });
    sendAll(pair.client, "a");
    pair.server.abort();
    await pair.clock.advance(0);
    expect(pair.client.stats().queue.messages).toBe(1);
  });
});
