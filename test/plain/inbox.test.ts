/** Messages that wait for the consumer: their positions, and the memory that they keep. */
import { expect, test } from "vitest";
import { Inbox } from "../../src/plain/inbox.ts";

const keep = (): void => {};

function filled(...texts: string[]): Inbox {
  const inbox = new Inbox();
  for (const text of texts) inbox.push(Buffer.from(text));
  return inbox;
}

test("each message has a position of its own, also an empty one", () => {
  const inbox = filled("", "a", "");
  expect([inbox.receivedTo, inbox.hasUnread]).toEqual([37, true]);
  const seen: Array<[string, number]> = [];
  const hand = (message: Buffer, end: number): boolean => seen.push([String(message), end]) > 0;
  expect(inbox.handOut(hand, keep, 2)).toBe(true);
  expect(inbox.handOut(hand, keep, 2)).toBe(false);
  expect(seen).toEqual([
    ["", 12],
    ["a", 25],
    ["", 37],
  ]);
  inbox.accept(25);
  expect(inbox.unacceptedBytes).toBe(12);
});

test("what ends below an accepted position is skipped, and no more", () => {
  const inbox = filled("one", "two", "three");
  inbox.accept(31);
  expect([String(inbox.next(keep)), inbox.acceptedTo]).toEqual(["three", 30]);
  inbox.accept(1_000);
  expect([inbox.acceptedTo, inbox.next(keep)]).toEqual([47, undefined]);
});

test("a handler that wants no more stops it", () => {
  const inbox = filled("one", "two");
  expect(inbox.handOut(() => false, keep, 10)).toBe(false);
  expect(String(inbox.next(keep))).toBe("two");
});

test("once it is stopped nothing waits, and nothing is added", () => {
  const inbox = filled("one");
  inbox.stop();
  inbox.push(Buffer.from("two"));
  expect([inbox.hasUnread, inbox.next(keep), inbox.unacceptedBytes]).toEqual([false, undefined, 0]);
});

test("messages that wait do not keep the chunks alive that they are a small part of", () => {
  const inbox = new Inbox();
  const memory = new Set<ArrayBufferLike>();
  for (let n = 0; n < 3_000; n++) {
    const chunk = Buffer.alloc(10_000, n % 256);
    inbox.push(chunk.subarray(0, 5));
    inbox.push(chunk.subarray(5, 10));
    inbox.rest();
  }
  for (let n = 0; n < 6_000; n++) {
    const message = inbox.next(keep) as Buffer;
    expect(message.equals(Buffer.alloc(5, Math.floor(n / 2) % 256))).toBe(true);
    memory.add(message.buffer);
  }
  let bytes = 0;
  for (const { byteLength } of memory) bytes += byteLength;
  expect(bytes).toBeLessThan(200_000);
});

test("the last message of a large chunk does not keep it alive beyond the turn", () => {
  const inbox = new Inbox();
  const chunk = Buffer.alloc(100_000, "x");
  for (let n = 0; n < 10; n++) inbox.push(chunk.subarray(n * 10_000, (n + 1) * 10_000));
  for (let n = 0; n < 9; n++) expect(inbox.next(keep)?.buffer).toBe(chunk.buffer);
  inbox.rest();
  expect(inbox.next(keep)?.buffer.byteLength).toBe(10_000);
});

test("a message that waits beyond the turn does not keep what else came with it, even if it is most of its chunk", () => {
  const inbox = new Inbox();
  const chunk = Buffer.alloc(10_000, "x");
  inbox.push(chunk.subarray(0, 6_000));
  inbox.rest();
  expect(inbox.next(keep)?.buffer.byteLength).toBe(6_000);
});

test("a message that is a small part of its chunk is handed out as a copy", () => {
  const inbox = new Inbox();
  const chunk = Buffer.alloc(10_000, 1);
  inbox.beginChunk();
  inbox.push(chunk.subarray(0, 4_000));
  expect(inbox.next(keep)?.buffer).not.toBe(chunk.buffer);
  inbox.beginChunk();
  inbox.push(chunk.subarray(0, 3_000));
  inbox.push(chunk.subarray(3_000, 6_000));
  expect([inbox.next(keep)?.buffer, inbox.next(keep)?.buffer]).toEqual([chunk.buffer, chunk.buffer]);
});

test("memory that may hold other messages must not be transferred, which is said once", () => {
  const inbox = new Inbox();
  const kept: ArrayBufferLike[] = [];
  const whole = Buffer.alloc(10, 1);
  const chunk = Buffer.alloc(10, 2);
  for (const message of [whole, chunk.subarray(0, 5), chunk.subarray(5)]) inbox.push(message);
  while (inbox.next((memory) => kept.push(memory)) !== undefined);
  expect(kept).toEqual([chunk.buffer]);
});

test("messages of several chunks come in order, some handed out at once and some later", () => {
  const inbox = new Inbox();
  const seen: string[] = [];
  const take = (): void => void seen.push(String(inbox.next(keep)));
  let pushed = 0;
  for (let chunk = 0; chunk < 40; chunk++) {
    inbox.beginChunk();
    for (let n = 0; n < chunk % 7; n++) inbox.push(Buffer.from(pushed++ % 5 === 0 ? "" : `${pushed}`));
    if (chunk % 5 === 0) inbox.rest();
    for (let n = 0; n < chunk % 4 && inbox.hasUnread; n++) take();
  }
  while (inbox.hasUnread) take();
  expect(seen).toEqual(Array.from({ length: pushed }, (_, n) => (n % 5 === 0 ? "" : `${n + 1}`)));
  inbox.accept(Infinity);
  expect(inbox.unacceptedBytes).toBe(0);
});
