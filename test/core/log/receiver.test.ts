import { describe, expect, test } from "vitest";
import { DATA_BLOCKED, DATA_END_FINAL, DATA_END_MOVED } from "../../../src/core/wire/frames.ts";
import { ownChunk } from "../../../src/core/wire/own-chunks.ts";
import { Receiver } from "../../../src/core/log/receiver.ts";
import { Allowance } from "../../../src/core/log/window.ts";
import { CountingBudget } from "../support.ts";
import { encoded, MAX_MESSAGE_BYTES, receiving } from "./receiving.ts";

// ── what a peer may not do ────────────────────────────────────────────────────────────────────────────────────────────

describe("a fault of the peer's", () => {
  test("bytes above what was received: a gap", () => {
    const { receiver } = receiving("bytes", 100);
    receiver.onData(0, Buffer.alloc(10), 0);
    expect(receiver.onData(11, Buffer.alloc(1), 0)).toMatchObject({ code: "gap" });
    expect(receiver.received).toBe(10);
  });

  test("bytes before any credit was stated", () => {
    const receiver = new Receiver("bytes", 10, new Allowance(100, 100, new CountingBudget()));
    expect(receiver.onData(0, Buffer.alloc(1), 0)).toMatchObject({ code: "beyond-credit" });
  });

  test("bytes beyond the credit, by a single one", () => {
    const { receiver } = receiving("bytes", 100);
    expect(receiver.onData(0, Buffer.alloc(100), 0)).toBeUndefined();
    expect(receiver.onData(100, Buffer.alloc(1), 0)).toMatchObject({ code: "beyond-credit" });
    expect(receiver.received).toBe(100);
  });

  test("bytes beyond the end", () => {
    const { receiver } = receiving("bytes", 100);
    receiver.onData(0, Buffer.alloc(10), DATA_END_FINAL);
    expect(receiver.onData(10, Buffer.alloc(1), 0)).toMatchObject({ code: "beyond-credit" });
    expect(receiver.onData(11, Buffer.alloc(1), 0)).toMatchObject({ code: "beyond-credit" });
    expect(receiver.received).toBe(11);
  });

  test("an end below what was received", () => {
    const { receiver } = receiving("bytes", 100);
    receiver.onData(0, Buffer.alloc(10), 0);
    expect(receiver.onData(0, Buffer.alloc(9), DATA_END_FINAL)).toMatchObject({ code: "beyond-credit" });
    expect(receiver.endKind).toBe("none");
  });

  test("a second end elsewhere", () => {
    const { receiver } = receiving("bytes", 100);
    receiver.onData(0, Buffer.alloc(10), DATA_END_FINAL);
    expect(receiver.onData(0, Buffer.alloc(9), DATA_END_FINAL)).toMatchObject({ code: "beyond-credit" });
    expect(receiver.onData(10, Buffer.alloc(0), DATA_END_FINAL)).toBeUndefined();
  });

  test.each([MAX_MESSAGE_BYTES + 1, 0x7fff_ffff, 0xffff_ffff])("a message of %d bytes is announced", (bytes) => {
    const { receiver } = receiving("messages", 1_000);
    const prefix = Buffer.alloc(4);
    prefix.writeUInt32BE(bytes);
    receiver.onData(0, prefix.subarray(0, 1), 0);
    expect(receiver.next()).toBeUndefined();
    receiver.onData(1, prefix.subarray(1), 0);
    expect([receiver.next(), receiver.problem]).toMatchObject([undefined, { code: "oversized" }]);
  });

  test("its direction ends in the middle of a message: the consumer would wait for ever", () => {
    const { receiver } = receiving("messages", 100);
    receiver.onData(0, encoded(Buffer.alloc(20)).subarray(0, 15), DATA_END_FINAL);
    expect([receiver.next(), receiver.problem]).toMatchObject([undefined, { code: "bad-frame" }]);
  });
});

