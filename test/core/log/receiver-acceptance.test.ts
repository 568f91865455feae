/** Acceptance by a receiver's consumer: told to the sender, ahead of what was handed out, and committed later. */
import { describe, expect, test } from "vitest";
import { DATA_ACK_NOW, DATA_END_FINAL } from "../../../src/core/wire/frames.ts";
import { encoded, receiving } from "./receiving.ts";

// ── acceptance ────────────────────────────────────────────────────────────────────────────────────────────────────────

describe("acceptance", () => {
  test("is told at once when a quarter of the window is to be given anew, else later, and not at all when nothing is", () => {
    const { receiver } = receiving("bytes", 100);
    receiver.onData(0, Buffer.alloc(100), 0);
    receiver.next();
    expect(receiver.accept(24)).toBe("later");
    expect(receiver.accept(24)).toBe("nothing");
    expect(receiver.accept(10)).toBe("nothing");
    expect(receiver.accept(25)).toBe("urgent");
    expect([receiver.accepted, receiver.statedWindow(), receiver.grant]).toEqual([25, 100, 125]);
    expect(receiver.accept(30)).toBe("later");
  });

  test("that the sender waits for is told at once, once", () => {
    const { receiver } = receiving("bytes", 100);
    receiver.onData(0, Buffer.alloc(3), DATA_ACK_NOW);
    receiver.onData(3, Buffer.alloc(3), 0);
    receiver.next();
    receiver.next();
    expect(receiver.accept(2)).toBe("later");
    expect(receiver.accept(3)).toBe("urgent");
    expect(receiver.accept(4)).toBe("later");
  });

  test("does not give credit until it is stated", () => {
    const { receiver } = receiving("bytes", 100);
    receiver.onData(0, Buffer.alloc(100), 0);
    receiver.next();
    receiver.accept(100);
    expect(receiver.onData(100, Buffer.alloc(1), 0)).toMatchObject({ code: "beyond-credit" });
    receiver.statedWindow();
    expect(receiver.onData(100, Buffer.alloc(1), 0)).toBeUndefined();
  });
});

