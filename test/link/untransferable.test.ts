// What becomes of messages whose ArrayBuffer is transferred elsewhere: at the sender before, and at the receiver after.
import { once } from "node:events";
import { describe, expect, test } from "vitest";
import { type Link, type Message, MiB, type SendOptions } from "../../src/index.ts";
import { lend } from "../../src/link/forwarding.ts";
import { eventually, failure, openTo, pair, receiveText, unusedPort, withUncaught } from "../support.ts";
import { detach } from "./detached.ts";
import { streams } from "./streams.ts";

/** A view of so many bytes whose memory can be made too small for it. */
function shrinkable(bytes: number): { view: Uint8Array; shrink: () => void } {
  const memory = new ArrayBuffer(bytes, { maxByteLength: bytes });
  return { view: new Uint8Array(memory, 0, bytes).fill(7), shrink: () => memory.resize(1) };
}

function gone(kind: string): Uint8Array {
  const { view, shrink } = shrinkable(20);
  if (kind === "transferred") detach(view);
  else shrink();
  return view;
}

describe.each(["transferred", "made smaller"])("a payload whose ArrayBuffer was %s", (kind) => {
  const expected = { code: "INVALID_ARGUMENT", delivery: "not-sent" };

  test.each<SendOptions>([{}, { transfer: true }, { until: "accepted" }])(
    "is refused before anything of it is taken: %j",
    async (options) => {
      const { client, server } = await pair();
      await client.send("before");
      const { taken } = client.stats();
      expect(await failure(client.send(gone(kind), options))).toMatchObject(expected);
      expect(await failure(() => client.trySend(gone(kind)))).toMatchObject(expected);
      expect(client.stats().taken).toEqual(taken);
      await client.send(new Uint8Array(0));
      await client.send("after");
      expect([await receiveText(server), await receiveText(server), await receiveText(server)]).toEqual([
        "before",
        "",
        "after",
      ]);
    },
  );

  test.each([20, 200_000])("is an error of the stream that still has it to write: %i bytes", async (bytes) => {
    const { near } = await streams({ queue: { maxBytes: 100_000 } });
    const failed = once(near, "error");
    const { view, shrink } = shrinkable(bytes);
    // A small one waits in the stream, a large one is half taken by the link.
    if (bytes < 100_000) near.cork();
    near.write(view);
    if (kind === "transferred") detach(view);
    else shrink();
    near.uncork();
    expect(await failed).toMatchObject([expected]);
    expect(near.destroyed).toBe(true);
  });
});

describe("a payload that is given away", () => {
  test("and is small is sent as it was, whatever becomes of it while it waits for room", async () => {
    const { client, server, relay } = await pair({ queue: { maxMessages: 2 } });
    relay.stall();
    client.trySend("x".repeat(200_000));
    while (client.trySend("in the way"));
    const { view, shrink } = shrinkable(3);
    const other = Buffer.from(new Uint8Array([65, 66, 67]).buffer);
    const uncaught = await withUncaught(async () => {
      const sent = [client.send(view, { transfer: true }), client.send(other, { transfer: true })];
      shrink();
      detach(other);
      relay.heal();
      const got: Buffer[] = [];
      server.onMessage((message) => void got.push(message));
      await Promise.all(sent);
      await client.flush();
      expect(got.slice(-2)).toEqual([Buffer.alloc(3, 7), Buffer.from("ABC")]);
    });
    expect(uncaught).toEqual([]);
  });

  test("and is large cannot be transferred elsewhere", async () => {
    const link = openTo(await unusedPort());
    const payload = new Uint8Array(100_000);
    await link.send(payload, { transfer: true });
    expect(() => detach(payload)).toThrow("transfer");
    expect(() => payload.buffer.transfer()).toThrow(TypeError);
    expect(payload).toHaveLength(100_000);
  });

  test("and is large is copied where its memory may shrink", async () => {
    const { client, server, relay } = await pair();
    relay.stall();
    const { view, shrink } = shrinkable(100_000);
    await client.send(view, { transfer: true });
    shrink();
    relay.heal();
    expect((await server.receive())?.equals(Buffer.alloc(100_000, 7))).toBe(true);
  });

  test("and is large is copied where its memory may grow: what was held is what is given back", async () => {
    const { client, server, manager } = await pair();
    const memory = new SharedArrayBuffer(100_000, { maxByteLength: 1 * MiB });
    await client.send(new Uint8Array(memory, 0, 100_000), { transfer: true });
    memory.grow(1 * MiB);
    await server.receive();
    await client.flush();
    expect(manager.stats().bufferBytes).toBe(0);
  });
});

describe("a message that was received is not to be transferred where others lie in the same memory", () => {
  function expectInPlace(message: Message): void {
    const { length } = message;
    expect(() => detach(message)).toThrow("transfer");
    expect(() => message.buffer.transfer()).toThrow(TypeError);
    expect(() => message.buffer.transferToFixedLength()).toThrow(TypeError);
    expect(message).toHaveLength(length);
    expect(structuredClone(message)).toHaveLength(length);
  }

  /** It was put together from several chunks, in memory that nobody else has. */
  function expectAlone(message: Message): void {
    expect(message.buffer.byteLength - message.length).toBe(4);
    detach(message);
    expect(message).toHaveLength(0);
  }

  const TEXTS = ["one", "two", "three"];
  const expectFor = (message: Message): void => (message.length > 1_000 ? expectAlone : expectInPlace)(message);

  async function sent(): Promise<Link> {
    const { client, server } = await pair();
    for (const text of TEXTS) client.trySend(text);
    // Spans many chunks.
    client.trySend(Buffer.alloc(1 * MiB - 100, 7));
    client.end();
    return server;
  }

  test("by receive()", async () => {
    const link = await sent();
    for (let message = await link.receive(); message !== null; message = await link.receive()) expectFor(message);
  });

  test("by a loop", async () => {
    const texts: string[] = [];
    for await (const message of await sent()) {
      texts.push(message.toString("utf8", 0, 5));
      expectFor(message);
    }
    expect(texts.slice(0, 3)).toEqual(TEXTS);
  });

  test("by a handler", async () => {
    const link = await sent();
    let messages = 0;
    link.onMessage((message) => {
      expectFor(message);
      messages++;
    });
    await eventually(() => expect(messages).toBe(4));
  });

  test("by a stream", async () => {
    const { near, far } = await streams();
    near.end(Buffer.alloc(300_000, 7));
    let bytes = 0;
    far.on("data", (chunk: Message) => {
      expectInPlace(chunk);
      bytes += chunk.length;
    });
    await once(far, "end");
    expect(bytes).toBe(300_000);
  });
});

test("the memory of bytes that are lent may be transferred", async () => {
  const { client, server } = await pair();
  const lent = new Promise<Message>((resolve) => {
    lend(server, resolve);
  });
  await client.send("lent");
  const { buffer } = await lent;
  expect(buffer.transfer().byteLength).toBeGreaterThanOrEqual(4);
});
