import { describe, expect, test } from "vitest";
import { BlockPool } from "../../../src/core/log/blocks.ts";
import {
  DATA_ACK_NOW,
  DATA_BLOCKED,
  DATA_END_FINAL,
  DATA_END_MOVED,
  DATA_HEADER_BYTES,
  MAX_DATA_BYTES,
} from "../../../src/core/wire/frames.ts";
import { Sender } from "../../../src/core/log/sender.ts";
import { Account, Flight, RoundTrip } from "../../../src/core/log/window.ts";
import { ampleAccount, CountingBudget, decodedData } from "../support.ts";
import { sending } from "./sending.ts";

describe("what is written", () => {
  test("goes from where the connection began, in frames of at most 64 KiB", () => {
    const { sender, write, take } = sending("bytes");
    take(200_000);
    const frames = write();
    expect(frames.map(({ offset, bytes }) => [offset, bytes.length])).toEqual([
      [0, MAX_DATA_BYTES],
      [MAX_DATA_BYTES, MAX_DATA_BYTES],
      [2 * MAX_DATA_BYTES, MAX_DATA_BYTES],
      [3 * MAX_DATA_BYTES, 200_000 - 3 * MAX_DATA_BYTES],
    ]);
    expect([sender.sentNow, sender.highestSent]).toEqual([200_000, 200_000]);
  });

  test("is at most what the connection has room for, and the answer says how much it was", () => {
    const { sender, flight, take } = sending("bytes");
    take(1_000);
    const out: Buffer[] = [];
    expect(sender.write(out, 300, flight, 0)).toBe(300);
    expect(Buffer.concat(out)).toHaveLength(DATA_HEADER_BYTES + 300);
    expect(sender.write(out, 5_000, flight, 0)).toBe(700);
    expect(sender.write(out, 5_000, flight, 0)).toBe(0);
    expect(decodedData(out).map(({ offset }) => offset)).toEqual([0, 300]);
  });

  test("is one buffer where it is small, also if it lies in two blocks; else the payload stands in the log", () => {
    const { sender, flight, take } = sending("bytes");
    const out: Buffer[] = [];
    const sizes = (bytes: number): number[] => {
      sender.write(out, bytes, flight, 0);
      return out.splice(0).map(({ length }) => length);
    };
    take(2_000);
    expect(sizes(500)).toEqual([DATA_HEADER_BYTES + 500]);
    expect(sizes(1_025)).toEqual([DATA_HEADER_BYTES, 1_025]);
    take(400);
    expect(sizes(875)).toEqual([DATA_HEADER_BYTES + 875]);
  });

  test("is nothing before a connection has brought credit, not even what was taken first", () => {
    const sender = new Sender("messages", new BlockPool(), ampleAccount(), Infinity);
    sender.take("early", 5, false);
    const { acked, sentNow, highestSent, limit, peerReceived } = sender;
    expect([acked, sentNow, highestSent, limit, peerReceived]).toEqual([0, 0, 0, 0, 0]);
    const { flight } = sending("messages");
    expect(sender.hasSomethingToWrite(flight)).toBe(false);
    expect(sender.undelivered()).toMatchObject([{ delivery: "not-sent" }]);
  });

  test("is nothing when there is nothing", () => {
    const { sender, flight, write } = sending("messages");
    expect(sender.hasSomethingToWrite(flight)).toBe(false);
    expect(write()).toEqual([]);
  });

  test("holds messages with their lengths, an empty one too; an empty piece of a byte stream is nothing", () => {
    const messages = sending("messages");
    messages.sender.take("", 0, false);
    messages.sender.take("two", 3, false);
    expect(messages.write().map(({ bytes }) => bytes.toString("hex"))).toEqual(["000000000000000374776f"]);
    const bytes = sending("bytes");
    bytes.sender.take("", 0, false);
    expect(bytes.sender.queuedMessages).toBe(0);
    expect(bytes.write()).toEqual([]);
  });
});

