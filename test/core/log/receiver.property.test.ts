import fc from "fast-check";
import { expect, test } from "vitest";
import { BlockPool } from "../../../src/core/log/blocks.ts";
import { FrameDecoder } from "../../../src/core/wire/decoder.ts";
import { frameMask } from "../../../src/core/wire/frame-rules.ts";
import type { Mode } from "../../../src/core/wire/frames.ts";
import { Receiver } from "../../../src/core/log/receiver.ts";
import { Sender } from "../../../src/core/log/sender.ts";
import { Allowance, Flight, RoundTrip } from "../../../src/core/log/window.ts";
import { runs } from "../../properties.ts";
import { ampleAccount, CountingBudget } from "../support.ts";
import { encoded, MAX_MESSAGE_BYTES, receiving } from "./receiving.ts";

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
  readonly #late: boolean;

  /** `late`: what is accepted is committed later, as with a store, and what is taken is persisted later. */
  constructor(mode: Mode, late: boolean) {
    this.sender = new Sender(mode, new BlockPool(), ampleAccount(), Infinity, late);
    this.#window = new Allowance(MAX_MESSAGE_BYTES + 4, 600, this.budget);
    this.#late = late;
    this.receiver = new Receiver(mode, MAX_MESSAGE_BYTES, this.#window, late);
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
        if (!this.#late) break;
        this.receiver.onCommitted(this.receiver.accepted);
        this.sender.onPersisted(this.sender.finalPosition);
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
    if (this.#late) expect(sender.highestSent).toBeLessThanOrEqual(sender.durable);
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
