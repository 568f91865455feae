import { describe, expect, test } from "vitest";
import { ConnectionManager, type Link, type StateChange, type Undelivered } from "../../src/index.ts";
import { linkPair } from "../../src/testing/index.ts";
import {
  acquaint,
  echo,
  eventually,
  failure,
  heard,
  isPending,
  logKeeper,
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
  WATCHFUL,
  withUncaught,
} from "../support.ts";

const HASTY = { minDelayMs: 0, maxDelayMs: 0, resetAfterMs: 1 };

/** 0 to `count` - 1 in eight lanes that run side by side. */
async function inLanes(count: number, run: (numbers: number[]) => Promise<void>): Promise<void> {
  const lanes: number[][] = Array.from({ length: 8 }, () => []);
  for (let i = 0; i < count; i++) lanes[i % lanes.length]?.push(i);
  await Promise.all(lanes.map(run));
}

/** "connecting>connected: opened" and the like, as they come. */
function watch(link: Link): string[] {
  const seen: string[] = [];
  link.on("state", ({ from, to, reason }) => seen.push(`${from}>${to}: ${reason}`));
  return seen;
}

function texts(undelivered: ReadonlyArray<{ message: Buffer; delivery: string }>): string[] {
  return undelivered.map(({ message, delivery }) => `${String(message)} ${delivery}`);
}

describe("what it is", () => {
  test("both ends agree on the session, and know what open() gave", async () => {
    const { client, server } = await pair({ openPayload: "tenant 7" });
    expect(client.sessionId).toMatch(/^[0-9a-f]{32}$/);
    expect(server.sessionId).toBe(client.sessionId);
    expect(String(server.openPayload)).toBe("tenant 7");
    expect(String(client.openPayload)).toBe("tenant 7");
    expect([client.identity, server.identity]).toEqual([undefined, undefined]);
    expect(client.remoteAddress).toBe("127.0.0.1");
    expect(server.remoteAddress).toMatch(/127\.0\.0\.1$/);
    expect(client.id).not.toBe("");
    expect(client.id).not.toBe(server.id);
  });

  test("stats", async () => {
    const { client, server, relay } = await pair();
    await client.send("four");
    await server.receive();
    await client.flush();
    expect(client.stats()).toMatchObject({
      state: "connected",
      reconnects: 0,
      recoveryMs: undefined,
      taken: { messages: 1, bytes: 4 },
      accepted: { messages: 1, bytes: 4 },
      received: { messages: 0, bytes: 0 },
      undelivered: { "session-lost": 0, "too-large": 0 },
      queue: { messages: 0, bytes: 0 },
      logBytes: 0,
      windowBytes: expect.any(Number),
      unacceptedBytes: 0,
    });
    expect(client.stats().rttMs).toBeGreaterThanOrEqual(0);
    expect(client.stats().stateForMs).toBeGreaterThan(0);
    expect(server.stats()).toMatchObject({ received: { messages: 1, bytes: 4 }, unacceptedBytes: 0 });
    relay.cut("rst");
    await turned(client, "connected");
    expect(client.stats().reconnects).toBe(1);
    expect(client.stats().recoveryMs).toBeGreaterThan(0);
    client.trySend("unread");
    await eventually(() => expect(server.stats().unacceptedBytes).toBe(10));
    expect(client.stats().logBytes).toBe(10);
    expect(client.stats().accepted).toEqual({ messages: 1, bytes: 4 });
  });
});