describe("acceptance ahead of what was handed out", () => {
  test("by whoever is being handed a message skips what comes after it, and no more", () => {
    for (const [skipsAt, skips] of [
      [0, 2],
      [1, 2],
      [3, 1],
      [5, 4],
      [1, 9],
    ] as const) {
      const { receiver } = receiving("messages", 1_000);
      const messages = Array.from({ length: 10 }, (_, i) => Buffer.from(`m${i}`));
      receiver.onData(0, encoded(...messages.slice(0, 8)), 0);
      const got: string[] = [];
      const hand = (message: Buffer): boolean => {
        if (String(message) === `m${skipsAt}`) receiver.accept(receiver.handed + skips * 6);
        return got.push(String(message)) > 0;
      };
      receiver.handOut(hand, () => {}, Infinity);
      receiver.onData(48, encoded(...messages.slice(8)), 0);
      receiver.handOut(hand, () => {}, Infinity);
      const expected = messages.map(String).filter((_, i) => i <= skipsAt || i > skipsAt + skips);
      expect(got).toEqual(expected);
      expect([receiver.handed, receiver.readableBytes, receiver.problem]).toEqual([60, 0, undefined]);
    }
  });

  test("in parts, with the memory that each lies in", () => {
    const { receiver } = receiving("messages", 1_000);
    const texts = ["a", "b", "c", "d", "e", "f"];
    const messages = texts.map((text) => Buffer.from(text));
    for (const some of [messages.slice(0, 3), messages.slice(3, 5), messages.slice(5)]) {
      receiver.onData(receiver.received, encoded(...some), 0);
    }
    const found = new Set<ArrayBufferLike>();
    const got: string[] = [];
    const hand = (message: Buffer): boolean => {
      expect(found.has(message.buffer)).toBe(true);
      return got.push(String(message)) > 0;
    };
    const parts: number[] = [];
    while (receiver.handOut(hand, (memory) => found.add(memory), 2)) parts.push(got.length);
    expect(got).toEqual(texts);
    // After the last two nothing is left.
    expect(parts).toEqual([2, 4]);
  });

  test("skips what is here, and what follows as it arrives, and hands out what comes after", () => {
    const { receiver } = receiving("messages", 100);
    const bytes = encoded(Buffer.from("known"), Buffer.from("known too"), Buffer.from("new"));
    receiver.onData(0, bytes.subarray(0, 12), 0);
    receiver.accept(22);
    expect([receiver.handed, receiver.accepted, receiver.readableBytes]).toEqual([12, 12, 0]);
    for (let at = 12; at < bytes.length; at++) receiver.onData(at, bytes.subarray(at, at + 1), 0);
    expect([receiver.handed, receiver.accepted]).toEqual([22, 22]);
    expect(receiver.next()).toEqual(Buffer.from("new"));
  });

  test("skips a part of what came in one piece", () => {
    const { receiver } = receiving("bytes", 100);
    receiver.onData(0, Buffer.from("0123456789"), 0);
    receiver.accept(4);
    expect([receiver.handed, receiver.accepted]).toEqual([4, 4]);
    expect(receiver.next()).toEqual(Buffer.from("456789"));
    expect([receiver.handed, receiver.accepted]).toEqual([10, 4]);
  });

  test("reaches the end with what it skips", () => {
    const { receiver } = receiving("messages", 100);
    receiver.accept(12);
    receiver.onData(0, encoded(Buffer.from("12345678")), DATA_END_FINAL);
    expect([receiver.endReached, receiver.endAccepted, receiver.accepted]).toEqual([true, true, 13]);
  });

  test("goes on after a cut in the middle of a message that is skipped", () => {
    const { receiver } = receiving("messages", 100);
    const bytes = encoded(Buffer.from("known"), Buffer.from("new"));
    receiver.accept(9);
    receiver.onData(0, bytes.subarray(0, 6), 0);
    expect(receiver.accepted).toBe(6);
    receiver.loseConnection();
    receiver.forget();
    receiver.restart();
    expect(receiver.received).toBe(6);
    receiver.onData(6, bytes.subarray(6), 0);
    expect(receiver.next()).toEqual(Buffer.from("new"));
  });

  test("is told to the peer", () => {
    const { receiver } = receiving("messages", 100);
    receiver.onData(0, encoded(Buffer.alloc(50)), 0);
    expect(receiver.accept(54)).toBe("urgent");
    expect(receiver.accepted).toBe(54);
  });
});

// ── forgetting and stopping ───────────────────────────────────────────────────────────────────────────────────────────