describe("credit", () => {
  test("is never exceeded, and the frame that uses it up says that more is waiting", () => {
    const { sender, flight, write, take } = sending("bytes", { limit: 250 });
    take(1_000);
    expect(write(100).map(({ flags }) => flags)).toEqual([0]);
    expect(sender.hasSomethingToWrite(flight)).toBe(true);
    expect(write().map(({ offset, bytes, flags }) => [offset, bytes.length, flags])).toEqual([
      [100, 150, DATA_BLOCKED],
    ]);
    expect(sender.hasSomethingToWrite(flight)).toBe(false);
    expect(write()).toEqual([]);
    sender.limit = 251;
    expect(write()).toHaveLength(1);
  });

  test("is not all that can be in the way: a log that can keep no more says the same", () => {
    const { write, take } = sending("bytes", { mostWrittenBytes: 250 });
    take(1_000);
    expect(write().map(({ offset, bytes, flags }) => [offset, bytes.length, flags])).toEqual([[0, 250, DATA_BLOCKED]]);
  });

  test("that is just enough asks for nothing", () => {
    const { write, take } = sending("bytes", { limit: 250 });
    take(250);
    expect(write().map(({ flags }) => flags)).toEqual([0]);
  });

  test("given anew by a resume replaces what was given before, and below what was received it means to wait", () => {
    const { sender, flight, write, take } = sending("bytes", { limit: 500 });
    take(1_000);
    write();
    sender.restart(500, 300);
    expect(sender.limit).toBe(300);
    expect(sender.hasSomethingToWrite(flight)).toBe(false);
    expect(write()).toEqual([]);
    expect(sender.sentNow).toBe(500);
  });
});

describe("what is in flight", () => {
  test("is bounded by what the peer has reported received", () => {
    const { sender, flight, write, take } = sending("bytes", { flightBytes: 100 });
    take(1_000);
    expect(write()[0]?.bytes).toHaveLength(100);
    expect(write()).toEqual([]);
    sender.peerReceived = 40;
    expect(write()[0]?.bytes).toHaveLength(40);
    expect(flight.limitBytes).toBe(100);
  });

  test("is timed from when it was written until it was received; writing nothing times nothing", () => {
    const { sender, take } = sending("bytes");
    const roundTrip = new RoundTrip();
    const flight = new Flight(roundTrip);
    sender.write([], 100, flight, 0);
    take(10);
    sender.write([], 100, flight, 1_000);
    flight.onReceived(10, 1_040);
    expect(roundTrip.smoothedMs).toBe(40);
  });

  test("counts anew on a new connection", () => {
    const { sender, write, take } = sending("bytes", { flightBytes: 100 });
    take(1_000);
    write();
    sender.restart(30, Infinity);
    expect(write().map(({ offset, bytes }) => [offset, bytes.length])).toEqual([[30, 100]]);
  });
});

describe("what is written and not accepted", () => {
  test("is bounded, and goes on as the peer accepts", () => {
    const { sender, write, take } = sending("bytes", { mostWrittenBytes: 400 });
    take(1_000);
    expect(write()[0]?.bytes).toHaveLength(400);
    expect(write()).toEqual([]);
    sender.onAccepted(150);
    expect(write()[0]?.bytes).toHaveLength(150);
  });

  test("is said to be all that can be kept, where the log has no share for another message", () => {
    const budget = new CountingBudget(100_000);
    const { sender, write, take } = sending("bytes", { account: new Account(70_000, budget) });
    take(1_000);
    expect(write().map(({ flags }) => flags)).toEqual([0]);
    take(100_000);
    expect(write().map(({ flags }) => flags)).toEqual([0, DATA_BLOCKED]);
    sender.onAccepted(101_000);
    take(1_000);
    expect(write().map(({ flags }) => flags)).toEqual([0]);
    expect(budget.taken).toBe(0);
  });

  test("is not said to be all that can be kept when nothing more will be taken", () => {
    const { sender, write, take } = sending("bytes", { account: new Account(70_000, new CountingBudget(100_000)) });
    take(101_000);
    sender.end("final");
    expect(write().map(({ flags }) => flags)).toEqual([0, DATA_END_FINAL]);
  });
});

