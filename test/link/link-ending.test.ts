/** A link that its application ends, closes or aborts. */
import { describe, expect, test } from "vitest";
import { ConnectionManager, type Link } from "../../src/index.ts";
import { linkPair } from "../../src/testing/index.ts";
import {
  eventually,
  failure,
  heard,
  isPending,
  manage,
  openTo,
  pair,
  QUICK,
  receiveAll,
  receiveText,
  relayTo,
  serve,
  turned,
  unusedPort,
} from "../support.ts";
import { texts } from "./records.ts";

describe("end()", () => {
  test("the peer's loop ends; without allowHalfOpen its own direction does too", async () => {
    const { client, server } = await pair();
    const ended = heard(server, "end");
    client.trySend("last");
    client.end();
    client.end();
    expect(await receiveText(server)).toBe("last");
    await ended;
    expect(await server.closed).toEqual({ undelivered: [] });
    expect(await client.closed).toEqual({ undelivered: [] });
    expect(await client.receive()).toBeNull();
  });

  test("with allowHalfOpen the other direction goes on until it ends by itself", async () => {
    const { client, server } = await pair({}, { allowHalfOpen: true });
    const ended = heard(server, "end");
    client.trySend("question");
    client.end();
    expect(await receiveAll(server)).toEqual(["question"]);
    await ended;
    await server.send("answer");
    expect(server.state).toBe("connected");
    expect(client.state).toBe("connected");
    server.end();
    expect(await receiveText(client)).toBe("answer");
    expect(await server.closed).toEqual({ undelivered: [] });
    expect(await client.closed).toEqual({ undelivered: [] });
  });

  test("survives a cut: the end arrives once, after everything", async () => {
    const { client, server, relay } = await pair();
    relay.refuse();
    relay.cut("rst");
    await turned(client, "reconnecting");
    client.trySend("late");
    client.end();
    relay.heal();
    expect(await receiveAll(server)).toEqual(["late"]);
    await client.closed;
  });
});