// ── what was received before ──────────────────────────────────────────────────────────────────────────────────────────

describe("an overlap", () => {
  test("is dropped, whole or in part, also where it lies beyond the credit of this connection", () => {
    const { receiver } = receiving("bytes", 100);
    receiver.onData(0, Buffer.from("0123456789"), 0);
    expect(receiver.onData(0, Buffer.from("01234"), 0)).toBeUndefined();
    expect(receiver.onData(5, Buffer.from("56789abc"), 0)).toBeUndefined();
    expect(readAll(receiver)).toBe("0123456789abc");
    receiver.grant = 3;
    expect(receiver.onData(0, Buffer.from("01234"), 0)).toBeUndefined();
  });

  test("of exactly what was received leaves nothing to read, and needs no credit", () => {
    const { receiver } = receiving("bytes", 100);
    receiver.onData(0, Buffer.from("0123456789"), 0);
    receiver.next();
    receiver.grant = 3;
    expect(receiver.onData(0, Buffer.from("0123456789"), 0)).toBeUndefined();
    expect(receiver.next()).toBeUndefined();
    expect(receiver.received).toBe(10);
  });

  test("with the end still brings the end", () => {
    const { receiver } = receiving("bytes", 100);
    receiver.onData(0, Buffer.from("0123456789"), 0);
    expect(receiver.onData(4, Buffer.from("456789"), DATA_END_MOVED)).toBeUndefined();
    expect([receiver.endKind, receiver.endPosition, receiver.received]).toEqual(["moved", 10, 11]);
    expect(receiver.onData(4, Buffer.from("456789"), DATA_END_MOVED)).toBeUndefined();
    expect(receiver.received).toBe(11);
  });

  test("with the end of the other kind changes nothing: the first one counts", () => {
    const { receiver } = receiving("bytes", 100);
    receiver.onData(0, Buffer.from("0123456789"), DATA_END_FINAL);
    expect(receiver.onData(10, Buffer.alloc(0), DATA_END_MOVED)).toBeUndefined();
    expect([receiver.endKind, receiver.endPosition, receiver.received]).toEqual(["final", 10, 11]);
  });
});

// ── the end ───────────────────────────────────────────────────────────────────────────────────────────────────────────

describe("the end", () => {
  test("needs no credit", () => {
    const { receiver } = receiving("bytes", 100);
    expect(receiver.onData(0, Buffer.alloc(100), DATA_END_FINAL)).toBeUndefined();
    expect([receiver.received, receiver.grant]).toEqual([101, 100]);
  });

  test("is reached when everything before it was handed out, and accepted by itself when that is accepted", () => {
    const { receiver } = receiving("messages", 100);
    receiver.onData(0, encoded(Buffer.from("last")), DATA_END_FINAL);
    expect([receiver.endReached, receiver.endAccepted]).toEqual([false, false]);
    receiver.next();
    expect([receiver.endReached, receiver.endAccepted, receiver.accepted]).toEqual([true, false, 0]);
    expect(receiver.accept(8)).toBe("urgent");
    expect([receiver.endAccepted, receiver.accepted, receiver.handed]).toEqual([true, 9, 8]);
  });

  test("that comes while the last message is held is not accepted before that is", () => {
    const { receiver } = receiving("messages", 100);
    receiver.onData(0, encoded(Buffer.from("last")), 0);
    receiver.next();
    receiver.onData(8, Buffer.alloc(0), DATA_END_FINAL);
    expect([receiver.endReached, receiver.endAccepted, receiver.accepted]).toEqual([true, false, 0]);
    receiver.accept(8);
    expect([receiver.endAccepted, receiver.accepted]).toEqual([true, 9]);
  });

  test("that comes after everything was accepted is accepted at once, an end of nothing too", () => {
    for (const bytes of [0, 10]) {
      const { receiver } = receiving("bytes", 100);
      if (bytes > 0) receiver.onData(0, Buffer.alloc(bytes), 0);
      receiver.next();
      receiver.accept(bytes);
      receiver.onData(bytes, Buffer.alloc(0), DATA_END_FINAL);
      expect([receiver.endReached, receiver.endAccepted, receiver.accepted]).toEqual([true, true, bytes + 1]);
      expect([receiver.readableBytes, receiver.unacceptedBytes]).toEqual([0, 0]);
    }
  });
});

