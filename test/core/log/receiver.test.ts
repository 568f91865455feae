import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BlockPool } from "../../../src/core/log/blocks.ts";
import { FrameDecoder, frameMask } from "../../../src/core/wire/decoder.ts";
import {
  DATA_ACK_NOW,
  DATA_BLOCKED,
  DATA_END_FINAL,
  DATA_END_MOVED,
  type Mode,
} from "../../../src/core/wire/frames.ts";
import { ownChunk } from "../../../src/core/log/own-chunks.ts";
import { Receiver } from "../../../src/core/log/receiver.ts";
import { Sender } from "../../../src/core/log/sender.ts";
import { Allowance, Flight, RoundTrip } from "../../../src/core/log/window.ts";
import { runs } from "../../properties.ts";
import { ampleAccount, CountingBudget } from "../support.ts";

const MAX_MESSAGE_BYTES = 100;

// ── a sender and a receiver ───────────────────────────────────────────────────────────────────────────────────────────

type Operation =
  | { do: "send"; bytes: number }
  | { do: "write"; bytes: number }
  | { do: "deliver"; bytes: number }
  | { do: "read"; messages: number; accept: boolean }
  | { do: "state" }
  | { do: "hear" }
  | { do: "cut"; forget: boolean }
  | { do: "commit" }
  | { do: "end" };

const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("send" as const), bytes: fc.nat({ max: MAX_MESSAGE_BYTES }) }) },
  { weight: 6, arbitrary: fc.record({ do: fc.constant("write" as const), bytes: fc.integer({ min: 1, max: 300 }) }) },
  { weight: 8, arbitrary: fc.record({ do: fc.constant("deliver" as const), bytes: fc.integer({ min: 1, max: 200 }) }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("read" as const),
      messages: fc.integer({ min: 1, max: 4 }),
      accept: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("state" as const) }) },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("hear" as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("cut" as const), forget: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("commit" as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("end" as const) }) },
);

/** One direction of a session: what is written and what is stated are under way until they are delivered, or cut. */
class Direction {
  readonly sender: Sender;
  readonly receiver: Receiver;
  readonly budget: CountingBudget = new CountingBudget(500);
  readonly sent: Buffer[] = [];
  readonly got: Buffer[] = [];
  restarts = 0;
  #wire: Buffer = Buffer.alloc(0);
  #statements: Array<{ received: number; accepted: number; window: number }> = [];
  #decoder = new FrameDecoder(frameMask("data"));
  #flight = new Flight(new RoundTrip());
  /** What the sender was told it may write up to, on this connection. */
  #told = 0;
  readonly #window: Allowance;
  #committed = 0;

