import { once } from "node:events";
import net from "node:net";
import { Duplex } from "node:stream";
import { expect, onTestFinished, test } from "vitest";
import { releaseChunk } from "../../src/core/wire/own-chunks.ts";
import { StreamConnection } from "../../src/io/connection.ts";
import { Arrivals, eventually, rawServer } from "../support.ts";
import { bareStream, connected, everything } from "./connected.ts";

test("bytes come and go, small buffers as one", async () => {
  const { connection, far, heard } = await connected();
  expect(connection.remoteAddress).toBe("127.0.0.1");
  connection.write([Buffer.from("a"), Buffer.from("b")]);
  connection.write([Buffer.from("c")]);
  connection.write([Buffer.alloc(3_000, "d"), Buffer.alloc(3_000, "e")]);
  const read = everything(far);
  far.write("back");
  await eventually(() => expect(heard).toEqual(["data back"]));
  connection.end([Buffer.from("last")]);
  expect(await read).toBe(`abc${"d".repeat(3_000)}${"e".repeat(3_000)}last`);
  expect(heard).toEqual(["data back"]);
});

test("the address is the one that the connection was made with, also when the socket has none any more", async () => {
  const { connection, near, far } = await connected();
  far.resetAndDestroy();
  await eventually(() => expect(near.closed).toBe(true));
  expect(connection.remoteAddress).toBe("127.0.0.1");
  expect(new StreamConnection(new net.Socket(), true, "192.0.2.7").remoteAddress).toBe("192.0.2.7");
});

test.each([
  ["its address is known", "", "127.0.0.1"],
  ["it keeps the address that it was made with", "192.0.2.7", "192.0.2.7"],
])("when a socket that was connecting is connected %s", async (_, given, address) => {
  const port = await rawServer(() => {});
  const socket = net.connect(port, "127.0.0.1");
  onTestFinished(() => void socket.destroy());
  const connection = new StreamConnection(socket, false, given);
  expect(connection.remoteAddress).toBe(given);
  await once(socket, "connect");
  expect(connection.remoteAddress).toBe(address);
});

test("a handler that has had enough for this turn hears one chunk in each", async () => {
  const { connection, near, far, heard } = await connected();
  const everyTurn: number[] = [];
  let chunks = 0;
  connection.handler = {
    ...connection.handler,
    onData: () => {
      // Had it read on, the next chunk would come in the same turn.
      if (chunks++ === 0) setImmediate(() => setImmediate(() => everyTurn.push(chunks)));
      return "enough";
    },
  };
  near.pause();
  far.write(Buffer.alloc(1_000_000));
  await eventually(() => expect(far.writableLength).toBe(0));
  near.resume();
  await eventually(() => expect(near.bytesRead).toBe(1_000_000));
  expect(everyTurn).toEqual([2]);
  expect(chunks).toBeGreaterThan(15);
  expect(heard).toEqual([]);
});

test("the peer's end, and its reset, close it, once", async () => {
  const one = await connected();
  one.far.end();
  await eventually(() => expect(one.heard).toEqual(["closed closed by the peer"]));
  const two = await connected();
  two.far.resetAndDestroy();
  await eventually(() => expect(two.near.closed).toBe(true));
  expect(two.heard).toEqual([expect.stringMatching(/^closed (ECONNRESET|closed by the peer)$/)]);
});

test("a stream whose own _write() throws, or that fails with no Error, is lost, and throws at nobody", async () => {
  const throwing = new Duplex({
    read: () => {},
    write: () => {
      throw new Error("mine");
    },
  });
  const failing = new Duplex({ read: () => {}, write: () => {} });
  const odd = new Duplex({ read: () => {}, write: () => {} });
  const heard: string[] = [];
  const connections = [throwing, failing, odd].map((stream) => {
    const connection = new StreamConnection(stream, false, "");
    connection.handler = { onData: () => undefined, onDrain: () => {}, onClosed: (reason) => void heard.push(reason) };
    return connection;
  });
  connections[0]?.write([Buffer.from("x")]);
  expect(heard).toEqual(["mine"]);
  connections[0]?.end([Buffer.from("x")]);
  failing.emit("error", "a string");
  odd.emit("error", undefined);
  expect(heard).toEqual(["mine", "failed", "failed"]);
  for (const stream of [throwing, failing, odd]) expect(stream.destroyed).toBe(true);
});