describe("state events", () => {
  test("of a link that is opened, cut, resumed and closed", async () => {
    const { port, links } = await serve();
    const relay = await relayTo(port);
    const client = manage().open({ port: relay.port, host: "127.0.0.1", reconnect: QUICK });
    expect(client.state).toBe("created");
    const seen = watch(client);
    await client.connected();
    const server = await links.next();
    const seenByServer = watch(server);
    expect(server.state).toBe("connected");
    relay.cut("rst");
    await turned(client, "connected");
    await client.close();
    await server.closed;
    expect(seen.slice(0, 2)).toEqual(["created>connecting: opened", "connecting>connected: opened"]);
    expect(seen.slice(2)).toEqual([
      expect.stringMatching(/^connected>reconnecting: /),
      expect.stringMatching(/^reconnecting>connecting: /),
      "connecting>connected: resumed",
      "connected>draining: close() was called",
      "draining>closed: closed",
    ]);
    expect(seenByServer).toEqual([
      expect.stringMatching(/^connected>reconnecting: /),
      "reconnecting>connected: resumed",
      "connected>closed: closed",
    ]);
  });

  test("one who listens right after open() hears of the first attempt", async () => {
    const { port } = await serve();
    const link = manage().open({ port, host: "127.0.0.1" });
    const seen: StateChange[] = [];
    link.on("state", (change) => seen.push(change));
    await link.connected();
    await eventually(() => expect(seen.length).toBeGreaterThan(0));
    expect(seen[0]).toMatchObject({ from: "created", to: "connecting", attempt: 1 });
  });

  test("they say which attempt, when the next is, and why", async () => {
    const link = openTo(await unusedPort(), { reconnect: { minDelayMs: 10, maxDelayMs: 10 } });
    const waits: Array<Extract<StateChange, { to: "reconnecting" }>> = [];
    while (waits.length < 3) waits.push(await turned(link, "reconnecting"));
    expect(waits.map(({ attempt }) => attempt)).toEqual([2, 3, 4]);
    for (const { nextDelayMs, error, reason } of waits) {
      expect(nextDelayMs).toBeGreaterThanOrEqual(5);
      expect(nextDelayMs).toBeLessThanOrEqual(10);
      expect(error).toMatchObject({ code: "CONNECT_FAILED", retryable: true });
      expect(reason).toBe("CONNECT_FAILED");
    }
  });

  test("the state has changed before anyone is told, and calls made from within come after", async () => {
    const { port } = await serve({}, echo);
    const relay = await relayTo(port);
    const link = manage().open({ port: relay.port, host: "127.0.0.1", reconnect: QUICK });
    const first: string[] = [];
    const second: string[] = [];
    link.on("state", ({ to }) => {
      first.push(`${to} ${link.state}`);
      if (to === "connected") link.abort();
    });
    link.on("state", ({ to }) => second.push(to));
    await link.closed;
    expect(first.slice(0, 2)).toEqual(["connecting connecting", "connected connected"]);
    expect(first.at(-1)).toBe("closed closed");
    expect(second).toEqual(["connecting", "connected", "closed"]);
  });

  test("a listener that throws breaks neither the link nor the other listeners", async () => {
    const { port } = await serve({}, echo);
    const relay = await relayTo(port);
    const link = manage().open({ port: relay.port, host: "127.0.0.1", reconnect: QUICK });
    const uncaught = await withUncaught(async () => {
      link.on("state", () => {
        throw new Error("mine");
      });
      await link.send("one");
      expect(await receiveText(link)).toBe("one");
      relay.cut("fin");
      await link.send("two");
      expect(await receiveText(link)).toBe("two");
      await link.close();
    });
    expect(uncaught.length).toBeGreaterThanOrEqual(4);
    for (const error of uncaught) expect(error).toMatchObject({ message: "mine" });
  });

  test("an 'error' listener that throws keeps nobody from hearing of the end", async () => {
    const { client, server, manager } = await pair();
    const uncaught = await withUncaught(async () => {
      client.on("error", () => {
        throw new Error("mine");
      });
      server.abort("enough");
      expect((await client.closed).error).toMatchObject({ code: "PEER_ABORTED" });
      await manager.close();
    });
    expect(uncaught).toMatchObject([{ message: "mine" }]);
  });

  test("a logger that throws harms no link", async () => {
    const fail = (): never => {
      throw new Error("disk full");
    };
    const uncaught = await withUncaught(async () => {
      const { port } = await serve({}, echo);
      const manager = manage({ logger: { debug: fail, info: fail, warn: fail, error: fail } });
      const link = manager.open({ port, host: "127.0.0.1" });
      await link.send("hello");
      expect(await receiveText(link)).toBe("hello");
      await link.flush();
      await link.close();
      expect(manager.stats().lines).toMatchObject({ written: 0, failed: expect.any(Number) as number });
      expect(manager.stats().lines.failed).toBeGreaterThan(0);
    });
    expect(uncaught).toEqual([]);
  });

  test("on() and once() throw for a name that is not listed", async () => {
    const link = openTo(await unusedPort());
    for (const name of ["close", "data", "message", "States"]) {
      for (const method of ["on", "once", "addListener"] as const) {
        const error = await failure(() => link[method](name as "state", () => {}));
        expect(error).toMatchObject({ code: "INVALID_ARGUMENT" });
        expect(error.message).toContain("state");
      }
    }
  });

  test("suspect and back: a stall that ends before a replacement is needed", async () => {
    const both = await pair({ keepalive: WATCHFUL });
    const { client, server, relay } = both;
    await acquaint(both);
    const seen = watch(client);
    relay.stall({ direction: "to-client" });
    await turned(client, "suspect");
    expect(client.state).toBe("suspect");
    const back = turned(client, "connected");
    relay.heal();
    expect(await back).toMatchObject({ session: "resumed" });
    await client.send("one");
    expect(await receiveText(server)).toBe("one");
    expect(seen.some((line) => line.includes("reconnecting"))).toBe(false);
  });
});

