/** A sender with an outbox: nothing is written before it is persisted. And a sender that goes on from a snapshot. */
import { describe, expect, test } from "vitest";
import { BlockPool } from "../../../src/core/log/blocks.ts";
import { Sender, type SenderSnapshot } from "../../../src/core/log/sender.ts";
import { Account } from "../../../src/core/log/window.ts";
import { DATA_END_FINAL, DATA_END_MOVED } from "../../../src/core/wire/frames.ts";
import { CountingBudget } from "../support.ts";
import { sending } from "./sending.ts";

type Sending = ReturnType<typeof sending>;

/** The frames that are written now: where each begins, its bytes, its flags. */
function written({ write }: Sending): Array<[offset: number, bytes: number, flags: number]> {
  return write().map(({ offset, bytes, flags }) => [offset, bytes.length, flags]);
}

describe("with an outbox", () => {
  test("nothing is written that is not persisted yet", () => {
    const made = sending("bytes", { hasOutbox: true });
    made.take(10);
    expect(made.sender.hasSomethingToWrite(made.flight)).toBe(false);
    expect(written(made)).toEqual([]);
    made.sender.onPersisted(4);
    expect(made.sender.hasSomethingToWrite(made.flight)).toBe(true);
    expect(written(made)).toEqual([[0, 4, 0]]);
    expect(written(made)).toEqual([]);
    made.sender.onPersisted(10);
    expect(written(made)).toEqual([[4, 6, 0]]);
  });

  test("an answer that comes late takes nothing back", () => {
    const made = sending("bytes", { hasOutbox: true });
    made.take(10);
    made.sender.onPersisted(10);
    made.sender.onPersisted(4);
    expect(made.sender.durable).toBe(10);
  });

  test("an end waits for the position after it, though all bytes before it have left", () => {
    const made = sending("bytes", { hasOutbox: true });
    made.take(10);
    made.sender.end("final");
    made.sender.onPersisted(10);
    expect(written(made)).toEqual([[0, 10, 0]]);
    expect(made.sender.hasSomethingToWrite(made.flight)).toBe(false);
    expect(written(made)).toEqual([]);
    expect([made.sender.sentNow, made.sender.finalPosition]).toEqual([10, 11]);
    made.sender.onPersisted(11);
    expect(made.sender.hasSomethingToWrite(made.flight)).toBe(true);
    expect(written(made)).toEqual([[10, 0, DATA_END_FINAL]]);
  });

  test("an end that is persisted with the bytes before it leaves with them", () => {
    const made = sending("bytes", { hasOutbox: true });
    made.take(10);
    made.sender.end("final");
    made.sender.onPersisted(11);
    expect(written(made)).toEqual([[0, 10, DATA_END_FINAL]]);
  });

  test("an end before messages that wait for the next session is not persisted with those", () => {
    const made = sending("messages", { hasOutbox: true });
    made.take(6);
    made.sender.onPersisted(10);
    expect(written(made)).toEqual([[0, 10, 0]]);
    made.take(6);
    made.sender.onPersisted(20);
    made.sender.moveOn();
    expect(made.sender.endAt).toBe(10);
    expect(written(made)).toEqual([]);
    // The answer to a request from before the end.
    made.take(6);
    made.sender.onPersisted(30);
    expect(written(made)).toEqual([]);
    made.sender.onPersisted(11);
    expect(written(made)).toEqual([[10, 0, DATA_END_MOVED]]);
  });

  test("the sender of the next session has one too", () => {
    const made = sending("bytes", { hasOutbox: true });
    const next = made.sender.successor();
    next.restart(0, 1_000);
    next.take("later", 5, false);
    expect(next.durable).toBe(0);
  });

  test("what was never taken cannot be persisted, and without an outbox nothing can", () => {
    const { sender, take } = sending("bytes", { hasOutbox: true });
    take(10);
    expect(() => sender.onPersisted(11)).toThrow(RangeError);
    sender.end("final");
    expect(() => sender.onPersisted(12)).toThrow(RangeError);
    sender.onPersisted(11);
    const without = sending("bytes");
    without.take(10);
    expect(() => without.sender.onPersisted(10)).toThrow(RangeError);
    expect(without.sender.durable).toBe(10);
  });
});

/** A new sender that goes on from the snapshot, on a connection whose peer has received `received`. */
function restored(
  mode: "messages" | "bytes",
  snapshot: SenderSnapshot,
  received: number,
): Sending & { budget: CountingBudget } {
  const budget = new CountingBudget();
  const made = sending(mode, { hasOutbox: true, account: new Account(0, budget) });
  made.sender.restore(snapshot);
  made.sender.restart(received, 1_000_000);
  return { ...made, budget };
}

