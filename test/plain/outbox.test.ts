/** The memory of what a plain link sends: what is reserved, what is used again, and what must not be. */
import { expect, test } from "vitest";
import { BlockPool } from "../../src/core/log/blocks.ts";
import { Entry } from "../../src/plain/entry.ts";
import { type Gate, Outbox } from "../../src/plain/outbox.ts";
import { Storage } from "../../src/plain/storage.ts";
import { CountingBudget } from "../core/support.ts";
import { LINES } from "./support.ts";

const OPEN: Gate = { mayWrite: () => true, onWritten: () => {}, onWhole: () => {} };

function made(blockBytes = 4_096) {
  const pool = new BlockPool(blockBytes);
  const budget = new CountingBudget();
  const outbox = new Outbox(
    { queue: { maxMessages: 10_000, maxBytes: 1_000_000 }, maxMessageBytes: 100, logBudget: budget },
    new Storage(LINES, undefined, pool),
  );
  const send = (text: string): Entry => outbox.take(text, text.length, false, false);
  const write = (): Buffer[] => {
    const out: Buffer[] = [];
    outbox.write(out, 1_000_000, OPEN);
    return out;
  };
  return { pool, budget, outbox, send, write };
}

test("small messages are one buffer for each block that they lie in", () => {
  const { send, write } = made(1_024);
  for (let n = 0; n < 200; n++) send("123456789");
  expect(write().length).toBe(2);
});

test("the budget is asked in steps, and given back when nothing waits", () => {
  const { budget, outbox, send, write } = made();
  send("x".repeat(200));
  expect(budget.taken).toBeGreaterThan(200);
  const before = budget.taken;
  send("x".repeat(200));
  expect(budget.taken).toBe(before);
  write();
  outbox.written();
  expect([budget.taken, outbox.account.heldBytes]).toEqual([0, 0]);
});

test("there is room as the queue says, in messages and in bytes of payload", () => {
  const outbox = new Outbox(
    { queue: { maxMessages: 2, maxBytes: 10 }, maxMessageBytes: 100, logBudget: new CountingBudget() },
    new Storage(LINES, undefined, new BlockPool()),
  );
  expect([outbox.hasRoom(10), outbox.hasRoom(11)]).toEqual([true, false]);
  outbox.take("123", 3, false, false);
  expect([outbox.hasRoom(7), outbox.hasRoom(8), outbox.roomBytes, outbox.roomMessages]).toEqual([true, false, 7, 1]);
  outbox.take("", 0, false, false);
  expect(outbox.hasRoom(0)).toBe(false);
});

test("a budget that is used up has room for the guaranteed minimum only", () => {
  const outbox = new Outbox(
    { queue: { maxMessages: 10, maxBytes: 1_000 }, maxMessageBytes: 100, logBudget: new CountingBudget(0) },
    new Storage(LINES, undefined, new BlockPool()),
  );
  expect([outbox.hasRoom(100), outbox.hasRoom(101)]).toEqual([true, false]);
});

test("blocks are used again once nothing in them is needed, and not while a socket may read them", () => {
  const { outbox, pool, send, write } = made(1_024);
  const taken: Buffer[] = [];
  const give = pool.give.bind(pool);
  pool.give = (block) => {
    taken.push(block);
    give(block);
  };
  for (let n = 0; n < 200; n++) outbox.entry(send("123456789").number);
  write();
  outbox.written();
  expect(taken).toEqual([]);
  outbox.letGo(-1);
  expect(taken.length).toBeGreaterThan(0);
  const before = taken.length;
  for (let n = 0; n < 400; n++) send("123456789");
  write();
  outbox.lost(true);
  write();
  outbox.written();
  outbox.letGo(-1);
  // The connection that was lost may still read these.
  expect(taken.length).toBe(before);
});

test("what is reported is not overwritten by later messages", () => {
  const { outbox, send, write } = made(1_024);
  const first = Array.from({ length: 50 }, (_, n) => send(`first ${n}`));
  write();
  outbox.written();
  const shown = outbox.lost(false).map(({ payload }) => payload);
  for (let n = 0; n < 1_000; n++) {
    send(`later ${n}`);
    write();
    outbox.written();
    outbox.letGo(-1);
  }
  expect(shown.map(String)).toEqual(first.map((_, n) => `first ${n}`));
});

