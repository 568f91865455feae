/** What a connection's socket is given of its link: when it is written, and when the memory that it lies in is freed. */
import type { Socket } from "node:net";
import { Duplex } from "node:stream";
import { expect, test } from "vitest";
import { ownChunk } from "../../src/core/wire/own-chunks.ts";
import type { Carrier } from "../../src/tunnel/carrier.ts";
import { Join } from "../../src/tunnel/join.ts";
import { collectGarbage } from "../collect-garbage.ts";

/** As a socket: what it is given in one call, and the end of each call, which comes when the test says so. */
class Target extends Duplex {
  readonly calls: string[][] = [];
  done: Array<() => void> = [];
  isSlow = false;

  constructor() {
    super({ allowHalfOpen: true, writableHighWaterMark: 100 });
  }

  override _read(): void {}

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.#write([chunk], done);
  }

  override _writev(chunks: Array<{ chunk: Buffer }>, done: () => void): void {
    this.#write(
      chunks.map(({ chunk }) => chunk),
      done,
    );
  }

  #write(chunks: readonly Buffer[], done: () => void): void {
    this.calls.push(chunks.map(String));
    if (this.isSlow) this.done.push(done);
    else done();
  }
}

function stage() {
  const target = new Target();
  const deferred: Array<() => void> = [];
  /** What the link has for the socket besides, which is still to be handed out. */
  const link = { readableLength: 0 };
  const clock = { now: () => 0, defer: <T>(run: (of: T) => void, of: T) => void deferred.push(() => run(of)) };
  const carrier = { clock, link, beginCounting: () => {} } as unknown as Carrier;
  const join = new Join(target as unknown as Socket, carrier, { onJoinEnded: () => {} });
  const endTurn = (): void => {
    for (const run of deferred.splice(0)) run();
  };
  return { endTurn, join, link, target };
}

/** A chunk of the library's own. Freed, it has no bytes. */
function ownBytes(text: string): Buffer {
  const bytes = Buffer.from(new ArrayBuffer(text.length));
  bytes.write(text);
  ownChunk(bytes.buffer);
  return bytes;
}

test("bytes that nothing is here behind are written at once, and their memory is freed", () => {
  const { join, target } = stage();
  const bytes = ownBytes("one");
  expect(join.write(bytes, false)).toBeUndefined();
  expect([target.calls, bytes.length]).toEqual([[["one"]], 0]);
});

test("what has come together is written in one call: the parts of a chunk, and several chunks", () => {
  const { join, link, target } = stage();
  const [first, second] = [ownBytes("onetwo"), ownBytes("three")];
  link.readableLength = 5;
  void join.write(first.subarray(0, 3), true);
  void join.write(first.subarray(3), false);
  expect([target.calls, first.length]).toEqual([[], 6]);
  link.readableLength = 0;
  void join.write(second, false);
  expect([target.calls, first.length, second.length]).toEqual([[["one", "two", "three"]], 0, 0]);
});

test("what is to come is not waited for beyond the turn, and the memory that it may lie in is kept", () => {
  const { endTurn, join, link, target } = stage();
  const bytes = ownBytes("onetwo");
  link.readableLength = 3;
  void join.write(bytes.subarray(0, 3), false);
  expect(target.calls).toEqual([]);
  endTurn();
  expect([target.calls, bytes.length]).toEqual([[["one"]], 6]);
  link.readableLength = 0;
  void join.write(bytes.subarray(3), false);
  expect([target.calls, bytes.length]).toEqual([[["one"], ["two"]], 0]);
  endTurn();
  expect(target.calls).toHaveLength(2);
});

test("memory that a socket is still writing from is kept until it takes more", async () => {
  const { join, target } = stage();
  target.isSlow = true;
  const parts = [ownBytes("a".repeat(60)), ownBytes("b".repeat(60)), ownBytes("c".repeat(60))];
  const sizes = (): number[] => parts.map(({ length }) => length);
  for (const part of parts.slice(0, 2)) void join.write(part, true);
  void join.write(parts[2] as Buffer, false);
  expect(sizes()).toEqual([60, 60, 60]);
  const drained = new Promise((resolve) => {
    target.once("drain", resolve);
  });
  target.done.shift()?.();
  await drained;
  expect([sizes(), target.writableLength]).toEqual([[0, 0, 0], 0]);
});

test("a socket that says no more when it has written holds no memory", () => {
  const { join, target } = stage();
  target.isSlow = true;
  const [first, second] = [ownBytes("one"), ownBytes("two")];
  void join.write(first, false);
  target.done.shift()?.();
  target.isSlow = false;
  void join.write(second, false);
  // The first was left to the garbage collector.
  expect([first.length, second.length]).toEqual([3, 0]);
});

test("a connection whose peer has ended holds no memory, though the end came behind bytes in the same chunk", async () => {
  const { endTurn, join } = stage();
  const memory = ((): WeakRef<ArrayBufferLike> => {
    const bytes = ownBytes("one");
    void join.write(bytes, true);
    return new WeakRef(bytes.buffer);
  })();
  join.end();
  endTurn();
  await new Promise((resolve) => {
    setImmediate(resolve);
  });
  collectGarbage();
  expect(memory.deref()).toBeUndefined();
  expect(join.haveBothEnded).toBe(false);
});
