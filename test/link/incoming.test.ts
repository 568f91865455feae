import { describe, expect, test } from "vitest";
import { SystemClock } from "../../src/io/clock.ts";
import { Incoming } from "../../src/link/incoming.ts";
import { ByHand, say } from "../sim/by-hand.ts";
import { type Link, type Message, RespliceError } from "../../src/index.ts";
import {
  Arrivals,
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

describe("receive()", () => {
  test("hands out message after message, then null, again and again", async () => {
    const { client, server } = await pair();
    client.trySend("one");
    client.trySend("two");
    client.end();
    expect(await receiveText(server)).toBe("one");
    expect(await receiveText(server)).toBe("two");
    expect(await server.receive()).toBeNull();
    expect(await server.receive()).toBeNull();
  });

  test("accepts at once", async () => {
    const { client, server } = await pair();
    const sent = client.send("one", { until: "accepted" });
    await server.receive();
    await sent;
  });

  test("says CONSUMER_BUSY while another waits, and works again afterwards", async () => {
    const { client, server } = await pair();
    const first = server.receive();
    expect(await failure(server.receive())).toMatchObject({ code: "CONSUMER_BUSY" });
    client.trySend("one");
    expect(String(await first)).toBe("one");
    client.trySend("two");
    expect(await receiveText(server)).toBe("two");
  });

  test("an aborted one loses no message", async () => {
    const { client, server } = await pair();
    const controller = new AbortController();
    const aborted = failure(server.receive({ signal: controller.signal }));
    controller.abort();
    expect((await aborted).code).toBe("ABORTED");
    client.trySend("one");
    expect(await receiveText(server)).toBe("one");
  });

  test("throws the error that ended the link, at once and later", async () => {
    const { client, server } = await pair();
    const waiting = failure(client.receive());
    server.abort("enough");
    expect(await waiting).toMatchObject({ code: "PEER_ABORTED", peerCode: "enough" });
    expect(await failure(client.receive())).toMatchObject({ code: "PEER_ABORTED" });
  });
});

describe("for await", () => {
  test("accepts a message when the loop comes back", async () => {
    const { client, server } = await pair();
    const first = client.send("one", { until: "accepted" });
    const second = client.send("two", { until: "accepted" });
    client.end();
    const seen: string[] = [];
    for await (const message of server) {
      seen.push(String(message));
      if (seen.length === 1) expect(await isPending(first, 30)).toBe(true);
      if (seen.length === 2) {
        await first;
        expect(await isPending(second, 30)).toBe(true);
      }
    }
    await second;
    expect(seen).toEqual(["one", "two"]);
  });

  test("accepts it when the loop is left by break, and leaves the link open", async () => {
    const { client, server } = await pair();
    const first = client.send("one", { until: "accepted" });
    client.trySend("two");
    for await (const _ of server) break;
    await first;
    expect(server.state).toBe("connected");
    expect(await receiveText(server)).toBe("two");
  });

  test("and by throw", async () => {
    const { client, server } = await pair();
    const first = client.send("one", { until: "accepted" });
    await expect(async () => {
      for await (const _ of server) throw new Error("mine");
    }).rejects.toThrow("mine");
    await first;
    expect(server.state).toBe("connected");
  });

  test("says CONSUMER_BUSY beside another consumer", async () => {
    const { server } = await pair();
    const iterator = server[Symbol.asyncIterator]();
    expect(await failure(() => server[Symbol.asyncIterator]())).toMatchObject({ code: "CONSUMER_BUSY" });
    expect(await failure(() => server.onMessage(() => {}))).toMatchObject({ code: "CONSUMER_BUSY" });
    expect(await failure(server.receive())).toMatchObject({ code: "CONSUMER_BUSY" });
    await iterator.return?.();
    server.onMessage(() => {});
    expect(await failure(server.receive())).toMatchObject({ code: "CONSUMER_BUSY" });
  });

  test("return() ends a next() that waits", async () => {
    const { server } = await pair();
    const iterator = server[Symbol.asyncIterator]();
    const waiting = iterator.next();
    await iterator.return?.();
    expect(await waiting).toEqual({ done: true, value: undefined });
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
  });

  test(
    "several next() at a time are answered in turn, or refused, but never forgotten",
    { timeout: 1_000 },
    async () => {
      const { client, server } = await pair();
      const iterator = server[Symbol.asyncIterator]();
      const settled = Promise.allSettled([iterator.next(), iterator.next()]);
      client.trySend("one");
      client.trySend("two");
      client.end();
      await settled;
    },
  );

  test("throws the error that ended the link", async () => {
    const { client, server } = await pair();
    const reading = failure(receiveAll(client));
    server.abort();
    expect(await reading).toMatchObject({ code: "PEER_ABORTED", peerCode: "" });
    expect(await failure(receiveAll(client))).toMatchObject({ code: "PEER_ABORTED" });
  });

  test("ends when the link is closed or aborted at this end", async () => {
    const one = await pair();
    const aborted = receiveAll(one.client);
    one.client.abort();
    expect(await aborted).toEqual([]);

    const two = await pair();
    const closed = receiveAll(two.client);
    await two.client.close();
    expect(await closed).toEqual([]);
  });
});

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

describe("manual acceptance", () => {
  const manual = { manualAcceptance: { maxBatchBytes: 100_000 } };

  test("nothing is accepted but by accept(position)", async () => {
    const { client, server } = await pair({}, manual);
    const sends = ["one", "two", "three"].map((text) => client.send(text, { until: "accepted" }));
    const positions: number[] = [];
    for (let i = 0; i < 3; i++) {
      await server.receive();
      positions.push(server.position);
    }
    expect(positions).toEqual([7, 14, 23]);
    expect(await isPending(Promise.race(sends), 30)).toBe(true);
    server.accept(positions[1] as number);
    await sends[1];
    await sends[0];
    expect(await isPending(sends[2] as Promise<void>, 30)).toBe(true);
    server.accept(positions[2] as number);
    await sends[2];
    // Going back changes nothing.
    server.accept(0);
  });

  test("the messages are handed out by a loop or a handler as well", async () => {
    const one = await pair({}, manual);
    const sent = one.client.send("one", { until: "accepted" });
    one.client.end();
    for await (const _ of one.server) expect(await isPending(sent, 10)).toBe(true);
    expect(await isPending(sent, 30)).toBe(true);
    one.server.accept(one.server.position);
    await sent;

    const two = await pair({}, manual);
    const handled = new Arrivals<Message>();
    two.server.onMessage((message) => handled.put(message));
    const again = two.client.send("two", { until: "accepted" });
    await handled.next();
    expect(await isPending(again, 30)).toBe(true);
    two.server.accept(two.server.position);
    await again;
  });

  test("skips ahead: what is here and what is still to come", async () => {
    const { client, server } = await pair({}, manual);
    const sends = ["skipped", "skipped too", "seen"].map((text) => client.send(text, { until: "accepted" }));
    server.accept(4 + 7 + 4 + 11);
    expect(await receiveText(server)).toBe("seen");
    await Promise.all(sends.slice(0, 2));
    server.accept(server.position);
    await sends[2];
  });

  test("needs its option and a position", async () => {
    const without = await pair();
    expect(await failure(() => without.server.accept(1))).toMatchObject({ code: "NOT_SUPPORTED" });
    const { server } = await pair({}, manual);
    for (const position of [-1, 1.5, Number.NaN, "7", 2 ** 53]) {
      expect(await failure(() => server.accept(position as number))).toMatchObject({ code: "INVALID_ARGUMENT" });
    }
  });

  test("what was handed out and not accepted is not handed out again on a resume", async () => {
    const { client, server, relay } = await pair({}, manual);
    const sent = client.send("one", { until: "accepted" });
    expect(await receiveText(server)).toBe("one");
    relay.cut("rst");
    await turned(client, "connected");
    client.trySend("two");
    expect(await receiveText(server)).toBe("two");
    server.accept(server.position);
    await sent;
  });
});

test("position grows within a session, readableLength counts what waits", async () => {
  const { client, server } = await pair();
  expect(server.position).toBe(0);
  client.trySend("abc");
  client.trySend("");
  await expect.poll(() => server.readableLength).toBe(11);
  await server.receive();
  expect(server.position).toBe(7);
  expect(server.readableLength).toBe(4);
  await server.receive();
  expect(server.position).toBe(11);
  expect(server.readableLength).toBe(0);
});

test("a consumer that does not read holds the sender back at the window, and nothing is lost", async () => {
  const window = { minBytes: 64 * 1_024, maxBytes: 64 * 1_024 };
  const { client, server } = await pair(
    { queue: { maxMessages: 10 }, maxMessageBytes: 10_000 },
    { window, maxMessageBytes: 10_000 },
  );
  const sending = (async () => {
    for (let i = 0; i < 200; i++) await client.send(Buffer.alloc(1_000, i));
    client.end();
  })();
  await expect.poll(() => server.readableLength).toBe(64 * 1_024);
  expect(await isPending(sending, 50)).toBe(true);
  expect(server.readableLength).toBe(64 * 1_024);
  let i = 0;
  for await (const message of server) expect(message[0]).toBe(i++ & 255);
  expect(i).toBe(200);
  await sending;
});

test("two consumers in the two directions at once, each sends what the other gets", async () => {
  const { client, server } = await pair();
  const count = 2_000;
  const run = async (link: Link): Promise<number> => {
    const sending = (async () => {
      for (let i = 0; i < count; i++) await link.send(String(i));
      link.end();
    })();
    let next = 0;
    for await (const message of link) {
      if (String(message) !== String(next))
        throw new RespliceError("INVALID_STATE", `${String(message)} is not ${next}`);
      next++;
    }
    await sending;
    return next;
  };
  expect(await Promise.all([run(client), run(server)])).toEqual([count, count]);
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

test("where a loop came back in a session that was replaced accepts nothing of the next", async () => {
  const world = new ByHand();
  const [lost, next] = [world.server(), world.server()];
  const client = world.client();
  const line = client.connect(lost);
  const driver = { clock: new SystemClock(), changed: () => {} };
  const incoming = new Incoming(client.core, false, driver, { failHandler: () => {}, failure: undefined });
  const loop = incoming.iterate();
  say(lost.link, "one");
  line.settle();
  expect(await loop.next()).toMatchObject({ value: Buffer.from("one") });
  const second = loop.next();
  line.cut();
  const again = client.connect(next);
  say(next.link, "two");
  again.settle();
  incoming.progress();
  expect(client.core.session.receiver.accepted).toBe(0);
  expect(await second).toMatchObject({ value: Buffer.from("two") });
});
