/** Messages that a handler takes: onMessage(), serve(), and handlers that fail or outlive their session. */
import { describe, expect, test } from "vitest";
import type { Link, Message } from "../../src/index.ts";
import {
  Arrivals,
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
} from "../support.ts";

describe("onMessage()", () => {
  test("one at a time, in order, accepted when its promise fulfils", async () => {
    const { client, server } = await pair();
    const done = new Arrivals<() => void>();
    const seen: string[] = [];
    server.onMessage((message) => {
      seen.push(String(message));
      return new Promise<void>((resolve) => {
        done.put(resolve);
      });
    });
    const sends = ["one", "two"].map((text) => client.send(text, { until: "accepted" }));
    const first = await done.next();
    expect(await isPending(Promise.race(sends), 30)).toBe(true);
    expect(seen).toEqual(["one"]);
    first();
    await sends[0];
    const second = await done.next();
    expect(await isPending(sends[1] as Promise<void>, 30)).toBe(true);
    second();
    await sends[1];
    expect(seen).toEqual(["one", "two"]);
  });

  test("a synchronous one accepts when it returns; it is called also for what is here already", async () => {
    const { client, server } = await pair();
    const sends = ["one", "two", "three"].map((text) => client.send(text, { until: "accepted" }));
    await expect.poll(() => server.readableLength).toBeGreaterThan(0);
    const seen: string[] = [];
    server.onMessage((message) => void seen.push(String(message)));
    await Promise.all(sends);
    expect(seen).toEqual(["one", "two", "three"]);
  });

  test("may send, end and close the link from within", async () => {
    const { client, server } = await pair();
    server.onMessage((message) => {
      server.trySend(message);
      if (String(message) === "last") void server.close();
    });
    for (const text of ["one", "two", "last"]) client.trySend(text);
    expect(await receiveAll(client)).toEqual(["one", "two", "last"]);
    expect(await client.closed).toEqual({ undelivered: [] });
    expect(await server.closed).toEqual({ undelivered: [] });
  });

  test.each<[string, (link: Link) => unknown]>([
    ["close()", (link) => link.close()],
    ["reauthenticate()", (link) => link.reauthenticate()],
  ])("an async one that calls %s is not called again before it has returned", async (_, call) => {
    const { port, links } = await serve({ authenticate: () => "somebody" });
    const client = openTo(port, { reconnect: QUICK });
    const server = await links.next();
    const first = Promise.withResolvers<void>();
    const seen: string[] = [];
    server.onMessage(async (message) => {
      if (String(message) === "one") await first.promise;
      if (String(message) === "two") call(server);
      seen.push(String(message));
    });
    for (const text of ["one", "two", "three"]) client.trySend(text);
    await eventually(() => expect(server.readableLength).toBe(2 * 4 + 8));
    first.resolve();
    await eventually(() => expect(seen).toHaveLength(3));
    expect(seen).toEqual(["one", "two", "three"]);
  });

  test("needs a function, and comes once", async () => {
    const { server } = await pair();
    expect(await failure(() => server.onMessage(5 as never))).toMatchObject({ code: "INVALID_ARGUMENT" });
    server.onMessage(() => {});
    expect(await failure(() => server.onMessage(() => {}))).toMatchObject({ code: "CONSUMER_BUSY" });
  });
});

