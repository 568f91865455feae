/** When a handler is told that the kernel has everything. */
import { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { StreamConnection } from "../../src/io/connection.ts";
import { eventually } from "../support.ts";
import { bareStream, connected } from "./connected.ts";

/** Notes how much was pending each time, and what else is heard. */
function listen(connection: StreamConnection): string[] {
  const told: string[] = [];
  connection.handler = {
    onData: () => undefined,
    onDrain: () => void told.push("drain"),
    onWritten: () => void told.push(`written, ${connection.pendingBytes} pending`),
    onClosed: (reason) => void told.push(`closed ${reason}`),
  };
  return told;
}

const ALL_WRITTEN = "written, 0 pending";

/** A stream that keeps each write until its callback is called. */
function slowStream(): { stream: Duplex; written: Array<(error?: Error) => void> } {
  const written: Array<(error?: Error) => void> = [];
  const stream = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => void written.push(done) });
  return { stream, written };
}

async function ticks(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

test("a write that the kernel takes at once is answered, and there is no call for it", async () => {
  const { connection } = await connected();
  const told = listen(connection);
  const answers = Array.from({ length: 100 }, () => connection.write([Buffer.from("x")]));
  answers.push(connection.write([Buffer.alloc(3_000), Buffer.alloc(3_000)]));
  await ticks();
  expect([new Set(answers), told]).toEqual([new Set([true]), []]);
});

test("of many small writes at once of a stream that is no socket there is one call, and of the next write another", async () => {
  const connection = new StreamConnection(
    new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() }),
    false,
    "",
  );
  const told = listen(connection);
  for (let n = 0; n < 50; n++) expect(connection.write([Buffer.from("x")])).toBe(false);
  expect(told).toEqual([]);
  await ticks();
  expect(told).toEqual([ALL_WRITTEN]);
  connection.write([Buffer.alloc(3_000), Buffer.alloc(3_000)]);
  await ticks();
  expect(told).toEqual([ALL_WRITTEN, ALL_WRITTEN]);
});

test("a write that fails at once is not one that the kernel has", async () => {
  const { connection, far } = await connected();
  const told = listen(connection);
  far.resetAndDestroy();
  // The kernel knows of the reset, and this process has not looked yet.
  expect(connection.write([Buffer.from("x")])).toBe(false);
  await eventually(() => expect(told).toEqual([expect.stringMatching(/^closed .*(EPIPE|ECONNRESET)/u)]));
});

test("nothing is written on a socket that the application has destroyed", async () => {
  const { connection, near } = await connected();
  const told = listen(connection);
  near.destroy();
  expect(connection.write([Buffer.from("x")])).toBe(false);
  await eventually(() => expect(told).toEqual([expect.stringMatching(/^closed/u)]));
});

test("while the peer does not read there is no call, and one when the kernel has the last byte", async () => {
  const { connection, far } = await connected();
  far.pause();
  while (connection.roomBytes > 0) {
    connection.write([Buffer.alloc(connection.roomBytes)]);
    await ticks();
  }
  const told = listen(connection);
  expect(connection.write([Buffer.from("last")])).toBe(false);
  for (let turn = 0; turn < 20; turn++) await ticks();
  expect([told, connection.pendingBytes > 0]).toEqual([[], true]);
  far.resume();
  await eventually(() => expect(told).toContain(ALL_WRITTEN));
  expect(told.filter((what) => what.startsWith("written"))).toEqual([ALL_WRITTEN]);
});

test("of several writes that wait only the last is told of", async () => {
  const { stream, written } = slowStream();
  const connection = new StreamConnection(stream, false, "");
  const told = listen(connection);
  for (const text of ["one", "two", "three"]) connection.write([Buffer.from(text)]);
  for (const pending of [8, 5]) {
    written.shift()?.();
    await ticks();
    expect([told, connection.pendingBytes]).toEqual([[], pending]);
  }
  written.shift()?.();
  await ticks();
  expect(told).toEqual([ALL_WRITTEN]);
});

test("as many small writes as may wait are told of like any other, and before there is room again", async () => {
  const { stream, written } = slowStream();
  const connection = new StreamConnection(stream, false, "");
  const told = listen(connection);
  while (connection.roomBytes > 0) connection.write([Buffer.from("x")]);
  while (written.length > 0) {
    expect(told).toEqual([]);
    written.shift()?.();
    await ticks();
  }
  expect(told).toEqual([ALL_WRITTEN, "drain"]);
});

test("a write that fails, or whose stream is destroyed, is not one that the kernel has", async () => {
  for (const fail of [
    (_: Duplex, done: (error?: Error) => void) => done(new Error("mine")),
    (stream: Duplex) => void stream.destroy(new Error("mine")),
  ]) {
    const { stream, written } = slowStream();
    const connection = new StreamConnection(stream, false, "");
    const told = listen(connection);
    connection.write([Buffer.from("one")]);
    connection.write([Buffer.from("two")]);
    fail(stream, written[0] as () => void);
    await ticks();
    expect(told).toEqual(["closed mine"]);
  }
});

test("after destroy() or end() there is no call", async () => {
  for (const close of [(of: StreamConnection) => of.destroy(), (of: StreamConnection) => of.end([])]) {
    const { stream, written } = slowStream();
    const connection = new StreamConnection(stream, false, "");
    const told = listen(connection);
    connection.write([Buffer.from("x")]);
    close(connection);
    written[0]?.();
    await ticks();
    expect([told, connection.write([Buffer.from("y")])]).toEqual([[], false]);
  }
});

test("a stream of another library that calls back within its write() is told of afterwards, once", async () => {
  const stream = bareStream((_, callback) => (callback as () => void)());
  const connection = new StreamConnection(stream, false, "");
  const told = listen(connection);
  connection.write([Buffer.from("one")]);
  connection.write([Buffer.from("two")]);
  expect(told).toEqual([]);
  await ticks();
  expect(told).toEqual([ALL_WRITTEN]);
});

test("one that never calls back is told of when it drains, if nothing is pending then", () => {
  const stream = bareStream();
  const connection = new StreamConnection(stream, false, "");
  const told = listen(connection);
  connection.write([Buffer.from("one")]);
  Object.assign(stream, { writableLength: 3 });
  stream.emit("drain");
  Object.assign(stream, { writableLength: 0 });
  stream.emit("drain");
  expect(told).toEqual(["drain", ALL_WRITTEN, "drain"]);
});

test("a handler that does not ask costs no callback", () => {
  const callbacks: unknown[] = [];
  const connection = new StreamConnection(
    bareStream((_, callback) => void callbacks.push(callback)),
    false,
    "",
  );
  connection.write([Buffer.from("one")]);
  const told = listen(connection);
  connection.write([Buffer.from("two")]);
  connection.write([Buffer.from("three")]);
  // The same for all writes.
  expect(callbacks).toEqual([undefined, expect.any(Function), callbacks[1]]);
  expect(told).toEqual([]);
});
