// What is cut short never looks whole, at either end, whoever cuts it; and what is whole is not cut short.
import { once } from "node:events";
import { Writable } from "node:stream";
import { finished, pipeline } from "node:stream/promises";
import { describe, expect, test } from "vitest";
import { KiB, type Link, MiB } from "../../src/index.ts";
import { eventually, failure, heard as heardBy, isPending, openTo, pair, serve } from "../support.ts";
import { buffer, source, type Streams, streams, told } from "./streams.ts";

const PREMATURE = { code: "ERR_STREAM_PREMATURE_CLOSE" };

/** Takes `bytes`, and then nothing until it is told to go on. */
class Gate extends Writable {
  taken = 0;
  readonly #until: number;
  #waiting: (() => void) | undefined;

  constructor(untilBytes: number) {
    super();
    this.#until = untilBytes;
  }

  override _write(chunk: Buffer, _: BufferEncoding, callback: () => void): void {
    this.taken += chunk.length;
    if (this.taken < this.#until) return callback();
    this.#waiting = callback;
    this.emit("shut");
  }

  open(): void {
    this.taken = -Infinity;
    this.#waiting?.();
  }
}

/** What `promise` is rejected with, and a mistake if it is not. */
async function rejection(promise: Promise<unknown>): Promise<unknown> {
  try {
    await promise;
  } catch (error) {
    return error;
  }
  throw new Error("it passed for the whole");
}

describe("a download that is cut short here fails at both ends", () => {
  test.each<[string, (streams: Streams) => unknown, object]>([
    ["by abort()", ({ client }) => client.abort("enough"), PREMATURE],
    ["by destroy()", ({ near }) => near.destroy(), PREMATURE],
    ["by close()", ({ client }) => client.close({ deadlineMs: 50 }), { code: "CLOSE_TIMEOUT" }],
    ["by manager.close()", ({ manager }) => manager.close({ deadlineMs: 50 }), { code: "CLOSE_TIMEOUT" }],
  ])("%s", async (_, cut, expected) => {
    const both = await streams();
    const { near, far } = both;
    const heard = told(near, "end", "close");
    const sink = new Gate(1 * MiB);
    const sent = rejection(pipeline(source(64 * MiB), far));
    const received = rejection(pipeline(near, sink));
    await once(sink, "shut");
    cut(both);
    expect(await received).toMatchObject(expected);
    expect(await sent).toMatchObject({ code: expect.stringMatching(/PEER_ABORTED|LINK_ENDED/u) as string });
    await eventually(() => expect(heard).toEqual(["close"]));
  });
});

test("an upload that is cut short by supervisor.close() fails at both ends, and is counted", async () => {
  const { near, far, supervisor, client } = await streams();
  const heard = told(far, "end");
  const sink = new Gate(1 * MiB);
  const sent = rejection(pipeline(source(64 * MiB), near));
  const received = rejection(pipeline(far, sink));
  await once(sink, "shut");
  expect(await supervisor.close({ deadlineMs: 50 })).toMatchObject({ left: 1 });
  expect(await received).toMatchObject({ code: "CLOSE_TIMEOUT" });
  expect(await sent).toMatchObject({ code: expect.stringMatching(/PEER_ABORTED|LINK_ENDED/u) as string });
  expect((await client.closed).error).toMatchObject({ code: "PEER_ABORTED", peerCode: "close-timeout" });
  expect(heard).toEqual([]);
});

test("a stream that was not ended is not ended by close(): its peer hears an abort, and no end", async () => {
  const { near, far, client } = await streams();
  const heard = told(far, "end");
  far.resume();
  near.write("a part");
  await client.flush();
  const { error } = await client.close({ deadlineMs: 20 });
  expect(error).toMatchObject({ code: "CLOSE_TIMEOUT" });
  expect(await rejection(finished(far))).toMatchObject({ code: "PEER_ABORTED", peerCode: "close-timeout" });
  expect(heard).toEqual([]);
});

describe("within the deadline a stream comes to its own end", () => {
  test.each<[string, (streams: Streams) => Promise<unknown>]>([
    ["after close()", ({ client }) => client.close()],
    ["after manager.close()", ({ manager }) => manager.close()],
    ["after supervisor.close()", ({ supervisor }) => supervisor.close()],
  ])("%s", async (_, close) => {
    const both = await streams();
    const { near, far, client, server } = both;
    const sink = new Gate(1 * MiB);
    const sent = pipeline(source(16 * MiB), near);
    const received = pipeline(far, sink);
    near.resume();
    await once(sink, "shut");
    const closing = close(both);
    expect(client.state === "draining" || server.state === "draining").toBe(true);
    sink.open();
    await Promise.all([sent, received]);
    expect(await client.closed).toEqual({ undelivered: [] });
    expect(await server.closed).toEqual({ undelivered: [] });
    await closing;
  });
});

test("a handler that hands its stream to other code and returns keeps its link", async () => {
  const { port, links } = await serve({ mode: "bytes" }, async (link) => {
    const stream = link.duplex();
    await Promise.resolve();
    stream.once("data", () => void pipeline(source(12 * MiB), stream).catch(() => {}));
  });
  const client = openTo(port, { mode: "bytes" });
  const stream = client.duplex();
  stream.write("go on");
  expect(await buffer(stream)).toHaveLength(12 * MiB);
  const server = await links.next();
  expect([await client.closed, await server.closed]).toEqual([{ undelivered: [] }, { undelivered: [] }]);
});

describe("a stream that nobody reads", () => {
  test("hears that its link has failed", async () => {
    const { near, server } = await streams();
    const heard = told(near, "error", "end", "close");
    const failed = once(near, "error");
    server.abort("why");
    expect(await failed).toMatchObject([{ code: "PEER_ABORTED", peerCode: "why" }]);
    await eventually(() => expect(heard).toEqual(["error", "close"]));
  });

  test("hears that its link was aborted here", async () => {
    const { near, client } = await streams();
    const heard = told(near, "error", "end", "close");
    client.abort();
    await eventually(() => expect(heard).toEqual(["close"]));
  });

  test("hears that its link was aborted here, though its peer's whole direction is in it", async () => {
    const { near, far, client } = await streams({ allowHalfOpen: true });
    const heard = told(near, "error", "end", "close");
    near.once("readable", () => {});
    far.end("the whole");
    await new Promise<void>((resolve) => void client.once("end", resolve));
    client.abort();
    await eventually(() => expect(heard).toEqual(["close"]));
  });

  test("hears that all is over in order", async () => {
    const { near, far } = await streams();
    const heard = told(near, "finish", "end", "close", "error");
    far.resume();
    near.end("one way");
    await finished(near);
    expect(heard.toSorted()).toEqual(["close", "end", "finish"]);
  });

  test("is closed from the start where the link is over", async () => {
    const { client } = await pair({ mode: "bytes" }, { mode: "bytes" });
    client.abort();
    await client.closed;
    const stream = client.duplex();
    await once(stream, "close");
    expect(stream.readableEnded).toBe(false);
  });
});

test("destroy() with data and end unread aborts: the peer is not left waiting", async () => {
  const { near, far, client, server } = await streams({ allowHalfOpen: true });
  const done = rejection(pipeline(source(10_000), far));
  near.end();
  await once(near, "readable");
  await eventually(() => expect(near.readableLength).toBe(10_000));
  await eventually(() => expect(near.writableFinished).toBe(true));
  near.destroy();
  expect(await done).toMatchObject({ code: "PEER_ABORTED" });
  expect((await server.closed).error).toMatchObject({ code: "PEER_ABORTED", peerCode: "stream-destroyed" });
  expect((await client.closed).error).toBeUndefined();
});

test("without allowHalfOpen the answer that was written before the end is sent whole", async () => {
  const { near, far, client } = await streams();
  far.once("data", () => {
    for (let piece = 0; piece < 40; piece++) far.write(Buffer.alloc(1 * MiB));
  });
  near.end("question");
  expect(await buffer(near)).toHaveLength(40 * MiB);
  expect(await client.closed).toEqual({ undelivered: [] });
});

test("a peer that ends at once, and has sent nothing, is answered by whoever makes a stream of the link later", async () => {
  const { client, server } = await pair({ mode: "bytes" }, { mode: "bytes" });
  const near = client.duplex();
  near.end();
  await heardBy(server, "end");
  server.duplex().end(Buffer.alloc(100_000));
  expect(await buffer(near)).toHaveLength(100_000);
  for (const link of [client, server]) expect(await link.closed).toEqual({ undelivered: [] });
});

test("a link that nobody has read by the end of its peer ends when somebody does", async () => {
  const { client, server } = await pair({ mode: "bytes" }, { mode: "bytes" });
  client.end();
  await heardBy(server, "end");
  expect(await server.receive()).toBeNull();
  for (const link of [client, server]) expect(await link.closed).toEqual({ undelivered: [] });
});

test("the link's end() ends a stream behind what waits in it, however much", async () => {
  const { near, far, client } = await streams({ queue: { maxBytes: 64 * KiB } });
  const read = buffer(far);
  for (let piece = 0; piece < 8; piece++) near.write(Buffer.alloc(1 * MiB));
  client.end();
  expect(await read).toHaveLength(8 * MiB);
});

describe("a peer that reads no more", () => {
  const HALF_OPEN = { mode: "bytes", allowHalfOpen: true } as const;

  test.each([100_000, 4 * MiB])("before everything was accepted: it is not finished (%i bytes)", async (bytes) => {
    const { client, server } = await pair(HALF_OPEN, HALF_OPEN);
    const near = client.duplex();
    near.resume();
    const heard = told(near, "finish", "error");
    const sent = rejection(pipeline(source(bytes), near));
    await eventually(() => expect(server.readableLength).toBeGreaterThanOrEqual(100_000));
    void server.close();
    expect(await sent).toMatchObject({ code: expect.stringMatching(/LINK_ENDED|PREMATURE/u) as string });
    expect(heard).not.toContain("finish");
  });

  test("after it has taken everything: it is finished, and closed", async () => {
    const { client, server } = await pair(HALF_OPEN, HALF_OPEN);
    const near = client.duplex();
    const heard = told(near, "finish", "end", "close", "error");
    near.resume();
    near.write("all there is");
    await server.receive();
    await client.flush();
    void server.close();
    near.end();
    await finished(near);
    expect(heard.toSorted()).toEqual(["close", "end", "finish"]);
  });
});

describe("without a stream", () => {
  const BYTES = { mode: "bytes", allowHalfOpen: true } as const;

  async function readAll(link: Link): Promise<number> {
    let bytes = 0;
    for await (const chunk of link) bytes += chunk.length;
    return bytes;
  }

  test.each<[string, (link: Link) => Promise<unknown>]>([
    ["a loop", readAll],
    ["receive()", (link) => link.receive()],
  ])("%s fails where the link is closed before the peer has ended", async (_, read) => {
    const one = await pair(BYTES, BYTES);
    const reading = failure(read(one.client));
    void one.client.close();
    expect(await reading).toMatchObject({ code: "LINK_ENDED" });
    expect(await failure(read(one.client))).toMatchObject({ code: "LINK_ENDED" });
    const two = await pair(BYTES, BYTES);
    const cut = failure(read(two.client));
    two.client.abort();
    expect(await cut).toMatchObject({ code: "LINK_ENDED" });
  });

  test("supervisor.close() and manager.close() end no direction that its application has not", async () => {
    for (const closes of ["manager", "supervisor"] as const) {
      const both = await pair(BYTES, BYTES);
      const [here, there] = closes === "manager" ? [both.client, both.server] : [both.server, both.client];
      const closing = both[closes].close();
      const reading = readAll(there);
      await here.send("it goes on");
      expect(await isPending(reading, 20)).toBe(true);
      here.end();
      expect(await reading).toBe(10);
      there.end();
      await closing;
      expect([await here.closed, await there.closed]).toEqual([{ undelivered: [] }, { undelivered: [] }]);
    }
  });

  test("what waits for room is sent before the peer's end ends this direction", async () => {
    const options = { mode: "bytes", queue: { maxBytes: 100_000 } } as const;
    const { client, server, relay } = await pair(options, options);
    const end = readAll(server);
    relay.stall();
    const sent: Array<Promise<void>> = [];
    while (server.trySend(Buffer.alloc(50_000)));
    for (let piece = 0; piece < 2; piece++) sent.push(server.send(Buffer.alloc(50_000)));
    client.end();
    relay.heal();
    await end;
    const got = readAll(client);
    await Promise.all(sent);
    expect(await got).toBeGreaterThan(100_000);
  });
});
