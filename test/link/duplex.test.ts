import { createHash, randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";
import { Duplex, PassThrough, Readable, Writable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { describe, expect, test } from "vitest";
import { KiB, MiB } from "../../src/index.ts";
import { linkPair } from "../../src/testing/index.ts";
import { eventually, failure, isPending, pair, rawServer, turned, withUncaught } from "../support.ts";
import { buffer, streams } from "./streams.ts";

const digest = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");

test("8 MiB both ways at once through pipeline(), with cuts", async () => {
  const { near, far, relay, client, server } = await streams({ allowHalfOpen: true });
  const up = randomBytes(8 * MiB);
  const down = randomBytes(8 * MiB);
  const timer = setInterval(() => relay.cut("rst"), 50);
  const [gotUp, gotDown] = await Promise.all([
    buffer(far),
    buffer(near),
    pipeline(Readable.from(chunksOf(up)), near, { end: true }),
    pipeline(Readable.from(chunksOf(down)), far, { end: true }),
  ]).finally(() => clearInterval(timer));
  expect(digest(gotUp)).toBe(digest(up));
  expect(digest(gotDown)).toBe(digest(down));
  expect(await client.closed).toEqual({ undelivered: [] });
  expect(await server.closed).toEqual({ undelivered: [] });
});

test("pipeline() resolves only when the peer has read everything", async () => {
  const { near, far } = await streams();
  const done = pipeline(Readable.from([Buffer.alloc(100_000, 1)]), near);
  expect(await isPending(done, 50)).toBe(true);
  expect(await buffer(far)).toHaveLength(100_000);
  await done;
});

test("strings, empty chunks, and chunks larger than the queue", async () => {
  const { near, far } = await streams({ queue: { maxBytes: 1_000 } });
  const read = buffer(far);
  near.write("é");
  near.write("");
  near.write(Buffer.alloc(0));
  near.end(Buffer.alloc(10_000, 7));
  const bytes = await read;
  expect(bytes).toHaveLength(10_002);
  expect(bytes.subarray(0, 2).toString()).toBe("é");
});

describe("backpressure", () => {
  test("a reader that does not read stops the writer", async () => {
    const { near, far } = await streams({
      queue: { maxBytes: 64 * KiB },
      window: { minBytes: 64 * KiB, maxBytes: 64 * KiB },
    });
    let written = 0;
    const source = new Readable({
      read() {
        written += 16 * KiB;
        this.push(written > 8 * MiB ? null : Buffer.alloc(16 * KiB));
      },
    });
    const done = pipeline(source, near);
    await turnsUntilSteady(() => written);
    expect(written).toBeLessThan(1 * MiB);
    expect((await buffer(far)).length).toBe(8 * MiB);
    await done;
  });

  test("write() says false, and 'drain' comes", async () => {
    const { near, far } = await streams({
      queue: { maxBytes: 64 * KiB },
      window: { minBytes: 64 * KiB, maxBytes: 64 * KiB },
    });
    let writes = 0;
    while (near.write(Buffer.alloc(16 * KiB)) && writes < 100) {
      writes++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(writes).toBeLessThan(100);
    const drained = once(near, "drain");
    far.resume();
    await drained;
  });

  test("it does not run far ahead of its connection", async () => {
    const { near, relay, client } = await streams();
    relay.stall();
    while (near.write(Buffer.alloc(64 * KiB)));
    for (let more = 0; more < 20; more++) near.write(Buffer.alloc(64 * KiB));
    // One write is answered late; those behind it are in the stream's buffer.
    expect(client.stats().queue.bytes).toBeLessThanOrEqual(192 * KiB);
    near.destroy();
  });

  test("what was read from the stream is accepted, what is in it is not yet", async () => {
    const { client, near, far } = await streams();
    near.write("abc");
    const flushed = client.flush();
    expect(await isPending(flushed, 30)).toBe(true);
    await once(far, "readable");
    expect(String(far.read())).toBe("abc");
    far.read();
    await flushed;
  });
});

test("nothing is accepted that nobody reads, however small", async () => {
  const { client, near, far } = await streams();
  near.write("a");
  await once(far, "readable");
  near.write("b");
  const flushed = client.flush();
  expect(await isPending(flushed, 30)).toBe(true);
  far.resume();
  await flushed;
});

test("what is read in part is accepted in part", async () => {
  const { client, near, far } = await streams();
  near.write("abcdef");
  await once(far, "readable");
  expect(String(far.read(2))).toBe("ab");
  await eventually(() => expect(client.writableLength).toBe(4));
  expect(String(far.read(4))).toBe("cdef");
  await client.flush();
});

test("a loop and a stream with an encoding accept what they have read, too", async () => {
  const { client, near, far } = await streams({ allowHalfOpen: true });
  far.setEncoding("utf8");
  near.write("größer");
  const [chunk] = (await once(far, "data")) as [string];
  expect(chunk).toBe("größer");
  await client.flush();
  far.write("back");
  for await (const bytes of near) {
    expect(String(bytes)).toBe("back");
    break;
  }
});

describe("ending", () => {
  test("end() ends the peer's readable side; its own goes on with allowHalfOpen", async () => {
    const { near, far, client, server } = await streams({ allowHalfOpen: true });
    near.end("question");
    expect(String(await buffer(far))).toBe("question");
    expect(far.writableEnded).toBe(false);
    far.write("answer, ");
    far.end("in two");
    expect(String(await buffer(near))).toBe("answer, in two");
    expect(await client.closed).toEqual({ undelivered: [] });
    expect(await server.closed).toEqual({ undelivered: [] });
  });

  test("without allowHalfOpen the peer's end ends this direction too", async () => {
    const { near, far, client, server } = await streams();
    near.end("bye");
    expect(String(await buffer(far))).toBe("bye");
    near.resume();
    await Promise.all([once(near, "close"), client.closed, server.closed]);
    expect(far.writableEnded).toBe(true);
    expect((await client.closed).error).toBeUndefined();
    expect((await server.closed).error).toBeUndefined();
  });

  describe("all that was written by then arrives, also what waits in the stream", () => {
    const writeAll = (stream: Duplex): void => {
      for (let chunk = 0; chunk < 32; chunk++) stream.write(Buffer.alloc(64 * KiB));
    };

    test("when the stream is ended and the link is closed", async () => {
      const { near, far, client } = await streams();
      const read = buffer(far);
      writeAll(near);
      near.end();
      expect(await client.close()).toEqual({ undelivered: [] });
      expect(await read).toHaveLength(2 * MiB);
    });

    test("when the link's direction is ended", async () => {
      const { near, far, client } = await streams();
      const read = buffer(far);
      writeAll(near);
      client.end();
      expect(await read).toHaveLength(2 * MiB);
    });

    test("when the peer's end ends this direction, as it is written", async () => {
      const { near, far, client } = await streams();
      const read = buffer(near);
      far.on("data", () => writeAll(far));
      near.end("question");
      expect(await read).toHaveLength(2 * MiB);
      expect(await client.closed).toEqual({ undelivered: [] });
    });
  });

  test("destroy() aborts: the peer's stream fails", async () => {
    const { near, far, client, server } = await streams();
    near.write("on its way");
    const failed = once(far, "error") as Promise<[Error & { code: string }]>;
    far.resume();
    near.destroy();
    const [error] = await failed;
    expect(error.code).toBe("PEER_ABORTED");
    expect((await server.closed).error).toMatchObject({ code: "PEER_ABORTED", peerCode: "stream-destroyed" });
    expect((await client.closed).error).toBeUndefined();
    expect(near.destroyed).toBe(true);
  });

  test("a pipeline() that fails destroys both", async () => {
    const { near, server } = await streams();
    const broken = new Readable({
      read() {
        this.destroy(new Error("mine"));
      },
    });
    await expect(pipeline(broken, near)).rejects.toThrow("mine");
    expect((await server.closed).error).toMatchObject({ code: "PEER_ABORTED" });
  });

  test("the link's abort() and its lost session destroy the stream, with the error", async () => {
    const one = await streams();
    one.near.resume();
    one.client.abort();
    await eventually(() => expect(one.near.destroyed || one.near.readableEnded).toBe(true));

    const two = await streams();
    const written = failure(
      new Promise((_, reject) => {
        two.near.on("error", reject);
      }),
    );
    two.near.resume();
    two.server.abort("why");
    expect(await written).toMatchObject({ code: "PEER_ABORTED", peerCode: "why" });
  });

  test("what was written and not accepted fails with its callback when the link ends", async () => {
    const { near, server, relay, client } = await streams({ queue: { maxBytes: 1_000 } });
    relay.refuse();
    relay.cut("rst");
    await turned(client, "reconnecting");
    const written = new Promise((resolve) => {
      near.write(Buffer.alloc(5_000), resolve);
    });
    void server.closed;
    client.abort();
    expect(await written).toMatchObject({ code: "LINK_ENDED" });
  });
});

test("what a 'data' listener or a write's callback throws reaches uncaughtException, and the link goes on", async () => {
  const { near, far, client, server } = await streams();
  const seen: string[] = [];
  const uncaught = await withUncaught(async () => {
    far.on("data", (chunk: Buffer) => {
      seen.push(String(chunk));
      if (String(chunk) === "one") throw new Error("the listener's");
    });
    near.write("zero ");
    await client.flush();
    near.write("one", () => {
      throw new Error("the callback's");
    });
    await eventually(() => expect(seen.join("")).toBe("zero one"));
    near.write("two");
    await eventually(() => expect(seen.join("")).toBe("zero onetwo"));
    await client.flush();
    far.write("three");
    expect(String(await once(near, "data"))).toBe("three");
  });
  expect(uncaught.map((error) => (error as Error).message).toSorted()).toEqual(["the callback's", "the listener's"]);
  expect([client.state, server.state]).toEqual(["connected", "connected"]);
});

test("a 'data' listener that throws at every chunk hears of all of them, and of the end", async () => {
  // Where no time passes, no timer makes up for a step that was not finished.
  await using both = linkPair({ client: { mode: "bytes" }, server: { mode: "bytes" } });
  const { client, server } = both;
  const far = server.duplex();
  let chunks = 0;
  let bytes = 0;
  const uncaught = await withUncaught(async () => {
    far.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      if (++chunks > 1) throw new Error("mine");
    });
    // It waits for more then: what comes is handed to it in the link's own step.
    await client.send("the first", { until: "accepted" });
    const ended = once(far, "end");
    client.trySend(Buffer.alloc(200_000));
    client.end();
    await ended;
    expect(await Promise.all([client.closed, server.closed])).toEqual([{ undelivered: [] }, { undelivered: [] }]);
  });
  expect(bytes).toBe(200_009);
  expect(chunks).toBeGreaterThan(2);
  expect(uncaught).toHaveLength(chunks - 1);
});

test("it is one stream for each link, and its only consumer", async () => {
  const { client, near } = await streams();
  expect(client.duplex()).toBe(near);
  expect(await failure(client.receive())).toMatchObject({ code: "CONSUMER_BUSY" });
  const other = await pair({ mode: "bytes" }, { mode: "bytes" });
  other.client.onMessage(() => {});
  expect(await failure(() => other.client.duplex())).toMatchObject({ code: "CONSUMER_BUSY" });
});

test('needs mode "bytes"', async () => {
  const { client } = await pair();
  expect(await failure(() => client.duplex())).toMatchObject({ code: "NOT_SUPPORTED" });
});

test('mode "bytes" without a Duplex: chunks are joined and split at will, the bytes in order', async () => {
  const { client, server } = await pair({ mode: "bytes" }, { mode: "bytes" });
  const sent = randomBytes(300_000);
  for (let at = 0; at < sent.length; at += 7_777) await client.send(sent.subarray(at, at + 7_777));
  client.end();
  const chunks: Buffer[] = [];
  for await (const chunk of server) chunks.push(chunk);
  expect(Buffer.concat(chunks).equals(sent)).toBe(true);
});

test("a tunnel: net.Socket to net.Socket through a link", async () => {
  const target = await rawServer((socket) => void pipeline(socket, socket).catch(() => {}));
  const { near, far } = await streams({ allowHalfOpen: true });
  const out = net.connect({ port: target, host: "127.0.0.1", allowHalfOpen: true });
  const tunnel = pipeline(far, out, far);
  const payload = randomBytes(1 * MiB);
  const got = buffer(near);
  near.end(payload);
  expect(digest(await got)).toBe(digest(payload));
  await tunnel;
});

test("it is a Duplex that node:stream takes for one", async () => {
  const { near, far } = await streams();
  expect(near).toBeInstanceOf(Duplex);
  const upper = new PassThrough({ encoding: "utf8" });
  const collected: string[] = [];
  const sink = new Writable({
    write(chunk: Buffer, _, callback) {
      collected.push(String(chunk));
      callback();
    },
  });
  const done = pipeline(far, upper, sink);
  near.end("abc");
  await done;
  expect(collected.join("")).toBe("abc");
});

function* chunksOf(bytes: Buffer): Generator<Buffer> {
  for (let at = 0; at < bytes.length; at += 50_000) yield bytes.subarray(at, at + 50_000);
}

async function turnsUntilSteady(read: () => number): Promise<void> {
  for (let before = -1, same = 0; same < 50;) {
    await new Promise((resolve) => setImmediate(resolve));
    const now = read();
    same = now === before ? same + 1 : 0;
    before = now;
  }
}