describe("connected()", () => {
  test("resolves when connected, also if it was all along", async () => {
    const { port } = await serve();
    const link = openTo(port);
    await link.connected();
    await link.connected();
  });

  test("rejects with the error that ended the link, also afterwards", async () => {
    const link = openTo(await unusedPort(), { reconnect: { maxAttempts: 1 } });
    expect(await failure(link.connected())).toMatchObject({ code: "GAVE_UP" });
    await link.closed;
    expect(await failure(link.connected())).toMatchObject({ code: "GAVE_UP" });
  });
});

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

describe("a session that is lost", () => {
  /** A client whose server is replaced by one that knows nothing, with messages accepted, written and queued. */
  async function restarted(whenSessionLost?: "report" | "resend" | "end") {
    const first = await serve();
    const relay = await relayTo(first.port);
    const options = whenSessionLost === undefined ? {} : { whenSessionLost };
    const client = manage().open({ port: relay.port, host: "127.0.0.1", reconnect: QUICK, ...options });
    await client.send("accepted");
    const server = await first.links.next();
    await server.receive();
    await client.flush();
    client.trySend("written");
    await eventually(() => expect(server.readableLength).toBeGreaterThan(0));
    relay.refuse();
    relay.cut("rst");
    await turned(client, "reconnecting");
    client.trySend("queued");
    await first.supervisor.close({ deadlineMs: 0 });
    const second = await serve({ port: first.port });
    const events: Undelivered[] = [];
    return { client, relay, links: second.links, events, before: client.sessionId };
  }

  test("report: what was written comes back, what was not goes on", async () => {
    const { client, relay, links, events, before } = await restarted();
    client.on("undelivered", (event) => events.push(event));
    relay.heal();
    expect(await turned(client, "connected")).toMatchObject({ session: "new", reason: "session-lost" });
    expect(await receiveText(await links.next())).toBe("queued");
    expect(events).toHaveLength(1);
    expect(events[0]).toMatchObject({ reason: "session-lost", sessionId: before });
    expect(texts(events[0]?.messages ?? [])).toEqual(["written maybe"]);
    expect(events[0]?.messages[0]?.position).toBe(12 + 11);
    expect(client.sessionId).not.toBe(before);
    expect(client.stats().undelivered["session-lost"]).toBe(1);
    expect(await client.close()).toEqual({ undelivered: [] });
  });

  test("report: nobody listens, so close() returns it", async () => {
    const { client, relay, links } = await restarted();
    relay.heal();
    expect(await receiveText(await links.next())).toBe("queued");
    const { error, undelivered } = await client.close();
    expect(error).toBeUndefined();
    expect(texts(undelivered)).toEqual(["written maybe"]);
  });

  test("report: a send that waits until accepted rejects, and is not reported; flush() rejects too", async () => {
    const { client, server, relay, supervisor, port } = await pair();
    const sent = failure(client.send("waited for", { until: "accepted" }));
    const flushed = failure(client.flush());
    client.trySend("not waited for");
    await eventually(() => expect(server.readableLength).toBeGreaterThan(30));
    relay.refuse();
    relay.cut("rst");
    await turned(client, "reconnecting");
    const queued = client.send("goes on", { until: "accepted" });
    await supervisor.close({ deadlineMs: 0 });
    const { links } = await serve({ port });
    const undelivered = heard(client, "undelivered");
    relay.heal();
    expect(await sent).toMatchObject({ code: "SESSION_LOST", delivery: "maybe" });
    expect(await flushed).toMatchObject({ code: "SESSION_LOST" });
    expect(texts((await undelivered).messages)).toEqual(["not waited for maybe"]);
    const next = await links.next();
    expect(await receiveText(next)).toBe("goes on");
    await queued;
  });

  test("resend: everything is sent again, before anything newer", async () => {
    const { client, relay, links, events } = await restarted("resend");
    client.on("undelivered", (event) => events.push(event));
    relay.heal();
    const server = await links.next();
    await client.send("newer");
    expect(await receiveText(server)).toBe("written");
    expect(await receiveText(server)).toBe("queued");
    expect(await receiveText(server)).toBe("newer");
    expect(events).toEqual([]);
  });

  test("end: the link ends with SESSION_LOST and says what it has", async () => {
    const { client, relay } = await restarted("end");
    relay.heal();
    const { error, undelivered } = await client.closed;
    expect(error).toMatchObject({ code: "SESSION_LOST" });
    expect(texts(undelivered)).toEqual(["written maybe", "queued not-sent"]);
  });

  test("end: also when nothing was in flight", async () => {
    const { client, relay, supervisor, port } = await pair({ whenSessionLost: "end" });
    relay.refuse();
    relay.cut("rst");
    await turned(client, "reconnecting");
    await supervisor.close({ deadlineMs: 0 });
    await serve({ port });
    relay.heal();
    expect((await client.closed).error).toMatchObject({ code: "SESSION_LOST" });
  });

  test('mode "bytes" always ends', async () => {
    const { client, relay, supervisor, port } = await pair({ mode: "bytes" }, { mode: "bytes" });
    relay.refuse();
    relay.cut("rst");
    await turned(client, "reconnecting");
    await supervisor.close({ deadlineMs: 0 });
    await serve({ port, mode: "bytes" });
    relay.heal();
    expect((await client.closed).error).toMatchObject({ code: "SESSION_LOST" });
  });

  test("expires at the server, and at the client that could not come back", async () => {
    const { client, server, relay } = await pair({}, { resumeForMs: 150 });
    server.trySend("for nobody");
    await eventually(() => expect(client.readableLength).toBeGreaterThan(0));
    client.trySend("in doubt");
    await eventually(() => expect(server.readableLength).toBeGreaterThan(0));
    const undelivered = heard(client, "undelivered");
    const before = client.sessionId;
    relay.refuse();
    relay.cut("rst");
    const { error, undelivered: theirs } = await server.closed;
    expect(error).toMatchObject({ code: "SESSION_EXPIRED" });
    expect(texts(theirs)).toEqual(["for nobody maybe"]);
    expect(texts((await undelivered).messages)).toEqual(["in doubt maybe"]);
    relay.heal();
    const connected = await turned(client, "connected");
    expect(connected.session).toBe("new");
    expect(client.sessionId).not.toBe(before);
  });
});

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

  test("a cut after every single byte of the opening handshake, and a little beyond", { timeout: 30_000 }, async () => {
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
  });

  test("a cut after every single byte of a resume, and a little beyond", { timeout: 30_000 }, async () => {
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

test("the logger is told of a life: one line for each transition, and of what is undelivered", async () => {
  const { lines, logger } = logKeeper();
  const { port } = await serve();
  const relay = await relayTo(port);
  const link = manage({ logger }).open({ port: relay.port, host: "127.0.0.1", reconnect: QUICK });
  await link.connected();
  relay.refuse();
  relay.cut("rst");
  await turned(link, "reconnecting");
  link.trySend("for nobody");
  await link.close({ deadlineMs: 20 });
  const changes = lines.filter(({ event }) => event === "link.state");
  expect(changes[0]).toMatchObject({ level: "info", link: link.id, from: "created", to: "connecting", attempt: 1 });
  expect(changes.map(({ to }) => to)).toEqual(expect.arrayContaining(["connected", "reconnecting", "draining"]));
  expect(changes.at(-1)).toMatchObject({ level: "error", to: "closed", code: "CLOSE_TIMEOUT" });
  expect(changes.find(({ to }) => to === "reconnecting")).toMatchObject({ level: "warn" });
  expect(lines.filter(({ event }) => event === "link.undelivered")).toMatchObject([
    { level: "warn", link: link.id, reason: "ended", notSent: 1, maybe: 0 },
  ]);
});