describe("a handler that fails", () => {
  const failures: Array<[string, (message: Message) => void | Promise<void>]> = [
    [
      "throws",
      (message) => {
        if (String(message) === "poison") throw new Error("mine");
      },
    ],
    [
      "rejects",
      async (message) => {
        await Promise.resolve();
        if (String(message) === "poison") throw new Error("mine");
      },
    ],
  ];

  test.each(failures)(
    "that %s: HANDLER_FAILED at the server; its client reports what is undelivered and opens anew",
    async (_, handler) => {
      const seen: string[] = [];
      const { port, links } = await serve({}, (link) => {
        link.onMessage((message) => {
          seen.push(String(message));
          return handler(message);
        });
      });
      const link = openTo(port);
      await link.connected();
      const server = await links.next();
      const before = link.sessionId;
      const undelivered = heard(link, "undelivered");
      const reconnecting = turned(link, "reconnecting");
      const connected = turned(link, "connected");
      const failed = heard(server, "error");
      for (const text of ["good", "poison", "behind"]) link.trySend(text);

      const error = await failed;
      expect(error).toMatchObject({ code: "HANDLER_FAILED", retryable: false });
      expect(error.cause).toMatchObject({ message: "mine" });
      expect((await server.closed).error).toBe(error);

      const event = await undelivered;
      expect(event).toMatchObject({ reason: "session-lost", sessionId: before });
      expect(event.messages.map(({ message, delivery }) => [String(message), delivery])).toEqual([
        ["poison", "maybe"],
        ["behind", "maybe"],
      ]);
      expect((await reconnecting).to).toBe("reconnecting");
      expect(await connected).toMatchObject({ session: "new" });
      expect(link.sessionId).not.toBe(before);
      expect(seen).toEqual(["good", "poison"]);

      const next = await links.next();
      expect(next.sessionId).toBe(link.sessionId);
      await link.send("after", { until: "accepted" });
      expect(seen).toEqual(["good", "poison", "after"]);
    },
  );

  test("a poison message that is sent again goes through a backoff that grows", async () => {
    let calls = 0;
    const { port } = await serve({}, (link) => {
      link.onMessage(() => {
        calls++;
        throw new Error("never");
      });
    });
    const link = openTo(port, { whenSessionLost: "resend", reconnect: { minDelayMs: 100 } });
    const delays: number[] = [];
    link.on("state", (change) => {
      if (change.to === "reconnecting") delays.push(change.nextDelayMs);
    });
    link.trySend("poison");
    await expect.poll(() => delays.length, { timeout: 5_000 }).toBeGreaterThan(12);
    expect(Math.max(...delays.slice(0, 10))).toBeLessThanOrEqual(100);
    expect(Math.min(...delays.slice(11))).toBeGreaterThanOrEqual(50);
    expect(calls).toBeGreaterThan(10);
  });

  test("at the client: its link ends, the server's with a lost session", async () => {
    const { client, server } = await pair();
    const failed = heard(client, "error");
    client.onMessage(async () => {
      await Promise.resolve();
      throw new Error("mine");
    });
    server.trySend("poison");
    expect(await failed).toMatchObject({ code: "HANDLER_FAILED", cause: { message: "mine" } });
    const { error, undelivered } = await server.closed;
    expect(error).toMatchObject({ code: "SESSION_LOST", cause: { code: "HANDLER_FAILED" } });
    expect(undelivered).toMatchObject([{ delivery: "maybe" }]);
  });

  test("serve()'s own: thrown or rejected, the same; the other links go on", async () => {
    let opened = 0;
    const { port, links } = await serve({}, (link) => {
      opened++;
      if (opened === 1) throw new Error("sync");
      if (opened === 2) return Promise.reject(new Error("async"));
      link.onMessage((message) => void link.trySend(message));
      return undefined;
    });
    const client = openTo(port);
    const first = await links.next();
    expect((await first.closed).error).toMatchObject({ code: "HANDLER_FAILED", cause: { message: "sync" } });
    const second = await links.next();
    expect((await second.closed).error).toMatchObject({ code: "HANDLER_FAILED", cause: { message: "async" } });
    await links.next();
    await client.send("hello");
    expect(await receiveText(client)).toBe("hello");
  });
});

describe("serve()'s handler", () => {
  test("when an async one is done its link is closed, after what it sent was accepted", async () => {
    const { port } = await serve({}, async (link) => {
      await link.send("welcome");
    });
    const client = openTo(port);
    expect(await receiveAll(client)).toEqual(["welcome"]);
    expect(await client.closed).toEqual({ undelivered: [] });
  });

  test("unless it called onMessage()", async () => {
    const { port } = await serve({}, async (link) => {
      await Promise.resolve();
      link.onMessage((message) => void link.trySend(message));
    });
    const client = openTo(port);
    await client.send("one");
    expect(await receiveText(client)).toBe("one");
    expect(client.state).toBe("connected");
  });

  test("a synchronous one leaves it open", async () => {
    const { client, server } = await pair();
    server.trySend("hello");
    expect(await receiveText(client)).toBe("hello");
    expect(server.state).toBe("connected");
  });
});

test("a handler whose promise is pending while its session is replaced stays the only one at work", async () => {
  const { port, links } = await serve();
  const relay = await relayTo(port);
  const manager = manage();
  const client = manager.open({ port: relay.port, host: "127.0.0.1", reconnect: QUICK });
  await client.connected();
  const first = await links.next();
  const done = new Arrivals<() => void>();
  const seen: string[] = [];
  client.onMessage((message) => {
    seen.push(String(message));
    return new Promise<void>((resolve) => {
      done.put(resolve);
    });
  });
  first.trySend("old");
  const finish = await done.next();
  const replaced = turned(client, "connected");
  first.onMessage(() => {
    throw new Error("the server's own");
  });
  client.trySend("poison");
  expect(await replaced).toMatchObject({ session: "new" });
  const second = await links.next();
  const sent = second.send("new", { until: "accepted" });
  expect(await isPending(sent, 50)).toBe(true);
  expect(seen).toEqual(["old"]);
  finish();
  (await done.next())();
  await sent;
  expect(seen).toEqual(["old", "new"]);
});

test("a handler that rejects after its session was replaced has accepted nothing of the new one", async () => {
  const { port, links } = await serve();
  const client = openTo(port);
  await client.connected();
  const first = await links.next();
  const pending = new Arrivals<(error: Error) => void>();
  client.onMessage((message) => {
    if (String(message) !== "pending") return undefined;
    return new Promise<void>((_, reject) => {
      pending.put(reject);
    });
  });
  first.trySend("x".repeat(100));
  first.trySend("pending");
  const fail = await pending.next();
  const replaced = turned(client, "connected");
  first.onMessage(() => {
    throw new Error("the server's own");
  });
  client.trySend("poison");
  expect(await replaced).toMatchObject({ session: "new" });
  const second = await links.next();
  second.trySend("never seen");
  await expect.poll(() => client.readableLength).toBe(14);
  fail(new Error("mine"));
  const { error, undelivered } = await second.closed;
  expect(error).toMatchObject({ code: "SESSION_LOST", cause: { code: "HANDLER_FAILED" } });
  expect(undelivered).toMatchObject([{ message: Buffer.from("never seen"), delivery: "maybe" }]);
});