test("a stream whose end() throws: endWriting() loses it, end() destroys it, and neither throws", () => {
  const heard: string[] = [];
  const [lost, ended] = [0, 1].map(() => {
    const stream = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
    stream.end = () => {
      throw new Error("mine");
    };
    const connection = new StreamConnection(stream, false, "");
    connection.handler = { onData: () => undefined, onDrain: () => {}, onClosed: (reason) => void heard.push(reason) };
    return { stream, connection };
  });
  lost?.connection.endWriting();
  expect([heard, lost?.stream.destroyed]).toEqual([["mine"], true]);
  ended?.connection.end([]);
  expect([heard, ended?.stream.destroyed]).toEqual([["mine"], true]);
});

test("roomBytes shrinks as writes pile up, and drain says when it is back", async () => {
  const { connection, far, heard } = await connected();
  expect(connection.roomBytes).toBeGreaterThan(0);
  far.pause();
  while (connection.roomBytes > 0) {
    connection.write([Buffer.alloc(connection.roomBytes)]);
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(connection.pendingBytes).toBeLessThanOrEqual(131_072);
  const before = heard.length;
  far.resume();
  await eventually(() => expect(heard.length).toBeGreaterThan(before));
  expect(heard.at(-1)).toBe("drain");
  expect(connection.roomBytes).toBeGreaterThan(0);
});

test("after destroy() or end() nothing is heard, and writing does nothing", async () => {
  const { connection, near, far, heard } = await connected();
  connection.destroy();
  connection.write([Buffer.from("late")]);
  connection.end([Buffer.from("late")]);
  far.write("late");
  await once(near, "close");
  expect(heard).toEqual([]);
  expect(connection.roomBytes).toBe(0);
  const ended = await connected();
  ended.connection.end([Buffer.from("last")]);
  expect(ended.connection.roomBytes).toBe(0);
  ended.connection.write([Buffer.from("late")]);
  const read = everything(ended.far);
  ended.far.write("late");
  expect(await read).toBe("last");
  await once(ended.near, "close");
  expect(ended.heard).toEqual([]);
});

test("a peer that does not close after us is not waited for", async () => {
  const { connection, near, far } = await connected();
  far.pause();
  connection.end([]);
  await once(near, "close");
  expect(near.destroyed).toBe(true);
});

test("any Duplex will do", async () => {
  const written: string[] = [];
  const stream = new Duplex({
    read() {},
    write(chunk: Buffer, _, callback) {
      written.push(String(chunk));
      callback();
    },
  });
  const connection = new StreamConnection(stream, false, "");
  const heard: string[] = [];
  connection.handler = {
    onData: (chunk) => void heard.push(String(chunk)),
    onDrain: () => {},
    onClosed: (reason) => void heard.push(reason),
  };
  expect(connection.remoteAddress).toBe("");
  connection.write([Buffer.from("out")]);
  stream.push("in");
  await eventually(() => expect(heard).toEqual(["in"]));
  expect(written).toEqual(["out"]);
  stream.destroy(Object.assign(new Error("broken"), { code: "EBROKEN" }));
  await eventually(() => expect(heard).toEqual(["in", "EBROKEN"]));
});

test("who sends what takes long to look at is not read on in the same turn, and is read to its end", async () => {
  const { connection, near, far } = await connected();
  const waits: boolean[] = [];
  let bytes = 0;
  let closed = "";
  connection.handler = {
    onData: (chunk) => {
      bytes += chunk.length;
      for (const untilMs = performance.now() + 2; performance.now() < untilMs;);
      process.nextTick(() => waits.push(near.isPaused()));
    },
    onDrain: () => {},
    onClosed: (reason) => void (closed = reason),
  };
  far.end(Buffer.alloc(2 ** 20));
  await eventually(() => expect(closed).toBe("closed by the peer"));
  expect(bytes).toBe(2 ** 20);
  expect(waits.length).toBeGreaterThan(1);
  expect(new Set(waits)).toEqual(new Set([true]));
});

test("one that is closed while it waits to be read is closed in order", async () => {
  const { connection, near, far } = await connected();
  connection.handler = {
    onData: () => {
      for (const untilMs = performance.now() + 2; performance.now() < untilMs;);
      connection.handler.onData = () => {};
      setImmediate(() => connection.end([Buffer.from("last")]));
    },
    onDrain: () => {},
    onClosed: () => {},
  };
  const read = everything(far);
  far.end("x".repeat(200_000));
  expect(await read).toBe("last");
  await eventually(() => expect(near.closed).toBe(true), 1_500);
});

test.each(["pause", "resume"] as const)("a stream whose %s() throws is lost, and throws at nobody", async (which) => {
  const { connection, near, far } = await connected();
  let closed = "";
  connection.handler = {
    onData: () => {
      near[which] = () => {
        throw new Error("mine");
      };
      for (const untilMs = performance.now() + 2; performance.now() < untilMs;);
    },
    onDrain: () => {},
    onClosed: (reason) => void (closed = reason),
  };
  far.write(Buffer.alloc(2_000));
  await eventually(() => expect(closed).toBe("mine"));
});

test("a peer that does not read has few writes to wait for, however small, in little memory; then there is room again", () => {
  const written: Array<() => void> = [];
  const kept: Buffer[] = [];
  const stream = new Duplex({
    read: () => {},
    write: (chunk: Buffer, _, done) => {
      kept.push(chunk);
      written.push(done);
    },
  });
  const connection = new StreamConnection(stream, false, "");
  let drained = 0;
  connection.handler = { onData: () => undefined, onDrain: () => drained++, onClosed: () => {} };
  let writes = 0;
  for (; connection.roomBytes > 0; writes++) connection.write([Buffer.from("x"), Buffer.from("y")]);
  expect(writes).toBe(65);
  while (written.length > 0) written.shift()?.();
  expect(connection.roomBytes).toBeGreaterThan(0);
  expect(drained).toBeGreaterThanOrEqual(1);
  expect(kept.slice(1).map(({ buffer }) => buffer.byteLength)).toEqual(Array.from({ length: 64 }, () => 2));
});

test("a small frame that waits in a socket keeps no part of Node's pool", () => {
  const socket = new net.Socket();
  onTestFinished(() => void socket.destroy());
  // The first write does not end.
  Object.assign(socket, { _read: () => {}, _write: () => {} });
  const connection = new StreamConnection(socket, true, "");
  for (const text of ["first", "second", "third"]) connection.write([Buffer.from(text)]);
  expect(socket.writableLength).toBe(16);
  const { buffered } = (socket as unknown as { _writableState: { buffered: Array<{ chunk: Buffer }> } })._writableState;
  expect(buffered.map(({ chunk }) => chunk.buffer.byteLength)).toEqual([6, 5]);
});

test.each([
  ["a socket of ours", { isOurs: true, isRead: false }, 0],
  ["a socket of ours that the application reads, too", { isOurs: true, isRead: true }, 65_536],
  ["the application's transport", { isOurs: false, isRead: false }, 65_536],
])("a large chunk from %s: whether it is given back when it was copied", async (_, { isOurs, isRead }, left) => {
  const stream = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
  const connection = new StreamConnection(stream, isOurs, "");
  if (isRead) stream.on("data", () => {});
  const chunks = new Arrivals<Buffer>();
  connection.handler = {
    ...connection.handler,
    onData: (chunk) => {
      chunks.put(chunk);
      return undefined;
    },
  };
  const memory = new ArrayBuffer(65_536);
  const part = Buffer.alloc(65_536).subarray(0, 20_000);
  for (const chunk of [Buffer.from(memory), part, Buffer.alloc(1_024)]) {
    stream.push(chunk);
    expect(await chunks.next()).toHaveLength(chunk.length);
    releaseChunk(chunk.buffer);
  }
  expect([memory.byteLength, part.length]).toEqual([left, 20_000]);
});

test("its addresses are those of its socket; behind a proxy nobody knows the client's port", async () => {
  const { connection, near } = await connected();
  const { localPort, remotePort } = near;
  const local = { localAddress: "127.0.0.1", localPort };
  expect(connection.addresses).toEqual({ remoteAddress: "127.0.0.1", remotePort, ...local });
  near.removeAllListeners();
  near.resume();
  const proxied = new StreamConnection(near, true, "192.0.2.7");
  expect(proxied.addresses).toEqual({ remoteAddress: "192.0.2.7", remotePort: undefined, ...local });
  const unknown = { remotePort: undefined, localAddress: undefined, localPort: undefined };
  expect(new StreamConnection(bareStream(), false).addresses).toEqual({ remoteAddress: undefined, ...unknown });
});

test("it keeps the process alive or not as its stream can, and what that throws ends the connection", async () => {
  const { connection, near } = await connected();
  connection.holdProcess(false);
  const sockets = (): number => process.getActiveResourcesInfo().filter((name) => name === "TCPSocketWrap").length;
  const without = sockets();
  connection.holdProcess(true);
  expect(sockets()).toBe(without + 1);
  const refuse = (): never => {
    throw new Error("no such thing");
  };
  const other = new StreamConnection(Object.assign(bareStream(), { unref: refuse }), false);
  const heard: string[] = [];
  other.handler = { ...connection.handler, onClosed: (reason) => void heard.push(reason) };
  other.holdProcess(true);
  other.holdProcess(false);
  expect([heard, near.destroyed]).toEqual([["no such thing"], false]);
});