describe("close()", () => {
  test("drains: what was taken is accepted before it resolves", async () => {
    const { client, server } = await pair();
    for (let i = 0; i < 1_000; i++) client.trySend(`message ${i}`);
    const closing = client.close();
    expect(client.state).toBe("draining");
    expect(client.close()).toBe(closing);
    expect(await failure(client.send("late"))).toMatchObject({ code: "LINK_ENDED" });
    expect(await receiveAll(server)).toHaveLength(1_000);
    expect(await closing).toEqual({ undelivered: [] });
    expect(await client.closed).toEqual({ undelivered: [] });
    // Not that the peer reads no more, which is true as well.
    expect(await failure(client.send("later"))).toMatchObject({ code: "LINK_ENDED", message: "the link is closed" });
    expect(client.state).toBe("closed");
    expect(client.close()).toBe(closing);
  });

  test("of a link that has just been opened, with and without a message, server there or not", async () => {
    const { port, links } = await serve();
    expect(await openTo(port).close()).toEqual({ undelivered: [] });
    const link = openTo(port);
    link.trySend("one");
    const closing = link.close();
    expect(await receiveAll(await links.next())).toEqual(["one"]);
    expect(await closing).toEqual({ undelivered: [] });
    const nowhere = await unusedPort();
    expect(await openTo(nowhere).close()).toEqual({ undelivered: [] });
  });

  test("of a link that is waiting dials at once", async () => {
    const { client, server, relay } = await pair({ reconnect: { minDelayMs: 60_000, maxDelayMs: 60_000 } });
    const received = receiveAll(server);
    relay.refuse();
    relay.cut("rst");
    const { nextDelayMs } = await turned(client, "reconnecting");
    expect(nextDelayMs).toBeLessThanOrEqual(200);
    expect((await turned(client, "reconnecting")).nextDelayMs).toBeGreaterThanOrEqual(30_000);
    client.trySend("one");
    relay.heal();
    expect(await client.close()).toEqual({ undelivered: [] });
    expect(await received).toEqual(["one"]);
  });

  test("offline: after the deadline it says what it could not deliver", async () => {
    const { client, relay } = await pair();
    relay.refuse();
    client.trySend("written");
    await eventually(() => expect(client.stats().queue.messages).toBe(0));
    relay.cut("rst");
    await turned(client, "reconnecting");
    client.trySend("never written");
    const startedMs = performance.now();
    const { error, undelivered } = await client.close({ deadlineMs: 200 });
    expect(performance.now() - startedMs).toBeGreaterThan(190);
    expect(error).toMatchObject({ code: "CLOSE_TIMEOUT" });
    expect(texts(undelivered)).toEqual(["written maybe", "never written not-sent"]);
    expect(undelivered.map(({ position }) => position)).toEqual([11, undefined]);
  });

  test("with a deadline of 0 it does not wait; a signal ends the wait; neither rejects", async () => {
    const { client, server } = await pair();
    client.trySend("unread");
    expect((await client.close({ deadlineMs: 0 })).error?.code).toBe("CLOSE_TIMEOUT");
    expect((await server.closed).error).toMatchObject({ code: "PEER_ABORTED", peerCode: "close-timeout" });

    const other = await pair();
    other.client.trySend("unread");
    const controller = new AbortController();
    const closing = other.client.close({ signal: controller.signal });
    expect(await isPending(closing, 30)).toBe(true);
    controller.abort();
    expect(texts((await closing).undelivered)).toEqual(["unread maybe"]);

    const third = await pair();
    third.client.trySend("unread");
    expect(texts((await third.client.close({ signal: AbortSignal.abort() })).undelivered)).toHaveLength(1);
  });

  test("called again with a signal it does not end sooner than it was to", async () => {
    await using unread = linkPair();
    const { client, clock } = unread;
    client.trySend("unread");
    const closing = client.close({ deadlineMs: 60_000 });
    const controller = new AbortController();
    void client.close({ signal: controller.signal });
    // Longer than the default.
    await clock.advance(5_300);
    expect(await isPending(closing)).toBe(true);
    controller.abort();
    expect((await closing).error?.code).toBe("CLOSE_TIMEOUT");
  });

  test("a reader at work gets what still arrives until this direction is through", async () => {
    const { client, server } = await pair();
    const received = receiveAll(client);
    client.trySend("question");
    const closing = client.close();
    expect(await receiveText(server)).toBe("question");
    server.trySend("answer");
    // Ours is through when our end is accepted: that is when all before it is.
    await closing;
    expect((await received).every((text) => text === "answer")).toBe(true);
  });

  test("without a reader what the peer has sent is not accepted, and the peer reports it", async () => {
    const { client, server } = await pair();
    server.trySend("nobody reads this");
    await eventually(() => expect(client.readableLength).toBeGreaterThan(0));
    await client.close();
    expect(texts((await server.closed).undelivered)).toEqual(["nobody reads this maybe"]);
    expect((await server.closed).error).toBeUndefined();
  });

  test("both ends at once", async () => {
    const { client, server } = await pair();
    expect(await Promise.all([client.close(), server.close()])).toEqual([{ undelivered: [] }, { undelivered: [] }]);
  });

  test("both ends with a cut in the closing exchange, over and over", async () => {
    const { port } = await serve({}, async (link) => {
      for await (const message of link) await link.send(message);
    });
    const relay = await relayTo(port);
    const manager = manage();
    for (let bytes = 0; bytes < 200; bytes += 5) {
      relay.heal();
      const link = manager.open({ port: relay.port, host: "127.0.0.1", reconnect: QUICK });
      await link.send("one");
      expect(await receiveText(link)).toBe("one");
      relay.cutAfterBytes(bytes);
      expect(await link.close()).toEqual({ undelivered: [] });
    }
  });

  test("await using closes", async () => {
    const { port, links } = await serve();
    let link: Link;
    {
      await using manager = new ConnectionManager();
      await using inner = manager.open({ port, host: "127.0.0.1" });
      link = inner;
      await link.send("one");
      await (await links.next()).receive();
    }
    expect(link.state).toBe("closed");
    expect(await link.closed).toEqual({ undelivered: [] });
  });

  test("a deadline that makes no sense is refused, and changes nothing", async () => {
    const { client } = await pair();
    for (const deadlineMs of [-1, Number.NaN, "5"]) {
      const error = await failure(() => client.close({ deadlineMs: deadlineMs as number }));
      expect(error).toMatchObject({ code: "INVALID_OPTION", option: { name: "deadlineMs" } });
    }
    expect(client.state).toBe("connected");
  });
});

