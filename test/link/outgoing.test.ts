import { describe, expect, test } from "vitest";
import { KiB, MiB } from "../../src/index.ts";
import {
  echo,
  failure,
  heard,
  isPending,
  openTo,
  pair,
  receiveAll,
  receiveText,
  relayTo,
  serve,
  turned,
  unusedPort,
} from "../support.ts";

test("what is sent before the link is connected arrives first, in order, both ways", async () => {
  const { port } = await serve({}, echo);
  const link = openTo(port);
  const texts = Array.from({ length: 100 }, (_, i) => `message ${i}`);
  for (const text of texts) await link.send(text);
  link.end();
  expect(await receiveAll(link)).toEqual(texts);
  expect(await link.closed).toEqual({ undelivered: [] });
});

describe("sizes", () => {
  test.each([0, 1, 3, 4, 65_535, 65_536, 65_537, 1_000_000])("%i bytes are echoed unchanged", async (bytes) => {
    const { port } = await serve({}, echo);
    const link = openTo(port);
    const message = Buffer.alloc(bytes, "resplice");
    await link.send(message);
    const back = await link.receive();
    expect(back?.equals(message)).toBe(true);
    await link.close();
  });

  test("maxMessageBytes pass; one more is MESSAGE_TOO_LARGE, and nothing else changes", async () => {
    const { client, server } = await pair({ maxMessageBytes: 1_000 }, { maxMessageBytes: 1_000 });
    const before = client.stats().taken;
    for (const options of [{}, { until: "accepted" as const }, { transfer: true }]) {
      const error = await failure(client.send(Buffer.alloc(1_001), options));
      expect(error).toMatchObject({ code: "MESSAGE_TOO_LARGE", delivery: "not-sent", retryable: false });
    }
    expect(await failure(() => client.trySend("x".repeat(1_001)))).toMatchObject({ code: "MESSAGE_TOO_LARGE" });
    // In bytes, not in characters.
    expect(await failure(() => client.trySend("é".repeat(501)))).toMatchObject({ code: "MESSAGE_TOO_LARGE" });
    expect(client.stats().taken).toEqual(before);
    expect(client.writableLength).toBe(0);
    expect(client.state).toBe("connected");
    await client.send(Buffer.alloc(1_000, 1));
    expect(await server.receive()).toHaveLength(1_000);
  });

  test("of two ends the smaller maxMessageBytes counts, for both, once they have met", async () => {
    const { client, server } = await pair({ maxMessageBytes: 5_000 }, { maxMessageBytes: 1_000 });
    expect(await failure(client.send(Buffer.alloc(1_001)))).toMatchObject({ code: "MESSAGE_TOO_LARGE" });
    await client.send(Buffer.alloc(1_000));
    expect(await server.receive()).toHaveLength(1_000);

    const other = await pair({ maxMessageBytes: 1_000 }, { maxMessageBytes: 5_000 });
    expect(await failure(other.server.send(Buffer.alloc(1_001)))).toMatchObject({ code: "MESSAGE_TOO_LARGE" });
    await other.server.send(Buffer.alloc(1_000));
    expect(await other.client.receive()).toHaveLength(1_000);
  });

  test("what was taken before they met and is too large is undelivered, the rest arrives", async () => {
    const { port, links } = await serve({ maxMessageBytes: 1_000 });
    const link = openTo(port, { maxMessageBytes: 5_000 });
    const undelivered = heard(link, "undelivered");
    link.trySend("first");
    link.trySend(Buffer.alloc(1_001, 7));
    link.trySend("second");
    const event = await undelivered;
    expect(event.reason).toBe("too-large");
    expect(event.messages).toEqual([{ message: Buffer.alloc(1_001, 7), delivery: "not-sent", position: undefined }]);
    const server = await links.next();
    expect(await receiveText(server)).toBe("first");
    expect(await receiveText(server)).toBe("second");
    expect(link.stats().undelivered["too-large"]).toBe(1);
    expect((await link.close()).undelivered).toEqual([]);
  });

  test("a send that waited for room until the ends had met, and is too large for the peer, is rejected", async () => {
    const { port, links } = await serve({ maxMessageBytes: 1_000 });
    const link = openTo(port, { maxMessageBytes: 5_000, queue: { maxMessages: 2 } });
    link.trySend("first");
    link.trySend("second");
    const large = failure(link.send(Buffer.alloc(1_001)));
    const last = link.send("last");
    const server = await links.next();
    expect(await receiveText(server)).toBe("first");
    expect(await receiveText(server)).toBe("second");
    expect(await large).toMatchObject({ code: "MESSAGE_TOO_LARGE", delivery: "not-sent" });
    await last;
    expect(await receiveText(server)).toBe("last");
    expect(link.state).toBe("connected");
  });
});