// ── credit ────────────────────────────────────────────────────────────────────────────────────────────────────────────

describe("the window", () => {
  test("widens for a sender that is blocked by it, if our consumer keeps up", () => {
    const { receiver, window } = receiving("bytes", 100, 400);
    receiver.onData(0, Buffer.alloc(100), DATA_BLOCKED);
    expect(window.size).toBe(100);
    receiver.next();
    receiver.accept(100);
    receiver.statedWindow();
    receiver.onData(100, Buffer.alloc(50), DATA_BLOCKED);
    expect(window.size).toBe(200);
    expect([receiver.statedWindow(), receiver.grant]).toEqual([200, 300]);
  });

  test("is full when all credit is used and our consumer is what the peer waits for", () => {
    const { receiver } = receiving("bytes", 100);
    receiver.onData(0, Buffer.alloc(99), 0);
    expect(receiver.isFull).toBe(false);
    receiver.onData(99, Buffer.alloc(1), 0);
    expect(receiver.isFull).toBe(true);
    receiver.next();
    receiver.next();
    expect(receiver.isFull).toBe(true);
    receiver.accept(100);
    expect([receiver.isFull, receiver.grant]).toEqual([false, 100]);
    receiver.statedWindow();
    receiver.onData(100, Buffer.alloc(100), 0);
    expect(receiver.isFull).toBe(true);
    receiver.stop();
    expect(receiver.isFull).toBe(false);
  });

  test("is as good as full when the peer can keep no more until our consumer accepts", () => {
    const { receiver } = receiving("bytes", 100);
    receiver.onData(0, Buffer.alloc(50), DATA_BLOCKED);
    expect(receiver.isFull).toBe(true);
    receiver.onData(50, Buffer.alloc(10), 0);
    expect(receiver.isFull).toBe(false);
  });

  test("falls on a cut to what is held, or to the floor, and gives back the rest", () => {
    const { receiver, window, budget } = receiving("bytes", 100, 800);
    window.grow();
    window.grow();
    receiver.statedWindow();
    receiver.onData(0, Buffer.alloc(150), 0);
    expect([receiver.grant, budget.taken]).toEqual([400, 300]);
    receiver.loseConnection();
    expect([receiver.grant, window.size, budget.taken]).toEqual([150, 150, 50]);
    receiver.next();
    receiver.accept(150);
    receiver.loseConnection();
    expect([receiver.grant, window.size, budget.taken]).toEqual([250, 100, 0]);
  });

  test("is given anew on a new connection, whatever was given before", () => {
    const { receiver } = receiving("bytes", 100, 800);
    receiver.onData(0, Buffer.alloc(60), 0);
    receiver.grant = 5_000;
    receiver.restart();
    expect(receiver.grant).toBe(100);
  });
});