  /** `late`: what is accepted is committed only later, as with a store. */
  constructor(mode: Mode, late: boolean) {
    this.sender = new Sender(mode, new BlockPool(), ampleAccount(), Infinity);
    this.#window = new Allowance(MAX_MESSAGE_BYTES + 4, 600, this.budget);
    this.receiver = new Receiver(mode, MAX_MESSAGE_BYTES, this.#window);
    if (late) Object.defineProperty(this.receiver, "committed", { get: () => this.#committed });
    this.#connect();
  }

  run(step: Operation): void {
    switch (step.do) {
      case "send":
        if (this.sender.endKind === "none") this.#send(step.bytes);
        break;
      case "write":
        this.#write(step.bytes);
        break;
      case "deliver":
        this.#deliver(step.bytes);
        break;
      case "read":
        this.#read(step.messages, step.accept);
        break;
      case "state":
        this.#state();
        break;
      case "hear":
        this.#hear();
        break;
      case "cut":
        this.#cut(step.forget);
        break;
      case "commit":
        this.#committed = this.receiver.accepted;
        break;
      case "end":
        this.sender.end("final");
        break;
    }
    this.#check();
  }

  /** No more faults: everything is delivered, however little moves at a time. */
  heal(): void {
    this.sender.end("final");
    for (let quiet = 0; quiet < 2; quiet++) {
      const before = [this.sender.sentNow, this.sender.acked, this.receiver.received, this.receiver.accepted];
      this.run({ do: "write", bytes: 1_000 });
      this.run({ do: "deliver", bytes: this.#wire.length });
      this.run({ do: "read", messages: Infinity, accept: true });
      this.run({ do: "commit" });
      this.run({ do: "state" });
      while (this.#statements.length > 0) this.run({ do: "hear" });
      const after = [this.sender.sentNow, this.sender.acked, this.receiver.received, this.receiver.accepted];
      if (after.some((mark, at) => mark !== before[at])) quiet = -1;
    }
  }

  #send(bytes: number): void {
    const payload = Buffer.alloc(bytes, this.sent.length);
    this.sender.take(payload, bytes, false);
    this.sent.push(payload);
  }

  #write(bytes: number): void {
    const out: Buffer[] = [];
    const from = this.sender.sentNow;
    const something = this.sender.hasSomethingToWrite(this.#flight);
    const written = this.sender.write(out, bytes, this.#flight, 0);
    expect(written > 0).toBe(something);
    expect(this.sender.sentNow - from).toBe(written);
    if (written > 0)
      expect(Math.min(this.sender.sentNow, this.sender.log.end)).toBeLessThanOrEqual(Math.max(this.#told, from));
    this.#wire = Buffer.concat([this.#wire, ...out]);
  }

  #deliver(bytes: number): void {
    // As sockets do: each chunk is memory of its own.
    const chunk = Buffer.from(this.#wire.subarray(0, bytes));
    this.#wire = this.#wire.subarray(bytes);
    const problem = this.#decoder.push(chunk, {
      onFrame: () => expect.unreachable(),
      onData: (offset, data, flags) => expect(this.receiver.onData(offset, data, flags)).toBeUndefined(),
    });
    expect(problem).toBeUndefined();
  }

  #read(messages: number, accept: boolean): void {
    for (let read = 0; read < messages; read++) {
      const message = this.receiver.next();
      if (message === undefined) break;
      this.got.push(message);
    }
    if (accept) this.receiver.accept(this.receiver.handed);
  }

  #state(): void {
    const { received, committed } = this.receiver;
    this.#statements.push({ received, accepted: committed, window: this.receiver.statedWindow() });
  }

  #hear(): void {
    const heard = this.#statements.shift();
    if (heard === undefined) return;
    expect(heard.received).toBeLessThanOrEqual(this.sender.highestSent);
    const { sender } = this;
    sender.peerReceived = Math.max(sender.peerReceived, heard.received);
    sender.limit = this.#told = Math.max(sender.limit, heard.accepted + heard.window);
    sender.onAccepted(heard.accepted);
    this.#flight.onReceived(heard.received, 0);
  }

  #cut(forget: boolean): void {
    this.#wire = Buffer.alloc(0);
    this.#statements = [];
    this.#decoder = new FrameDecoder(frameMask("data"));
    this.#flight = new Flight(new RoundTrip());
    this.receiver.loseConnection();
    expect(this.receiver.grant).toBe(Math.max(this.receiver.received, this.receiver.accepted + this.#window.floor));
    if (forget) this.receiver.forget();
    this.restarts++;
    this.#connect();
  }

  #connect(): void {
    const { received, committed } = this.receiver;
    this.#window.growTo(150);
    this.receiver.restart();
    this.#told = committed + this.receiver.statedWindow();
    this.sender.restart(received, this.#told);
  }

  #check(): void {
    const { sender, receiver } = this;
    const end = sender.finalPosition;
    expect([0, sender.acked, sender.sentNow, sender.highestSent, end]).toEqual(
      [0, sender.acked, sender.sentNow, sender.highestSent, end].toSorted((a, b) => a - b),
    );
    const accepted = Math.min(receiver.accepted, receiver.endPosition);
    const marks = [accepted, receiver.handed, receiver.received, Math.max(receiver.grant, receiver.received)];
    expect(marks).toEqual(marks.toSorted((a, b) => a - b));
    expect(sender.acked).toBeLessThanOrEqual(receiver.committed);
    expect(receiver.committed).toBeLessThanOrEqual(receiver.accepted);
    expect(receiver.received).toBeLessThanOrEqual(sender.highestSent);
    // Beyond the credit nothing is received but an end, and what is held above the floor was taken from the budget.
    expect(receiver.received).toBeLessThanOrEqual(receiver.grant + 1);
    expect(receiver.grant - receiver.accepted - this.#window.floor).toBeLessThanOrEqual(this.budget.taken);
    expect(receiver.unacceptedBytes).toBeLessThanOrEqual(this.#window.size);
    expect(receiver.grant).toBeLessThanOrEqual(Math.max(receiver.received, receiver.committed + this.#window.size));
    expect(receiver.readableBytes).toBeLessThanOrEqual(receiver.unacceptedBytes);
  }
}

test.each<[mode: Mode, committed: "late" | "at once"]>([
  ["messages", "at once"],
  ["messages", "late"],
  ["bytes", "at once"],
  ["bytes", "late"],
])(
  "%s, committed %s, arrive once and in order, and are held in what is charged, whatever is cut, forgotten and resumed",
  (mode, committed) => {
    let restarts = 0;
    fc.assert(
      fc.property(fc.array(operation, { minLength: 10, maxLength: 80 }), (operations) => {
        const direction = new Direction(mode, committed === "late");
        for (const step of operations) direction.run(step);
        direction.heal();
        const { sender, receiver, sent, got } = direction;
        restarts += direction.restarts;
        if (mode === "messages") {
          expect(got).toEqual(sent);
        } else {
          expect(Buffer.concat(got)).toEqual(Buffer.concat(sent));
        }
        expect([receiver.endReached, receiver.endAccepted, sender.endAcked]).toEqual([true, true, true]);
        expect([receiver.accepted, sender.acked]).toEqual([sender.finalPosition, sender.finalPosition]);
        expect([receiver.readableBytes, receiver.unacceptedBytes, sender.unackedBytes]).toEqual([0, 0, 0]);
      }),
      { numRuns: runs(100) },
    );
    expect(restarts).toBeGreaterThan(20);
  },
);

test("a message is the same however its bytes are cut", () => {
  const payload = fc.uint8Array({ maxLength: MAX_MESSAGE_BYTES }).map((bytes) => Buffer.from(bytes));
  const pieces = fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1 });
  fc.assert(
    fc.property(fc.array(payload, { maxLength: 8 }), pieces, (payloads, sizes) => {
      const { receiver } = receiving("messages", 10_000);
      const bytes = encoded(...payloads);
      const got = [];
      for (let at = 0, piece = 0; at < bytes.length; piece++) {
        const size = sizes[piece % sizes.length] as number;
        expect(receiver.onData(at, Buffer.from(bytes.subarray(at, at + size)), 0)).toBeUndefined();
        at += size;
        for (let message = receiver.next(); message !== undefined; message = receiver.next()) got.push(message);
      }
      expect(got).toEqual(payloads);
      expect(receiver.handed).toBe(bytes.length);
    }),
  );
});

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

// ── forgetting and stopping ───────────────────────────────────────────────────────────────────────────────────────────

describe("what is accepted and not committed yet", () => {
  /** 60 bytes are accepted, 20 of them committed. */
  function committing(): ReturnType<typeof receiving> {
    const made = receiving("bytes", 100);
    Object.defineProperty(made.receiver, "committed", { get: () => 20, configurable: true });
    made.receiver.onData(0, Buffer.alloc(60), 0);
    made.receiver.next();
    made.receiver.accept(60);
    expect(made.receiver.accepted).toBe(60);
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
    const { receiver, window, budget } = receiving("bytes", 100, 400);
    let committed = 20;
    Object.defineProperty(receiver, "committed", { get: () => committed });
    window.growTo(400);
    receiver.statedWindow();
    receiver.onData(0, Buffer.alloc(250), 0);
    receiver.next();
    receiver.accept(250);
    receiver.onData(250, Buffer.alloc(130), 0);
    receiver.loseConnection();
    // Of 380 bytes 130 wait to be read, and are charged.
    expect([receiver.unacceptedBytes, window.size, budget.taken]).toEqual([130, 130, 30]);
    receiver.restart();
    // The peer is told of 150, which it has sent already, and waits.
    expect([receiver.committed + receiver.statedWindow(), receiver.grant]).toEqual([150, 380]);
    expect(receiver.onData(380, Buffer.alloc(1), 0)).toMatchObject({ code: "beyond-credit" });
    expect([window.size, budget.taken]).toEqual([130, 30]);
    committed = 250;
    expect([receiver.committed + receiver.statedWindow(), receiver.grant]).toEqual([380, 380]);
  });

  test("keeps the direction open, its end included", () => {
    const { receiver } = committing();
    receiver.onData(60, Buffer.alloc(0), DATA_END_FINAL);
    expect([receiver.accepted, receiver.endAccepted]).toEqual([61, false]);
    Object.defineProperty(receiver, "committed", { get: () => 61 });
    expect(receiver.endAccepted).toBe(true);
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

/** A receiver on a connection on which `window` bytes of credit were stated. */
function receiving(
  mode: Mode,
  window: number,
  most: number = window,
): { receiver: Receiver; window: Allowance; budget: CountingBudget } {
  const budget = new CountingBudget();
  const allowance = new Allowance(window, most, budget);
  const receiver = new Receiver(mode, MAX_MESSAGE_BYTES, allowance);
  receiver.statedWindow();
  return { receiver, window: allowance, budget };
}

/** Messages as they stand in a log. */
function encoded(...payloads: readonly Buffer[]): Buffer {
  return Buffer.concat(
    payloads.flatMap((payload) => {
      const prefix = Buffer.alloc(4);
      prefix.writeUInt32BE(payload.length);
      return [prefix, payload];
    }),
  );
}

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