describe("payloads", () => {
  test.each(["", "plain", "naïve", "日本語", "🧵 splice", "a\u0000b"])(
    "the string %j arrives as UTF-8",
    async (text) => {
      const { port } = await serve({}, echo);
      const link = openTo(port);
      await link.send(text);
      const back = await link.receive();
      expect(back).toBeInstanceOf(Buffer);
      expect(String(back)).toBe(text);
      expect(back).toHaveLength(Buffer.byteLength(text));
    },
  );

  test("a Uint8Array, and a view into a larger one", async () => {
    const { client, server } = await pair();
    await client.send(new Uint8Array([1, 2, 3]));
    await client.send(new Uint8Array([1, 2, 3, 4, 5]).subarray(1, 3));
    expect(await server.receive()).toEqual(Buffer.from([1, 2, 3]));
    expect(await server.receive()).toEqual(Buffer.from([2, 3]));
  });

  test.each([1_000, 100_000])("%i bytes may be changed as soon as send() has returned", async (bytes) => {
    const { client, server } = await pair();
    const payload = Buffer.alloc(bytes, 1);
    const sent = client.send(payload);
    payload.fill(2);
    await sent;
    client.trySend(payload);
    payload.fill(3);
    expect((await server.receive())?.equals(Buffer.alloc(bytes, 1))).toBe(true);
    expect((await server.receive())?.equals(Buffer.alloc(bytes, 2))).toBe(true);
  });

  test("a send that waits for room has copied its payload too", async () => {
    const link = openTo(await unusedPort(), { queue: { maxMessages: 1 } });
    link.trySend("in the way");
    const payload = Buffer.from("before");
    const waiting = failure(link.send(payload));
    payload.write("after!");
    const report = link.close({ deadlineMs: 0 });
    await waiting;
    expect((await report).undelivered.map(({ message }) => String(message))).toEqual(["in the way"]);

    const { port, links } = await serve();
    const late = openTo(port, { queue: { maxMessages: 1 } });
    late.trySend("in the way");
    const other = Buffer.from("before");
    const sent = late.send(other);
    other.write("after!");
    await sent;
    const server = await links.next();
    expect(await receiveText(server)).toBe("in the way");
    expect(await receiveText(server)).toBe("before");
  });

  test.each([10, 100_000])("transfer: %i bytes go to many links unchanged", async (bytes) => {
    const { port, links } = await serve();
    const payload = Buffer.alloc(bytes, 9);
    const clients = [openTo(port), openTo(port)];
    for (const client of clients) await client.send(payload, { transfer: true });
    for (const _ of clients) {
      const message = await (await links.next()).receive();
      expect(message?.equals(payload)).toBe(true);
    }
    expect(payload.every((byte) => byte === 9)).toBe(true);
  });

  test.each([[{ a: 1 }], [5], [null], [undefined], [["a"]], [new ArrayBuffer(4)]])(
    "%j is not a payload",
    async (payload) => {
      const link = openTo(await unusedPort());
      expect(await failure(link.send(payload as unknown as string))).toMatchObject({ code: "INVALID_ARGUMENT" });
      expect(await failure(() => link.trySend(payload as unknown as string))).toMatchObject({
        code: "INVALID_ARGUMENT",
      });
    },
  );
});