describe("the end of the direction", () => {
  test.each<["final" | "moved", number]>([
    ["final", DATA_END_FINAL],
    ["moved", DATA_END_MOVED],
  ])("that is %s goes with the last bytes and takes one position", (kind, flag) => {
    const { sender, flight, write, take } = sending("bytes");
    take(100_000);
    sender.end(kind);
    expect(write().map(({ bytes, flags }) => [bytes.length, flags])).toEqual([
      [MAX_DATA_BYTES, 0],
      [100_000 - MAX_DATA_BYTES, flag],
    ]);
    expect([sender.sentNow, sender.highestSent, sender.finalPosition]).toEqual([100_001, 100_001, 100_001]);
    expect(sender.hasSomethingToWrite(flight)).toBe(false);
    expect(write()).toEqual([]);
  });

  test("goes by itself when everything was written before, and needs no credit", () => {
    const { sender, flight, write, take } = sending("bytes", { limit: 10 });
    take(10);
    write();
    sender.end("final");
    expect(sender.hasSomethingToWrite(flight)).toBe(true);
    expect(write()).toEqual([{ type: "data", offset: 10, bytes: Buffer.alloc(0), flags: DATA_END_FINAL }]);
    expect(sender.sentNow).toBe(11);
  });

  test("waits for the bytes before it", () => {
    const { sender, write, take } = sending("bytes", { limit: 10 });
    take(11);
    sender.end("final");
    expect(write().map(({ flags }) => flags)).toEqual([DATA_BLOCKED]);
    expect(write()).toEqual([]);
    sender.limit = 11;
    expect(write().map(({ flags }) => flags)).toEqual([DATA_END_FINAL]);
  });

  test("is resent like a byte where the peer has all bytes but not it", () => {
    const { sender, write, take } = sending("bytes");
    take(10);
    sender.end("moved");
    write();
    sender.restart(10, Infinity);
    expect(write()).toEqual([{ type: "data", offset: 10, bytes: Buffer.alloc(0), flags: DATA_END_MOVED }]);
    sender.restart(11, Infinity);
    expect(write()).toEqual([]);
  });

  test("is acked only by the position after it", () => {
    const { sender, write, take } = sending("bytes");
    take(10);
    sender.end("final");
    write();
    sender.onAccepted(10);
    expect([sender.endAcked, sender.unackedBytes]).toEqual([false, 0]);
    sender.onAccepted(11);
    expect([sender.endAcked, sender.acked]).toEqual([true, 11]);
  });

  test("keeps its first kind", () => {
    const { sender } = sending("bytes");
    sender.end("moved");
    sender.end("final");
    expect(sender.endKind).toBe("moved");
    const final = sending("bytes").sender;
    final.end("final");
    final.moveOn();
    expect(final.endKind).toBe("final");
  });

  test("is the application's: until then it may send, and everything that it has sent comes before", () => {
    const { sender, take } = sending("bytes");
    take(10);
    expect([sender.ended, sender.finalPosition]).toEqual([false, 10]);
    sender.end("final");
    expect([sender.ended, sender.finalPosition]).toEqual([true, 11]);
  });

  test("of a session that moves comes after the message that was begun; what was taken beyond is for the next", () => {
    const { sender, write } = sending("messages");
    for (const text of ["one", "two", "three"]) sender.take(text, text.length, false);
    write(8);
    sender.moveOn();
    expect([sender.endKind, sender.endAt, sender.ended]).toEqual(["moved", 14, false]);
    expect([sender.owedBytes, sender.unackedBytes]).toEqual([14, 23]);
    expect(write().at(-1)).toMatchObject({ flags: DATA_END_MOVED });
    expect(sender.sentNow).toBe(15);
    sender.onAccepted(15);
    expect([sender.owedBytes, sender.unackedBytes, sender.endAcked]).toEqual([0, 9, true]);
  });
});

describe("asking for an ACK now", () => {
  test("marks the frame that holds the last byte taken until then, again if it is sent again", () => {
    const { sender, write, take } = sending("bytes");
    take(MAX_DATA_BYTES + 10);
    sender.askForAck();
    take(MAX_DATA_BYTES);
    expect(write().map(({ flags }) => flags)).toEqual([0, DATA_ACK_NOW, 0]);
    sender.restart(MAX_DATA_BYTES, Infinity);
    expect(write().map(({ flags }) => flags)).toEqual([DATA_ACK_NOW, 0]);
  });

  test("marks the last frame when nothing was taken after, together with what else it says", () => {
    const { sender, write, take } = sending("bytes");
    take(10);
    sender.askForAck();
    expect(write().map(({ flags }) => flags)).toEqual([DATA_ACK_NOW]);
    sender.end("final");
    sender.restart(0, 10_000);
    expect(write().map(({ flags }) => flags)).toEqual([DATA_ACK_NOW | DATA_END_FINAL]);
  });

  test("goes on with what follows, where a connection begins with the byte that is awaited received", () => {
    const { sender, write, take } = sending("bytes");
    take(10);
    sender.askForAck();
    write();
    sender.restart(10, Infinity);
    take(5);
    expect(write().map(({ flags }) => flags)).toEqual([DATA_ACK_NOW]);
  });

  test("is done where no more may be under way before the peer has reported, and only if there is more", () => {
    const { sender, write, take } = sending("bytes", { flightBytes: 100 });
    take(100);
    expect(write().map(({ flags }) => flags)).toEqual([0]);
    sender.peerReceived = 100;
    take(101);
    expect(write().map(({ flags }) => flags)).toEqual([DATA_ACK_NOW]);
  });

  test("is not done unless asked for", () => {
    const { write, take } = sending("bytes");
    take(10);
    expect(write().map(({ flags }) => flags)).toEqual([0]);
  });
});