describe("a snapshot", () => {
  /** Three messages of 10 bytes with their lengths; the peer has accepted the first. */
  function threeMessages(): Sending {
    const made = sending("messages", { hasOutbox: true });
    for (const text of ["first.", "second", "third."]) made.sender.take(text, 6, false);
    made.sender.onPersisted(30);
    made.write();
    made.sender.onAccepted(10);
    return made;
  }

  test("goes on where the peer is, with the same bytes", () => {
    const { sender } = threeMessages();
    const made = restored("messages", sender.snapshot(), 14);
    expect([made.sender.acked, made.sender.highestSent, made.sender.log.end]).toEqual([10, 30, 30]);
    expect(Buffer.concat(made.write().map(({ bytes }) => bytes)).toString("latin1")).toBe("second\0\0\0\u0006third.");
    expect(made.sender.queuedMessages).toBe(0);
    made.sender.take("fourth", 6, false);
    expect([made.sender.queuedMessages, made.sender.durable]).toEqual([1, 30]);
    made.sender.onPersisted(40);
    expect(made.write().map(({ offset }) => offset)).toEqual([30]);
    made.sender.onAccepted(40);
    expect([made.sender.queuedMessages, made.budget.taken]).toEqual([0, 0]);
  });

  test("holds only what is durable, all of which may have been written", () => {
    const { sender } = threeMessages();
    sender.take("fourth", 6, false);
    sender.end("final");
    const made = restored("messages", sender.snapshot(), 30);
    expect([made.sender.log.end, made.sender.highestSent, made.sender.endKind]).toEqual([30, 30, "none"]);
    expect(made.sender.undelivered().map(({ delivery }) => delivery)).toEqual(["maybe", "maybe"]);
  });

  test("has the end if that is durable: it may have been written too", () => {
    const { sender } = threeMessages();
    sender.end("moved");
    sender.onPersisted(31);
    const made = restored("messages", sender.snapshot(), 30);
    expect([made.sender.highestSent, made.sender.durable, made.sender.ended]).toEqual([31, 31, true]);
    expect(written(made)).toEqual([[30, 0, DATA_END_MOVED]]);
  });

  test("has no end that is not durable, though all bytes before it are", () => {
    const { sender } = threeMessages();
    sender.end("final");
    const made = restored("messages", sender.snapshot(), 30);
    expect([made.sender.endKind, made.sender.endAt, made.sender.durable]).toEqual(["none", Infinity, 30]);
    expect(made.sender.ended).toBe(false);
  });

  test("is copied: what becomes of its bytes afterwards does not change what is sent", () => {
    const large = sending("messages", { hasOutbox: true });
    large.take(10_000);
    large.sender.onPersisted(10_004);
    const snapshot = large.sender.snapshot();
    const made = restored("messages", snapshot, 4);
    snapshot.messages[0]?.payload.fill("x");
    expect(Buffer.concat(made.write().map(({ bytes }) => bytes))).toEqual(Buffer.alloc(10_000, "b"));
  });

  test("is taken where the peer has accepted a part of a message, and counts it as no message", () => {
    const { sender } = threeMessages();
    sender.onAccepted(17);
    const made = restored("messages", sender.snapshot(), 18);
    expect(Buffer.concat(made.write().map(({ bytes }) => bytes)).toString("latin1")).toBe("nd\0\0\0\u0006third.");
    expect(made.sender.undelivered().map(({ message }) => message.toString())).toEqual(["third."]);
    expect(made.sender.log.messageFrom(18)).toBe(20);
  });

  test("is taken of a byte stream, cut off where it is not durable", () => {
    const stream = sending("bytes", { hasOutbox: true });
    stream.sender.take("0123456789", 10, false);
    stream.sender.onPersisted(7);
    stream.write();
    stream.sender.onAccepted(3);
    const made = restored("bytes", stream.sender.snapshot(), 4);
    expect(Buffer.concat(made.write().map(({ bytes }) => bytes)).toString()).toBe("456");
    expect([made.sender.acked, made.sender.log.end, made.sender.highestSent]).toEqual([3, 7, 7]);
  });

  test("without an outbox everything taken is durable", () => {
    const { sender, take } = sending("bytes");
    take(10);
    expect(sender.snapshot().durable).toBe(10);
    sender.end("final");
    expect(sender.snapshot().durable).toBe(11);
  });

  test("of a sender that is done has its positions, and holds nothing", () => {
    const { sender } = threeMessages();
    sender.end("final");
    sender.onPersisted(31);
    sender.onAccepted(31);
    const made = sending("messages");
    const tombstone = sender.tombstone();
    expect(tombstone.messages).toEqual([]);
    made.sender.restoreTombstone(tombstone);
    const { acked, highestSent, endKind, endAt, ended, endAcked, log } = made.sender;
    expect([acked, highestSent, endKind, endAt, ended, endAcked]).toEqual([31, 30, "final", 30, true, true]);
    expect([log.memoryBytes, made.sender.undelivered()]).toEqual([0, []]);
    expect([made.sender.queuedBytes, made.sender.owedBytes]).toEqual([0, 0]);
  });

  test("is plain data, and later changes of the sender do not touch it", () => {
    const { sender } = threeMessages();
    const snapshot = sender.snapshot();
    const copy = structuredClone(snapshot);
    sender.onAccepted(30);
    sender.take("fourth", 6, false);
    expect(structuredClone(snapshot)).toEqual(copy);
    expect(new Sender("messages", new BlockPool(), new Account(0, new CountingBudget()), 1_000).snapshot()).toEqual({
      acked: 0,
      highestSent: 0,
      durable: 0,
      endKind: "none",
      endAt: Infinity,
      start: 0,
      rest: Buffer.alloc(0),
      messages: [],
    });
  });
});