describe("a full queue", () => {
  test("trySend() is false and takes nothing; ready() resolves when there is room", async () => {
    const { port, links } = await serve();
    const relay = await relayTo(port);
    relay.refuse();
    const link = openTo(relay.port, { queue: { maxMessages: 2 } });
    expect(link.trySend("one")).toBe(true);
    expect(link.trySend("two")).toBe(true);
    expect(link.trySend("three")).toBe(false);
    expect(link.stats().taken.messages).toBe(2);
    expect(link.stats().queue).toEqual({ messages: 2, bytes: link.writableLength });
    const ready = link.ready();
    expect(await isPending(ready)).toBe(true);
    relay.heal();
    await ready;
    expect(link.trySend("four")).toBe(true);
    link.end();
    expect(await receiveAll(await links.next())).toEqual(["one", "two", "four"]);
  });

  test("ready() resolves at once while there is room, connected or not", async () => {
    const link = openTo(await unusedPort());
    await link.ready();
    link.trySend("one");
    await link.ready();
  });

  test("a loop of trySend() and ready() lets the event loop turn after each MiB", async () => {
    const { client, server } = await pair();
    server.onMessage(() => {});
    let inTurn = 0;
    let most = 0;
    const turn = (): void => {
      most = Math.max(most, inTurn);
      inTurn = 0;
      if (client.state === "connected") setImmediate(turn);
    };
    setImmediate(turn);
    await client.ready();
    for (let sent = 0; sent < 32 * MiB;) {
      if (client.trySend(Buffer.alloc(KiB))) {
        sent += KiB;
        inTurn += KiB;
      } else {
        await client.ready();
      }
    }
    await client.close();
    expect(most).toBeLessThanOrEqual(MiB);
  });

  test("ready() waits for room for what trySend() has just refused", async () => {
    // 400 bytes of room are left: enough for something, not for what was refused. A loop of trySend() and ready() that is
    // answered at once would never let the event loop run.
    const link = openTo(await unusedPort(), { maxMessageBytes: 500, queue: { maxBytes: 1_000 } });
    expect(link.trySend(Buffer.alloc(500))).toBe(true);
    expect(link.trySend(Buffer.alloc(500))).toBe(false);
    expect(await isPending(link.ready())).toBe(true);
  });

  test("sends wait, in order, also those that would fit before those that do not", async () => {
    const { port, links } = await serve();
    const relay = await relayTo(port);
    relay.refuse();
    const link = openTo(relay.port, { maxMessageBytes: 600, queue: { maxBytes: 1_000 } });
    await link.send(Buffer.alloc(600, "a"));
    const order: string[] = [];
    const sends = ["b".repeat(600), "c", "d".repeat(390), "e"].map(async (text) => {
      await link.send(text);
      order.push(text.charAt(0));
    });
    expect(link.trySend("f")).toBe(false);
    expect(await isPending(Promise.race(sends))).toBe(true);
    relay.heal();
    await Promise.all(sends);
    expect(order).toEqual(["b", "c", "d", "e"]);
    link.end();
    expect((await receiveAll(await links.next())).map((text) => text.charAt(0))).toEqual(["a", "b", "c", "d", "e"]);
  });

  test("QUEUE_FULL when as many sends wait as the queue holds", async () => {
    const link = openTo(await unusedPort(), { queue: { maxMessages: 3 } });
    for (let i = 0; i < 3; i++) await link.send("taken");
    const waiting = [0, 1, 2].map(() => failure(link.send("waits")));
    const error = await failure(link.send("too many"));
    expect(error).toMatchObject({ code: "QUEUE_FULL", delivery: "not-sent", retryable: true });
    void link.close({ deadlineMs: 0 });
    for (const wait of waiting) expect(await wait).toMatchObject({ code: "LINK_ENDED", delivery: "not-sent" });
  });

  test("QUEUE_FULL when they would hold more bytes than the queue; ready() holds none, and waits all the same", async () => {
    const link = openTo(await unusedPort(), { maxMessageBytes: 600, queue: { maxMessages: 3, maxBytes: 1_000 } });
    await link.send(Buffer.alloc(600));
    const waiting = [600, 400].map((bytes) => failure(link.send(Buffer.alloc(bytes))));
    expect(await failure(link.send("x"))).toMatchObject({ code: "QUEUE_FULL", delivery: "not-sent" });
    expect(link.trySend(Buffer.alloc(600))).toBe(false);
    const readies = Array.from({ length: 10 }, () => failure(link.ready()));
    void link.close({ deadlineMs: 0 });
    for (const wait of [...waiting, ...readies]) expect(await wait).toMatchObject({ code: "LINK_ENDED" });
  });

  test("a queue of 16 messages of 64 KiB passes 8 MiB to a slow reader without loss", async () => {
    const { client, server } = await pair({ queue: { maxMessages: 16 } });
    const count = 128;
    const sending = (async () => {
      for (let i = 0; i < count; i++) await client.send(Buffer.alloc(64 * KiB, i));
      client.end();
    })();
    let i = 0;
    for await (const message of server) {
      expect(message).toHaveLength(64 * KiB);
      expect(message[0]).toBe(i++ & 255);
    }
    await sending;
    expect(i).toBe(count);
  });
});

