/** Messages that a sender has not delivered: its queue, and its report. */
import { describe, expect, test } from "vitest";
import { sending } from "./sending.ts";

describe("the queue", () => {
  test("is what was never written on any connection", () => {
    const { sender, write } = sending("messages");
    for (let n = 0; n < 5; n++) sender.take("0123456789", 10, false);
    expect([sender.queuedMessages, sender.queuedBytes]).toEqual([5, 70]);
    write(15);
    expect([sender.queuedMessages, sender.queuedBytes]).toEqual([3, 55]);
    sender.restart(0, Infinity);
    expect([sender.queuedMessages, sender.queuedBytes]).toEqual([3, 55]);
    write();
    expect([sender.queuedMessages, sender.queuedBytes]).toEqual([0, 0]);
    sender.end("final");
    write();
    expect([sender.queuedMessages, sender.queuedBytes]).toEqual([0, 0]);
  });

  test("counts right through many thousand messages, taken and written in turn", () => {
    const { sender, write } = sending("messages");
    let taken = 0;
    for (let round = 0; round < 60; round++) {
      for (let n = 0; n < 100; n++, taken++) sender.take("0123456789", 10, false);
      write(14 * 70);
      expect(sender.queuedMessages).toBe(taken - 70 * (round + 1));
    }
    write();
    expect(sender.queuedMessages).toBe(0);
  });
});

describe("a report", () => {
  test("a message of which a piece was written may have arrived, one that was never written has not been sent", () => {
    const { sender, write } = sending("messages");
    for (const text of ["one", "two", "three"]) sender.take(text, text.length, false);
    write(10);
    sender.onAccepted(7);
    expect(sender.undelivered()).toEqual([
      { message: Buffer.from("two"), delivery: "maybe", position: 14, end: 14 },
      { message: Buffer.from("three"), delivery: "not-sent", position: undefined, end: 23 },
    ]);
  });

  test("a message that was written up to its first byte, exclusively, has not been sent", () => {
    const { sender, write } = sending("messages");
    for (const text of ["one", "two"]) sender.take(text, text.length, false);
    write(7);
    expect(sender.undelivered().map(({ delivery }) => delivery)).toEqual(["maybe", "not-sent"]);
  });

  test("a message carried from a session in which it was written may have arrived, wherever this session stands", () => {
    const { sender } = sending("messages");
    sender.take("carried", 7, true);
    sender.carriedWritten = sender.log.end;
    sender.take("fresh", 5, false);
    expect(sender.undelivered()).toMatchObject([
      { delivery: "maybe", position: undefined },
      { delivery: "not-sent", position: undefined },
    ]);
  });

  test("stays when a new connection begins below what was written", () => {
    const { sender, write } = sending("messages");
    sender.take("one", 3, false);
    write();
    sender.restart(0, 0);
    expect(sender.undelivered()).toMatchObject([{ delivery: "maybe" }]);
  });

  test("a byte stream reports what is left of its pieces: one that was written in part may have arrived", () => {
    const { sender, write, take } = sending("bytes");
    take(10);
    write(4);
    sender.onAccepted(2);
    expect(sender.undelivered()).toEqual([{ message: Buffer.alloc(8, "b"), delivery: "maybe", position: 10, end: 10 }]);
  });
});