describe("forgetting", () => {
  test("goes back to what was handed out, never below: no message is handed out twice", () => {
    const { receiver } = receiving("messages", 1_000);
    const bytes = encoded(Buffer.from("one"), Buffer.from("two"), Buffer.from("three"));
    receiver.onData(0, bytes, DATA_END_FINAL);
    expect(receiver.next()).toEqual(Buffer.from("one"));
    receiver.loseConnection();
    receiver.forget();
    expect([receiver.accepted, receiver.handed, receiver.received, receiver.endKind]).toEqual([0, 7, 7, "none"]);
    expect(receiver.readableBytes).toBe(0);
    receiver.restart();
    receiver.onData(7, bytes.subarray(7), DATA_END_FINAL);
    expect([receiver.next(), receiver.next(), receiver.next()]).toEqual([
      Buffer.from("two"),
      Buffer.from("three"),
      undefined,
    ]);
    expect(receiver.endReached).toBe(true);
  });

  test("keeps an end with nothing before it that waits", () => {
    const { receiver } = receiving("bytes", 100);
    receiver.onData(0, Buffer.alloc(10), DATA_END_MOVED);
    receiver.next();
    receiver.loseConnection();
    receiver.forget();
    expect([receiver.received, receiver.endKind, receiver.endReached]).toEqual([11, "moved", true]);
  });
});

describe("a reader that stopped", () => {
  test("accepts nothing more, holds nothing, and still counts what arrives", () => {
    const { receiver } = receiving("messages", 100);
    receiver.onData(0, encoded(Buffer.from("one"), Buffer.from("two")), 0);
    receiver.next();
    receiver.accept(7);
    receiver.stop();
    expect(receiver.next()).toBeUndefined();
    expect(receiver.accept(14)).toBe("nothing");
    receiver.onData(14, encoded(Buffer.from("three")), DATA_END_FINAL);
    expect([receiver.received, receiver.accepted, receiver.endAccepted]).toEqual([24, 7, false]);
    expect(receiver.next()).toBeUndefined();
    receiver.forget();
    expect(receiver.received).toBe(24);
  });

  test("does not accept an end either, even if everything before it is accepted", () => {
    const { receiver } = receiving("bytes", 100);
    receiver.stop();
    receiver.onData(0, Buffer.alloc(0), DATA_END_FINAL);
    expect([receiver.received, receiver.accepted, receiver.endAccepted]).toEqual([1, 0, false]);
  });
});

function readAll(receiver: Receiver): string {
  let text = "";
  for (let bytes = receiver.next(); Buffer.isBuffer(bytes); bytes = receiver.next()) text += bytes.toString();
  return text;
}

describe("what becomes of the memory of a chunk of our own", () => {
  const large = Buffer.alloc(9_996);
  const small = Buffer.alloc(10);

  /** Hands out what lies in the chunks, which end at `ends`; answers which of them are kept, and which are given back. */
  function fates(messages: readonly Buffer[], ends: readonly number[]): Array<"kept" | "still there" | "given back"> {
    const receiver = new Receiver("messages", 10_000, new Allowance(40_000, 40_000, new CountingBudget()));
    receiver.statedWindow();
    const bytes = encoded(...messages);
    const kept = new Set<ArrayBufferLike>();
    const chunks = ends.map((end, n) => Buffer.from(new Uint8Array(bytes.subarray(ends[n - 1] ?? 0, end)).buffer));
    for (const [n, chunk] of chunks.entries()) {
      ownChunk(chunk.buffer);
      receiver.onData(ends[n - 1] ?? 0, chunk, 0);
      receiver.handOut(
        () => true,
        (memory) => kept.add(memory),
        Infinity,
      );
    }
    expect(receiver.handed).toBe(bytes.length);
    return chunks.map(({ buffer }) => {
      if (buffer.byteLength === 0) return "given back";
      return kept.has(buffer) ? "kept" : "still there";
    });
  }

  test("all of it was copied into messages: it is given back", () => {
    const all = fates([large, large, large], [9_000, 19_000, 27_000, 30_000]);
    expect(all).toEqual(["given back", "given back", "given back", "given back"]);
  });

  test("a message was handed out of it: it is somebody's, though the rest was copied", () => {
    expect(fates([small, large, small, large, small], [5_000, 10_020, 20_042])).toEqual(["kept", "given back", "kept"]);
  });

  test("a message is all that there is in it: it goes with that", () => {
    expect(fates([large, large], [10_000, 20_000])).toEqual(["still there", "still there"]);
  });
});