describe("signals", () => {
  test("each wait rejects with ABORTED, named AbortError, with the reason as its cause", async () => {
    const { client, server, relay } = await pair({ queue: { maxMessages: 1 } });
    relay.refuse();
    relay.cut("rst");
    await turned(client, "reconnecting");
    client.trySend("in the way");
    const waits = [
      (signal: AbortSignal) => client.send("waits", { signal }),
      (signal: AbortSignal) => client.ready({ signal }),
      (signal: AbortSignal) => client.flush({ signal }),
      (signal: AbortSignal) => client.connected({ signal }),
      (signal: AbortSignal) => client.receive({ signal }),
      (signal: AbortSignal) => server.receive({ signal }),
    ];
    for (const wait of waits) {
      const reason = new Error("no longer");
      const controller = new AbortController();
      const waiting = failure(wait(controller.signal));
      expect(await isPending(waiting)).toBe(true);
      controller.abort(reason);
      const error = await waiting;
      expect(error).toMatchObject({ code: "ABORTED", name: "AbortError", cause: reason });
      expect(await failure(wait(AbortSignal.abort(reason)))).toMatchObject({ code: "ABORTED", cause: reason });
    }
    relay.heal();
    expect(await receiveText(server)).toBe("in the way");
    expect(server.readableLength).toBe(0);
  });

  test("an aborted send that waited for room is not sent, and those behind it move up", async () => {
    const { port, links } = await serve();
    const relay = await relayTo(port);
    relay.refuse();
    const link = openTo(relay.port, { queue: { maxMessages: 1 } });
    await link.send("one");
    const controller = new AbortController();
    const aborted = failure(link.send("two", { signal: controller.signal, until: "accepted" }));
    controller.abort();
    expect(await aborted).toMatchObject({ code: "ABORTED", delivery: "not-sent" });
    const three = link.send("three");
    relay.heal();
    await three;
    link.end();
    expect(await receiveAll(await links.next())).toEqual(["one", "three"]);
  });

  test("aborting a send until accepted says what is known, and takes nothing back", async () => {
    const { client, server, relay } = await pair();
    const written = new AbortController();
    const sent = failure(client.send("written", { until: "accepted", signal: written.signal }));
    await expect.poll(() => server.readableLength).toBeGreaterThan(0);
    written.abort();
    expect(await sent).toMatchObject({ code: "ABORTED", delivery: "maybe" });

    relay.refuse();
    relay.cut("rst");
    await turned(client, "reconnecting");
    const queued = new AbortController();
    const unsent = failure(client.send("queued", { until: "accepted", signal: queued.signal }));
    queued.abort();
    // It stays taken, and is delivered.
    expect(await unsent).toMatchObject({ code: "ABORTED", delivery: "maybe" });
    relay.heal();
    expect(await receiveText(server)).toBe("written");
    expect(await receiveText(server)).toBe("queued");
  });
});