describe("what is accepted and not committed yet", () => {
  /** 60 bytes are accepted, 20 of them committed. */
  function committing(): ReturnType<typeof receiving> {
    const made = receiving("bytes", 100, 100, true);
    made.receiver.onData(0, Buffer.alloc(60), 0);
    made.receiver.next();
    expect(made.receiver.accept(60)).toBe("nothing");
    made.receiver.onCommitted(20);
    expect([made.receiver.accepted, made.receiver.committed]).toEqual([60, 20]);
    return made;
  }

  test("brings no credit: what the peer reads out of what is stated is what it may send", () => {
    const { receiver } = committing();
    expect(receiver.committed + receiver.statedWindow()).toBe(120);
    expect(receiver.grant).toBe(120);
    expect(receiver.onData(60, Buffer.alloc(61), 0)).toMatchObject({ code: "beyond-credit" });
    expect(receiver.onData(60, Buffer.alloc(60), 0)).toBeUndefined();
  });

  test("nor on a new connection", () => {
    const { receiver } = committing();
    receiver.loseConnection();
    receiver.restart();
    expect(receiver.grant).toBe(120);
    expect(receiver.onData(60, Buffer.alloc(61), 0)).toMatchObject({ code: "beyond-credit" });
  });

  test("is held by nobody: a cut gives back the memory that it took, and it stands for no credit", () => {
    const { receiver, window, budget } = receiving("bytes", 100, 400, true);
    window.growTo(400);
    receiver.statedWindow();
    receiver.onData(0, Buffer.alloc(250), 0);
    receiver.next();
    receiver.accept(250);
    receiver.onCommitted(20);
    receiver.onData(250, Buffer.alloc(130), 0);
    receiver.loseConnection();
    // Of 380 bytes 130 wait to be read, and are charged.
    expect([receiver.unacceptedBytes, window.size, budget.taken]).toEqual([130, 130, 30]);
    receiver.restart();
    // The peer is told of 150, which it has sent already, and waits.
    expect([receiver.committed + receiver.statedWindow(), receiver.grant]).toEqual([150, 380]);
    expect(receiver.onData(380, Buffer.alloc(1), 0)).toMatchObject({ code: "beyond-credit" });
    expect([window.size, budget.taken]).toEqual([130, 30]);
    receiver.onCommitted(250);
    expect([receiver.committed + receiver.statedWindow(), receiver.grant]).toEqual([380, 380]);
  });

  test("keeps the direction open, its end included", () => {
    const { receiver } = committing();
    receiver.onData(60, Buffer.alloc(0), DATA_END_FINAL);
    expect([receiver.accepted, receiver.endAccepted]).toEqual([61, false]);
    receiver.onCommitted(60);
    expect(receiver.endAccepted).toBe(false);
    expect(receiver.onCommitted(61)).toBe("urgent");
    expect(receiver.endAccepted).toBe(true);
  });

  test("is told at once when the peer waits for it, or much credit has come together", () => {
    const { receiver } = committing();
    receiver.onData(60, Buffer.alloc(10), DATA_ACK_NOW);
    receiver.next();
    receiver.accept(70);
    receiver.statedWindow();
    expect(receiver.onCommitted(44)).toBe("later");
    expect(receiver.onCommitted(45)).toBe("urgent");
    expect(receiver.onCommitted(70)).toBe("urgent");
    const other = committing();
    other.receiver.statedWindow();
    other.receiver.onData(60, Buffer.alloc(10), DATA_ACK_NOW);
    other.receiver.next();
    other.receiver.accept(70);
    other.receiver.statedWindow();
    expect(other.receiver.onCommitted(30)).toBe("later");
  });

  test("an answer of the store that comes late takes nothing back, and asks for no ACK", () => {
    const { receiver } = committing();
    expect(receiver.onCommitted(20)).toBe("nothing");
    expect(receiver.onCommitted(10)).toBe("nothing");
    expect(receiver.committed).toBe(20);
  });

  test("what was never accepted cannot be committed, and without a store nothing can", () => {
    expect(() => committing().receiver.onCommitted(61)).toThrow(RangeError);
    const { receiver } = receiving("bytes", 100);
    receiver.onData(0, Buffer.alloc(60), 0);
    receiver.next();
    receiver.accept(60);
    expect(() => receiver.onCommitted(60)).toThrow(RangeError);
    expect(receiver.committed).toBe(60);
  });
});

describe("a receiver that goes on from a snapshot", () => {
  test("has what was committed, and asks for the rest again", () => {
    const { receiver } = receiving("bytes", 100, 100, true);
    receiver.onData(0, Buffer.from("0123456789"), 0);
    receiver.next();
    receiver.accept(10);
    receiver.onCommitted(4);
    const snapshot = receiver.snapshot();
    const next = receiving("bytes", 100, 400, true);
    next.window.growTo(400);
    next.receiver.restore(snapshot);
    const { received, handed, accepted, committed, endKind, grant } = next.receiver;
    expect([received, handed, accepted, committed, endKind, grant]).toEqual([4, 4, 4, 4, "none", 104]);
    expect([next.window.size, next.budget.taken]).toEqual([100, 0]);
    next.receiver.restart();
    expect(next.receiver.onData(4, Buffer.from("456789"), 0)).toBeUndefined();
    expect(next.receiver.next()?.toString()).toBe("456789");
  });

  test("has an end that was committed, and no other", () => {
    const { receiver } = receiving("bytes", 100, 100, true);
    receiver.onData(0, Buffer.alloc(10), DATA_END_FINAL);
    receiver.next();
    receiver.accept(10);
    receiver.onCommitted(10);
    const early = receiving("bytes", 100, 100, true);
    early.receiver.restore(receiver.snapshot());
    expect([early.receiver.endKind, early.receiver.endReached, early.receiver.received]).toEqual(["none", false, 10]);
    receiver.onCommitted(11);
    const late = receiving("bytes", 100, 100, true);
    late.receiver.restore(receiver.snapshot());
    expect([late.receiver.endKind, late.receiver.endReached, late.receiver.endAccepted]).toEqual(["final", true, true]);
    expect([late.receiver.handed, late.receiver.received]).toEqual([10, 11]);
  });
});
