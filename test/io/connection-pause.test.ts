/** A connection that its handler pauses, which is apart from the pauses of the reading line. */
import { once } from "node:events";
import { Duplex } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { expect, test } from "vitest";
import { StreamConnection } from "../../src/io/connection.ts";
import { eventually } from "../support.ts";
import { bareStream, connected, everything } from "./connected.ts";

async function turns(count = 10): Promise<void> {
  for (let turn = 0; turn < count; turn++) await nextTurn();
}

test("hands over nothing, and its peer has to wait; then everything, in order", async () => {
  const { connection, far } = await connected();
  let bytes = 0;
  connection.handler = { ...connection.handler, onData: ({ length }) => void (bytes += length) };
  connection.pause();
  connection.pause();
  // More than a kernel keeps for a peer that does not read.
  const all = 16 * 2 ** 20;
  far.write(Buffer.alloc(all));
  await turns(100);
  expect([bytes, far.writableLength > 0]).toEqual([0, true]);
  connection.resume();
  await eventually(() => expect(bytes).toBe(all));
});

test("the peer's end stands behind what was not read", async () => {
  const { connection, far, heard } = await connected();
  connection.pause();
  far.end("last");
  await turns();
  expect(heard).toEqual([]);
  connection.resume();
  await eventually(() => expect(heard).toEqual(["data last", "closed closed by the peer"]));
});

test("one that has had its turn of the reading line, and is paused meanwhile, is not read when its turn comes", async () => {
  const { connection, near, far } = await connected();
  let chunks = 0;
  connection.handler = {
    ...connection.handler,
    onData: () => {
      chunks++;
      connection.pause();
      return "enough";
    },
  };
  far.end(Buffer.alloc(1_000_000));
  await eventually(() => expect(chunks).toBe(1));
  await turns();
  expect([chunks, near.isPaused()]).toEqual([1, true]);
  let closed = false;
  connection.handler = { onData: () => undefined, onDrain: () => {}, onClosed: () => void (closed = true) };
  connection.resume();
  await eventually(() => expect([near.bytesRead, closed]).toEqual([1_000_000, true]));
});

test("one that waits in the reading line is not read before its turn, though it was paused and resumed", async () => {
  const { connection, near, far } = await connected();
  const waits: boolean[] = [];
  let closed = false;
  connection.handler = {
    onData: () => {
      process.nextTick(() => {
        connection.pause();
        connection.resume();
        waits.push(near.isPaused());
      });
      return "enough";
    },
    onDrain: () => {},
    onClosed: () => void (closed = true),
  };
  far.end(Buffer.alloc(1_000_000));
  await eventually(() => expect(closed).toBe(true));
  expect(waits.length).toBeGreaterThan(5);
  expect(new Set(waits)).toEqual(new Set([true]));
});

test("a stream that its application had paused is read, and then pauses like any other", async () => {
  const stream = new Duplex({ read: () => {}, write: (_chunk, _encoding, done) => done() });
  stream.pause();
  const connection = new StreamConnection(stream, false, "");
  const heard: string[] = [];
  connection.handler = { ...connection.handler, onData: (chunk) => void heard.push(String(chunk)) };
  stream.push("one");
  await turns();
  connection.pause();
  stream.push("two");
  await turns();
  expect(heard).toEqual(["one"]);
  connection.resume();
  await turns();
  expect(heard).toEqual(["one", "two"]);
});

test("what a stream emits though it was paused is handed over, and it waits in the reading line once", async () => {
  const stream = bareStream();
  let resumed = 0;
  const connection = new StreamConnection(Object.assign(stream, { resume: () => resumed++ }), false, "");
  const heard: string[] = [];
  connection.handler = {
    ...connection.handler,
    onData: (chunk) => {
      heard.push(String(chunk));
      return "enough";
    },
  };
  connection.pause();
  for (const text of ["one", "two", "three"]) stream.emit("data", Buffer.from(text));
  expect(heard).toEqual(["one", "two", "three"]);
  connection.resume();
  await turns();
  // When it was made, and when its turn came.
  expect(resumed).toBe(2);
});

test("a stream whose pause() throws is lost, and throws at nobody", async () => {
  const { connection, near, heard } = await connected();
  near.pause = () => {
    throw new Error("mine");
  };
  connection.pause();
  expect(heard).toEqual(["closed mine"]);
});

test("one that is ended while it is paused is read to the peer's end, and cannot be paused again", async () => {
  const { connection, near, far, heard } = await connected();
  connection.pause();
  const read = everything(far);
  far.end("x".repeat(1_000_000));
  connection.end([Buffer.from("last")]);
  connection.pause();
  expect(await read).toBe("last");
  await eventually(() => expect(near.closed).toBe(true), 1_500);
  expect(heard).toEqual([]);
});

test("one that is ended while it is paused, and waits in the reading line, as well", async () => {
  const { connection, near, far } = await connected();
  let chunks = 0;
  connection.handler = {
    ...connection.handler,
    onData: () => {
      connection.pause();
      process.nextTick(() => connection.end([Buffer.from("last")]));
      return chunks++ === 0 ? "enough" : undefined;
    },
  };
  const read = everything(far);
  far.end("x".repeat(1_000_000));
  expect(await read).toBe("last");
  await eventually(() => expect(near.closed).toBe(true), 1_500);
  expect(chunks).toBe(1);
});

test("one that was destroyed is neither paused nor resumed", async () => {
  const { connection, near } = await connected();
  const done: string[] = [];
  connection.pause();
  near.pause = () => {
    done.push("pause");
    return near;
  };
  near.resume = () => {
    done.push("resume");
    return near;
  };
  connection.destroy();
  connection.resume();
  connection.pause();
  await once(near, "close");
  expect(done).toEqual([]);
});
