import { describe, expect, test } from "vitest";
import { SystemClock } from "../../src/io/clock.ts";
import { Incoming } from "../../src/link/incoming.ts";
import { ByHand, say } from "../sim/by-hand.ts";
import { type Link, type Message, RespliceError } from "../../src/index.ts";
import { Arrivals, failure, isPending, pair, receiveAll, receiveText, turned } from "../support.ts";

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

test("where a loop came back in a session that was replaced accepts nothing of the next", async () => {
  const world = new ByHand();
  const [lost, next] = [world.server(), world.server()];
  const client = world.client();
  const line = client.connect(lost);
  const driver = { clock: new SystemClock(), changed: () => {}, run: () => {} };
  const incoming = new Incoming(client.core, false, driver, { failHandler: () => {}, failure: undefined, owner: {} });
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