describe("until accepted", () => {
  test.each(["acepted", "answered", "everything", true])("%j is refused, and nothing is taken", async (until) => {
    const { client } = await pair();
    expect(await failure(client.send("work", { until } as object))).toMatchObject({
      code: "INVALID_OPTION",
      message: expect.stringContaining('; allowed: "taken", "accepted"'),
      delivery: "not-sent",
    });
    expect(client.stats().taken.messages).toBe(0);
  });

  test("send() resolves only when the peer's loop has come back", async () => {
    const { client, server } = await pair();
    const sent = client.send("work", { until: "accepted" });
    const iterator = server[Symbol.asyncIterator]();
    await iterator.next();
    expect(await isPending(sent, 50)).toBe(true);
    const next = iterator.next();
    await sent;
    await iterator.return?.();
    expect((await next).done).toBe(true);
  });

  test("and when its async handler is done", async () => {
    const { client, server } = await pair();
    let done = (): void => {};
    server.onMessage(
      () =>
        new Promise<void>((resolve) => {
          done = resolve;
        }),
    );
    const sent = client.send("work", { until: "accepted" });
    expect(await isPending(sent, 50)).toBe(true);
    done();
    await sent;
  });

  test("flush() waits for everything that was taken until then, and for nothing when all is accepted", async () => {
    const { client, server } = await pair();
    await client.flush();
    client.trySend("one");
    client.trySend("two");
    const flushed = client.flush();
    expect(await receiveText(server)).toBe("one");
    expect(await isPending(flushed, 50)).toBe(true);
    expect(await receiveText(server)).toBe("two");
    await flushed;
    expect(client.writableLength).toBe(0);
    await client.flush();
  });

  test("both survive a reconnect", async () => {
    const { client, server, relay } = await pair();
    const waits = [client.send("one", { until: "accepted" }), client.flush()];
    relay.cut("rst");
    await turned(client, "connected");
    expect(await isPending(Promise.race(waits), 20)).toBe(true);
    expect(await receiveText(server)).toBe("one");
    await Promise.all(waits);
  });

  test("sends resolve each in its time, those that waited for room too", async () => {
    const { client, server } = await pair({ queue: { maxMessages: 3 } });
    const sends = ["a", "b", "c", "d", "e"].map((text) => client.send(text, { until: "accepted" }));
    for (const [i, sent] of sends.entries()) {
      expect(await isPending(sent, 5)).toBe(true);
      expect(await receiveText(server)).toBe("abcde".charAt(i));
      await sent;
    }
  });

  test("they reject with the error that ended the link", async () => {
    const { client, server } = await pair();
    const waits = [failure(client.send("one", { until: "accepted" })), failure(client.flush())];
    await expect.poll(() => server.readableLength).toBeGreaterThan(0);
    server.abort("enough");
    const [send, flush] = await Promise.all(waits);
    expect(send).toMatchObject({ code: "PEER_ABORTED", delivery: "maybe" });
    expect(flush?.code).toBe("PEER_ABORTED");
    // The one message was waited for: its rejection tells of it, the report does not.
    expect((await client.closed).undelivered).toEqual([]);
  });

  test("in a byte stream, too: what ends in the middle of an undelivered piece is in doubt", async () => {
    const { client, server } = await pair({ mode: "bytes" }, { mode: "bytes" });
    const sent = failure(client.send("begin", { until: "accepted" }));
    await client.send("ning");
    await expect.poll(() => server.readableLength).toBe(9);
    client.abort("enough");
    expect(await sent).toMatchObject({ code: "LINK_ENDED", delivery: "maybe" });
  });

  test("and what ends in a piece that was never written was not sent", async () => {
    const link = openTo(await unusedPort(), { mode: "bytes" });
    const sent = failure(link.send("begin", { until: "accepted" }));
    await link.send("ning");
    link.abort("enough");
    expect(await sent).toMatchObject({ code: "LINK_ENDED", delivery: "not-sent" });
  });
});

test("after the end every sending call says LINK_ENDED", async () => {
  const { client } = await pair();
  client.end();
  expect(await failure(client.send("late"))).toMatchObject({ code: "LINK_ENDED", delivery: "not-sent" });
  expect(await failure(() => client.trySend("late"))).toMatchObject({ code: "LINK_ENDED" });
  expect(await failure(client.ready())).toMatchObject({ code: "LINK_ENDED" });
  await client.close();
  expect(await failure(client.send("late"))).toMatchObject({ code: "LINK_ENDED" });
});

test("100,000 small messages by trySend() and ready()", async () => {
  const { client, server } = await pair({ queue: { maxMessages: 1_000 } });
  let next = 0;
  const done = new Promise<void>((resolve) => {
    server.onMessage((message) => {
      if (message.readUInt32BE(0) !== next) throw new Error(`got ${message.readUInt32BE(0)} instead of ${next}`);
      if (++next === 100_000) resolve();
    });
  });
  for (let i = 0; i < 100_000; i++) {
    const message = Buffer.alloc(4);
    message.writeUInt32BE(i);
    while (!client.trySend(message)) await client.ready();
  }
  await done;
  expect(client.stats()).toMatchObject({ taken: { messages: 100_000, bytes: 400_000 } });
  expect(server.stats()).toMatchObject({ received: { messages: 100_000, bytes: 400_000 } });
  expect(client.writableLength).toBeLessThan(4 * MiB);
});