describe("a new connection", () => {
  test("goes on from what the peer has, and the highest position ever written stays", () => {
    const { sender, write, take } = sending("bytes");
    take(100);
    write();
    sender.onAccepted(20);
    sender.restart(60, Infinity);
    expect([sender.acked, sender.sentNow, sender.peerReceived, sender.highestSent]).toEqual([20, 60, 60, 100]);
    expect(write(10).map(({ offset, bytes }) => [offset, bytes.length])).toEqual([[60, 10]]);
    expect(sender.highestSent).toBe(100);
  });

  test("whose late statement is below what was acked goes on from what was acked", () => {
    const { sender, write, take } = sending("bytes");
    take(100);
    write();
    sender.onAccepted(80);
    sender.restart(50, Infinity);
    expect(write().map(({ offset, bytes }) => [offset, bytes.length])).toEqual([[80, 20]]);
  });

  test("need not carry what turns out to be accepted", () => {
    const { sender, write, take } = sending("bytes");
    take(100);
    write();
    sender.restart(10, Infinity);
    sender.onAccepted(70);
    expect(write().map(({ offset }) => offset)).toEqual([70]);
  });

  test("does not share its blocks with the pool: the one before may still have them to write", () => {
    const { pool, sender, memory } = written();
    expect(poolHas(pool, memory)).toBe(false);
    sender.restart(0, Infinity);
    sender.onAccepted(262_144);
    sender.recycle(0);
    expect(poolHas(pool, memory)).toBe(false);
  });

  test("gives the pool what is accepted and written, and nothing that it has still to write", () => {
    for (const pendingBytes of [0, 262_144]) {
      const { pool, sender, memory } = written();
      sender.onAccepted(262_144);
      sender.recycle(pendingBytes);
      expect(poolHas(pool, memory)).toBe(pendingBytes === 0);
    }
  });

  test("sends the same bytes at the same positions", () => {
    const { sender, write } = sending("messages");
    for (let n = 0; n < 50; n++) sender.take(`message ${n}`, Buffer.byteLength(`message ${n}`), false);
    const once = Buffer.concat(write().map(({ bytes }) => bytes));
    sender.onAccepted(13);
    sender.restart(201, Infinity);
    expect(Buffer.concat(write().map(({ bytes }) => bytes))).toEqual(once.subarray(201));
  });
});

describe("an acknowledgement", () => {
  test("lets go of what it covers, and never goes back", () => {
    const { sender, write, take } = sending("bytes");
    take(100);
    write();
    sender.onAccepted(60);
    sender.onAccepted(30);
    expect([sender.acked, sender.log.start, sender.unackedBytes]).toEqual([60, 60, 40]);
  });
});

/** 256 KiB are written, and the memory that they were written from. */
function written(): { pool: BlockPool; sender: Sender; memory: Set<ArrayBufferLike> } {
  const pool = new BlockPool();
  const sender = new Sender("bytes", pool, ampleAccount(), Infinity);
  const { flight } = sending("bytes");
  sender.restart(0, Infinity);
  for (let n = 0; n < 8; n++) sender.take(Buffer.alloc(32_768, "b"), 32_768, false);
  const out: Buffer[] = [];
  sender.write(out, Infinity, flight, 0);
  return { pool, sender, memory: new Set(out.map(({ buffer }) => buffer)) };
}

function poolHas(pool: BlockPool, memory: ReadonlySet<ArrayBufferLike>): boolean {
  return Array.from({ length: 8 }, () => pool.take(pool.blockBytes).buffer).some((buffer) => memory.has(buffer));
}