test("a message that was reported can be sent again, from its own memory", () => {
  const { outbox, send, write } = made(1_024);
  const framing = { ...LINES, encode: (message: Buffer) => Buffer.concat([message, Buffer.from("\n")]) };
  const other = new Storage(framing, undefined, new BlockPool(1_024));
  const entry = new Entry(0, false);
  other.store(entry, "first", 5, false);
  const { payload } = entry;
  const again = new Entry(1, false);
  other.store(again, payload, 5, false);
  expect(String(again.payload)).toBe("first");
  send("x");
  expect(write().map(String)).toEqual(["x\n"]);
  expect(outbox.isWriting).toBe(true);
});

test("many messages that are settled do not pile up", () => {
  const { outbox, send, write } = made();
  for (let n = 0; n < 20_000; n++) {
    const entry = send("x");
    if (n % 100 < 99) continue;
    write();
    outbox.written();
    outbox.letGo(-1);
    expect(() => outbox.entry(entry.number)).not.toThrow();
  }
  expect([outbox.head, outbox.untrackedMessages]).toEqual([20_000, 20_000]);
  send("last");
  expect(write().map(String)).toEqual(["last\n"]);
});

test("a settled message that stands last is passed over when the others are sent again", () => {
  const { outbox, send, write } = made();
  send("one");
  const last = send("two");
  write();
  outbox.written();
  outbox.delivered(last);
  outbox.lost(true);
  expect(write().map(String)).toEqual(["one\n"]);
  outbox.written();
  outbox.delivered(outbox.entry(0));
  expect([outbox.kernelTo, outbox.isClear]).toEqual([2, true]);
});

test("settled messages alone are not sent again, and wait for no connection", () => {
  const { outbox, send, write } = made();
  const entry = send("one");
  write();
  // It is answered while the kernel has not taken all of it.
  outbox.delivered(entry);
  outbox.lost(true);
  expect([outbox.sentTo, outbox.next]).toEqual([1, 1]);
  send("two");
  expect(write().map(String)).toEqual(["two\n"]);
});

test("settled messages behind those that are sent again do not hold up what the kernel has", () => {
  const { outbox, send, write } = made();
  const [first, second] = [send("one"), send("two")];
  write();
  outbox.written();
  outbox.delivered(second);
  outbox.lost(true);
  const out: Buffer[] = [];
  outbox.write(out, 1, OPEN);
  outbox.written();
  outbox.delivered(first);
  expect(write()).toEqual([]);
  expect([outbox.kernelTo, outbox.isWriting]).toEqual([2, false]);
});

/** Takes with the framing's `encode`, and answers the outbox. */
function framedBy(encode: (message: Buffer, outbox: Outbox) => readonly Uint8Array[]): Outbox {
  const framing = { ...LINES, encode: (message: Buffer) => encode(message, outbox) };
  const outbox: Outbox = new Outbox(
    { queue: { maxMessages: 10, maxBytes: 1_000_000 }, maxMessageBytes: 100_000, logBudget: new CountingBudget() },
    new Storage(framing, undefined, new BlockPool()),
  );
  return outbox;
}

test("a large message that is refused leaves nothing for the next one", () => {
  const outbox = framedBy((message) => (message.length > 1_000 ? [message, "no bytes" as never] : [message]));
  expect(() => outbox.take("L".repeat(20_000), 20_000, false, false)).toThrow("a piece that is no bytes");
  outbox.take("small", 5, false, false);
  expect(outbox.end().map(({ payload }) => String(payload))).toEqual(["small"]);
});

test("a framing cannot send while it encodes, and the message that it encodes is taken", () => {
  const refused: unknown[] = [];
  const outbox = framedBy((message, own) => {
    try {
      own.take("inner", 5, false, false);
    } catch (error) {
      refused.push(error);
    }
    return [message];
  });
  outbox.take("one", 3, false, false);
  outbox.take("two", 3, false, false);
  expect(refused).toMatchObject([{ code: "INVALID_STATE" }, { code: "INVALID_STATE" }]);
  expect(outbox.end().map(({ payload }) => String(payload))).toEqual(["one", "two"]);
});