describe("abort()", () => {
  test("ends both directions at both ends at once; the peer gets the code", async () => {
    const { client, server } = await pair();
    client.trySend("mine");
    server.trySend("yours");
    const failed = heard(server, "error");
    client.abort("quota");
    expect(client.state).toBe("closed");
    expect(await failed).toMatchObject({ code: "PEER_ABORTED", peerCode: "quota", retryable: false });
    const report = await client.closed;
    expect(report.error).toBeUndefined();
    expect(texts(report.undelivered)).toHaveLength(1);
    const theirs = await server.closed;
    expect(theirs.error).toMatchObject({ code: "PEER_ABORTED" });
    expect(texts(theirs.undelivered)[0]).toMatch(/^yours /);
    expect(await failure(client.send("late"))).toMatchObject({ code: "LINK_ENDED" });
    expect(await failure(server.send("late"))).toMatchObject({ code: "LINK_ENDED", cause: { code: "PEER_ABORTED" } });
    client.abort("again");
  });

  test("by the server, and without a code", async () => {
    const { client, server } = await pair();
    server.abort();
    expect((await client.closed).error).toMatchObject({ code: "PEER_ABORTED", peerCode: "" });
  });

  test("within a handler: nothing is taken after it", async () => {
    const { client, server } = await pair();
    const late = new Promise((resolve) => {
      server.onMessage(() => {
        server.trySend("before");
        server.abort();
        resolve(failure(() => server.trySend("after")));
      });
    });
    await client.send("now");
    expect(await late).toMatchObject({ code: "LINK_ENDED" });
    expect(texts((await server.closed).undelivered)).toEqual(["before not-sent"]);
  });

  test("a code of 64 bytes at most", async () => {
    const { client, server } = await pair();
    expect(await failure(() => client.abort("é".repeat(33)))).toMatchObject({ code: "INVALID_ARGUMENT" });
    expect(client.state).toBe("connected");
    client.abort("é".repeat(32));
    expect((await server.closed).error).toMatchObject({ peerCode: "é".repeat(32) });
  });

  test("while it connects: the link is over, and the server hears of no link or of an aborted one", async () => {
    const { port, links } = await serve();
    const relay = await relayTo(port);
    for (const bytes of [undefined, 0, 100, 300]) {
      relay.heal();
      const link = openTo(relay.port);
      link.trySend("one");
      if (bytes !== undefined) relay.cutAfterBytes(bytes);
      if (bytes === 300) await turned(link, "reconnecting");
      link.abort();
      expect(texts((await link.closed).undelivered)).toHaveLength(1);
    }
    await eventually(async () => {
      while (links.size > 0) expect((await (await links.next()).closed).error?.code).toBe("PEER_ABORTED");
    });
  });

  test("offline: told when the server can be reached again", async () => {
    const { client, server, relay } = await pair();
    relay.refuse();
    relay.cut("rst");
    await turned(client, "reconnecting");
    client.abort("gone");
    await client.closed;
    relay.heal();
    expect((await server.closed).error).toMatchObject({ code: "PEER_ABORTED", peerCode: "gone" });
  });
});
