import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { BlockPool } from "../../../src/core/log/blocks.ts";
import { FrameDecoder, frameMask } from "../../../src/core/wire/decoder.ts";
import {
  DATA_ACK_NOW,
  DATA_BLOCKED,
  DATA_END_FINAL,
  DATA_END_MOVED,
  encodePositionsFrame,
  type Mode,
  type Positions,
} from "../../../src/core/wire/frames.ts";
import { NO_INCARNATION } from "../../../src/core/session/proof.ts";
import { Session, type SessionLimits, windowFloorBytes } from "../../../src/core/session/session.ts";
import { Flight, RoundTrip } from "../../../src/core/log/window.ts";
import { runs } from "../../properties.ts";
import { CountingBudget, decodedData } from "../support.ts";

const KEYS = { id: "11".repeat(16), secret: "secret" };
const MIB = 1_048_576;

function limits(change: Partial<SessionLimits> = {}): SessionLimits {
  return {
    mode: "messages",
    maxMessageBytes: 1_000,
    maxBatchBytes: 0,
    window: { minBytes: 2_000, maxBytes: 8_000 },
    windowBudget: new CountingBudget(),
    logBudget: new CountingBudget(),
    blocks: new BlockPool(),
    ...change,
  };
}

/** What a peer states that has received and accepted so much; the rest as at the beginning. */
function stated(received: number, accepted: number = received, change: Partial<Positions> = {}): Positions {
  return { received, accepted, window: 10_000, stop: false, done: false, ...change };
}

/** A session on a connection that has written `written` bytes: messages of 96 bytes, 100 with their lengths. */
function sending(written: number, change: Partial<SessionLimits> = {}): Session {
  const session = new Session(KEYS, limits(change));
  expect(session.adopt(stated(0), false)).toBeUndefined();
  for (let at = 0; at < written; at += 100) session.sender.take(Buffer.alloc(96), 96, false);
  expect(write(session).at(-1)?.offset ?? 0).toBeLessThanOrEqual(written);
  expect(session.sender.highestSent).toBe(written);
  return session;
}

function write(session: Session, maxBytes = Infinity): ReturnType<typeof decodedData> {
  const out: Buffer[] = [];
  session.write(out, maxBytes, new Flight(new RoundTrip()), 0);
  return decodedData(out);
}

describe("a new connection is adopted", () => {
  test.each([0, 100, 399, 400])(
    "where the peer has received %d of 400 bytes sent: the rest is sent again",
    (received) => {
      const session = sending(400);
      session.loseConnection();
      expect(session.adopt(stated(received, 0), false)).toBeUndefined();
      expect(session.sender.sentNow).toBe(received);
      expect(write(session).map(({ offset, bytes }) => [offset, bytes.length])).toEqual(
        received === 400 ? [] : [[received, 400 - received]],
      );
      expect(session.sender.highestSent).toBe(400);
    },
  );

  test("where the peer has forgotten what it had reported received: received may go back to what is acked", () => {
    const session = sending(400);
    expect(session.onAck(stated(400, 100))).toBe(true);
    session.loseConnection();
    expect(session.adopt(stated(100, 100), false)).toBeUndefined();
    expect([session.sender.sentNow, session.sender.peerReceived]).toEqual([100, 100]);
  });

  test.each([false, true])("but not where the peer has received what was never sent (late: %s)", (late) => {
    const session = sending(400);
    session.sender.take(Buffer.alloc(96), 96, false);
    session.loseConnection();
    const before = marks(session);
    expect(session.adopt(stated(401, 0), late)).toMatchObject({ code: "impossible-position" });
    expect(marks(session)).toEqual(before);
  });

  test("but not where the peer has not received what it accepted before: it is not the session we know", () => {
    const session = sending(400);
    session.onAck(stated(300, 200));
    session.loseConnection();
    const before = marks(session);
    expect(session.adopt(stated(199, 0), false)).toMatchObject({ code: "impossible-position" });
    expect(marks(session)).toEqual(before);
    expect(session.adopt(stated(200, 0), false)).toBeUndefined();
  });

  test("by a COMMIT that ACKs on the old connection have overtaken: it goes on from what is acked", () => {
    const session = sending(400);
    session.onAck(stated(300, 200));
    expect(session.adopt(stated(0, 0), true)).toBeUndefined();
    const { acked, sentNow, peerReceived, highestSent } = session.sender;
    expect({ acked, sentNow, peerReceived, highestSent }).toEqual({
      acked: 200,
      sentNow: 200,
      peerReceived: 200,
      highestSent: 400,
    });
    expect(write(session)[0]?.offset).toBe(200);
  });

  test("by a COMMIT that is below what the peer reported, but not below what is acked", () => {
    const session = sending(400);
    session.onAck(stated(400, 200));
    expect(session.adopt(stated(250, 200), true)).toBeUndefined();
    expect([session.sender.sentNow, session.sender.peerReceived]).toEqual([250, 250]);
  });

  test("and the credit stated on it replaces what was given before, more or less", () => {
    const session = sending(400);
    expect(session.sender.limit).toBe(10_000);
    session.adopt(stated(400, 100, { window: 350 }), false);
    expect(session.sender.limit).toBe(450);
    session.adopt(stated(400, 100, { window: 0 }), false);
    expect(session.sender.limit).toBe(100);
    session.sender.take("", 0, false);
    expect(session.mayWrite(new Flight(new RoundTrip()))).toBe(false);
    session.adopt(stated(400, 100, { window: 5_000 }), true);
    expect(session.sender.limit).toBe(5_100);
  });

  test("and our own credit is given anew, counted from what we accepted", () => {
    const session = new Session(KEYS, limits());
    session.adopt(stated(0), false);
    expect(session.positions().window).toBe(2_000);
    session.onData(0, Buffer.alloc(1_500), 0);
    session.loseConnection();
    expect(session.receiver.grant).toBe(1_500);
    session.receiver.next();
    session.accept(4);
    session.adopt(stated(0), false);
    expect(session.receiver.grant).toBe(2_004);
    expect(session.positions()).toEqual({ received: 1_500, accepted: 4, window: 2_000, stop: false, done: false });
  });

  test("and what the peer says with it counts as in an ACK", () => {
    const session = sending(400);
    session.loseConnection();
    session.adopt(stated(400, 300, { stop: true, done: true }), false);
    expect([session.sender.acked, session.sender.log.start, session.peerStopped, session.peerDone]).toEqual([
      300,
      300,
      true,
      true,
    ]);
  });

  test("and is owed an ACK, in this turn", () => {
    const session = sending(400);
    session.ackOwed = "nothing";
    session.adopt(stated(400), false);
    expect(session.ackOwed).toBe("turn");
    session.loseConnection();
    expect(session.ackOwed).toBe("nothing");
  });

  test("after the end was sent: it is resent like a byte", () => {
    const session = sending(400);
    session.sender.end("final");
    expect(write(session)).toMatchObject([{ offset: 400, flags: DATA_END_FINAL }]);
    expect(session.adopt(stated(402, 0), false)).toMatchObject({ code: "impossible-position" });
    expect(session.adopt(stated(401, 0), false)).toBeUndefined();
    expect(write(session)).toEqual([]);
    expect(session.adopt(stated(400, 0), false)).toBeUndefined();
    expect(write(session)).toMatchObject([{ offset: 400, flags: DATA_END_FINAL }]);
  });
});

describe("an ACK", () => {
  test("above what was ever sent is impossible, and changes nothing", () => {
    const session = sending(400);
    const before = marks(session);
    expect(session.onAck(stated(401, 0))).toMatchObject({ code: "impossible-position" });
    expect(marks(session)).toEqual(before);
  });

  test("is progress when received went up, not when only more was accepted", () => {
    const session = sending(400);
    expect(session.onAck(stated(100, 0))).toBe(true);
    expect(session.onAck(stated(100, 100))).toBe(false);
    expect(session.onAck(stated(50, 50))).toBe(false);
    expect([session.sender.peerReceived, session.sender.acked]).toEqual([100, 100]);
  });

  test("never takes credit back on the same connection", () => {
    const session = sending(400);
    session.onAck(stated(100, 100, { window: 20_000 }));
    session.onAck(stated(200, 100, { window: 0 }));
    expect(session.sender.limit).toBe(20_100);
  });

  test("that says stop ends our sending: nothing more is written, and our direction is through", () => {
    const session = sending(400);
    session.sender.take("more", 4, false);
    expect(session.outDone).toBe(false);
    session.onAck(stated(400, 100, { stop: true }));
    expect(session.mayWrite(new Flight(new RoundTrip()))).toBe(false);
    expect(write(session)).toEqual([]);
    expect(session.outDone).toBe(true);
    session.onAck(stated(400, 100));
    expect(session.peerStopped).toBe(true);
  });

  test("of everything gives the log's memory back", () => {
    const logBudget = new CountingBudget();
    const session = sending(4_000, { logBudget });
    const { account } = session.sender.log;
    expect([account.heldBytes, logBudget.taken]).toEqual([6_144, 0]);
    session.sender.take(Buffer.alloc(100_000), 100_000, true);
    expect(logBudget.taken).toBe(account.heldBytes - account.minimum);
    session.onAck(stated(4_000, 3_900, { window: 200_000 }));
    expect(write(session)).not.toEqual([]);
    session.onAck(stated(60_000, 60_000, { window: 200_000 }));
    expect(logBudget.taken).toBe(account.heldBytes - account.minimum);
    write(session);
    session.onAck(stated(104_004, 104_004));
    expect([account.heldBytes, logBudget.taken]).toEqual([0, 0]);
  });

  test("is owed for data: later, or at once if the peer waits, or does not know that it was here; not for a fault", () => {
    const session = new Session(KEYS, limits());
    session.adopt(stated(0), false);
    session.positions();
    for (const [offset, flags, owed] of [
      [0, 0, "later"],
      [0, 0, "turn"],
      [10, DATA_ACK_NOW, "turn"],
      [20, DATA_BLOCKED, "turn"],
      [31, 0, "nothing"],
    ] as const) {
      session.ackOwed = "nothing";
      session.onData(offset, Buffer.alloc(10), flags);
      expect(session.ackOwed).toBe(owed);
    }
  });

  test("is owed at once when 256 KiB have arrived since the last", () => {
    const window = { minBytes: 1_048_576, maxBytes: 1_048_576 };
    const session = new Session(KEYS, limits({ mode: "bytes", window }));
    session.adopt(stated(0), false);
    const piece = Buffer.alloc(65_536);
    const owed = (): string[] =>
      [1, 2, 3, 4].map(() => {
        session.onData(session.receiver.received, piece, 0);
        return session.ackOwed;
      });
    session.positions();
    session.ackOwed = "nothing";
    expect(owed()).toEqual(["later", "later", "later", "turn"]);
    session.positions();
    session.ackOwed = "nothing";
    expect(owed()).toEqual(["later", "later", "later", "turn"]);
  });

  test("is owed for acceptance: later, unless it is urgent or owed sooner already", () => {
    const session = new Session(KEYS, limits({ mode: "bytes" }));
    session.adopt(stated(0), false);
    session.positions();
    session.onData(0, Buffer.alloc(1_000), 0);
    session.onData(1_000, Buffer.alloc(1_000), DATA_ACK_NOW);
    session.receiver.next();
    session.receiver.next();
    session.accept(500);
    expect(session.ackOwed).toBe("turn");
    session.ackOwed = "nothing";
    session.accept(1_000);
    expect(session.ackOwed).toBe("later");
    session.accept(2_000);
    expect(session.ackOwed).toBe("turn");
    session.ackOwed = "nothing";
    session.accept(2_000);
    expect(session.ackOwed).toBe("nothing");
  });

  test("is owed, once, when we stop reading, and says so from then on", () => {
    const session = new Session(KEYS, limits());
    session.stopReading();
    expect([session.ackOwed, session.inDone, session.positions().stop]).toEqual(["turn", true, true]);
    session.ackOwed = "nothing";
    session.stopReading();
    expect(session.ackOwed).toBe("nothing");
  });
});

describe("a session is through", () => {
  test("when both ends are accepted; it says so, and owes an ACK", () => {
    const session = sending(100);
    session.sender.end("final");
    write(session);
    session.onData(0, Buffer.alloc(0), DATA_END_FINAL);
    expect(session.checkThrough()).toBe(false);
    session.onAck(stated(101, 100));
    expect(session.checkThrough()).toBe(false);
    session.onAck(stated(101, 101));
    session.ackOwed = "nothing";
    expect(session.positions().done).toBe(false);
    expect(session.checkThrough()).toBe(true);
    expect([session.phase, session.ackOwed, session.positions().done]).toEqual(["done", "turn", true]);
    expect(session.checkThrough()).toBe(false);
  });

  test("and writes nothing more, nor when it is over in any other way", () => {
    for (const phase of ["provisional", "live", "done", "reset", "gone"] as const) {
      const session = sending(100);
      session.sender.take("more", 4, false);
      session.phase = phase;
      expect(session.mayWrite(new Flight(new RoundTrip()))).toBe(phase === "live");
      expect(session.write([], 100, new Flight(new RoundTrip()), 0)).toBe(phase === "live" ? 8 : 0);
    }
  });

  test.each<["end" | "stop", "end" | "stop"]>([
    ["end", "stop"],
    ["stop", "end"],
    ["stop", "stop"],
  ])("when we are through by %s, and the peer by %s", (ours, theirs) => {
    const session = sending(100);
    session.sender.end("final");
    write(session);
    if (theirs === "end") session.onData(0, Buffer.alloc(0), DATA_END_FINAL);
    else session.stopReading();
    expect(session.checkThrough()).toBe(false);
    session.onAck(ours === "end" ? stated(101, 101) : stated(100, 0, { stop: true }));
    expect(session.checkThrough()).toBe(true);
  });

  test("but not when an end has arrived and what is before it is not accepted", () => {
    const session = sending(100);
    session.positions();
    session.onAck(stated(100, 0, { stop: true }));
    session.onData(0, Buffer.from("00000001aa", "hex"), DATA_END_FINAL);
    session.receiver.next();
    expect(session.checkThrough()).toBe(false);
    session.accept(5);
    expect(session.checkThrough()).toBe(true);
  });

  test.each<[string, (session: Session) => void]>([
    ["we have ended", (session) => session.sender.end("final")],
    ["the peer has ended", (session) => session.onData(0, Buffer.alloc(0), DATA_END_MOVED)],
    ["the peer reads no more", (session) => session.onAck(stated(0, 0, { stop: true }))],
  ])("and no other session can take its place, as soon as %s", (_, close) => {
    const session = sending(0);
    expect(session.isReplaceable).toBe(true);
    close(session);
    expect(session.isReplaceable).toBe(false);
  });

  test("whoever has ended and sent everything takes no other session", () => {
    const session = sending(100);
    session.sender.end("final");
    expect(session.isReplaceable).toBe(false);
  });

  test("whoever has ended and reads no more still takes another session for what was never sent", () => {
    const session = sending(0);
    session.sender.take("waits", 5, false);
    session.sender.end("final");
    session.stopReading();
    expect(session.isReplaceable).toBe(true);
    write(session);
    expect(session.isReplaceable).toBe(false);
  });

  test("as far as anything can be lost when both ends have accepted everything, though not yet our end", () => {
    const session = sending(100);
    session.sender.end("final");
    write(session);
    session.onAck(stated(101, 100));
    expect(session.nothingToLose).toBe(false);
    session.onData(0, Buffer.alloc(0), DATA_END_FINAL);
    expect(session.nothingToLose).toBe(true);
    expect(session.checkThrough()).toBe(false);
  });

  test("but not while a message of ours may be missing", () => {
    const session = sending(200);
    session.stopReading();
    session.onAck(stated(200, 100));
    expect(session.nothingToLose).toBe(false);
    session.onAck(stated(200, 200));
    expect(session.nothingToLose).toBe(true);
  });

  test("has moved only if both directions ended by moving", () => {
    for (const ours of ["final", "moved"] as const) {
      for (const theirs of [DATA_END_FINAL, DATA_END_MOVED]) {
        const session = sending(0);
        session.sender.end(ours);
        expect(session.moved).toBe(false);
        session.onData(0, Buffer.alloc(0), theirs);
        expect(session.moved).toBe(ours === "moved" && theirs === DATA_END_MOVED);
      }
    }
  });

  test("or, where we read no more, if there is something left to say, and the peer has not ended for good", () => {
    for (const theirs of [DATA_END_FINAL, DATA_END_MOVED]) {
      for (const waits of [0, 1]) {
        const session = sending(0);
        session.sender.end("moved");
        session.receiver.stop();
        session.onData(0, Buffer.alloc(0), theirs);
        for (let n = 0; n < waits; n++) session.sender.take("waits", 5, false);
        expect(session.moved).toBe(theirs === DATA_END_MOVED && waits > 0);
      }
    }
  });

  test("after the peer's end there is nothing left to refuse: reading no more is not said", () => {
    const session = sending(0);
    session.onData(0, Buffer.alloc(0), DATA_END_FINAL);
    session.stopReading();
    expect([session.receiver.stopped, session.positions().stop, session.inDone]).toEqual([false, false, true]);
  });
});

describe("memory", () => {
  test("a session that is over gives back all that it borrowed, also when it is told twice", () => {
    const given = { windowBudget: new CountingBudget(), logBudget: new CountingBudget() };
    const session = sending(2_000, given);
    session.positions();
    session.onData(0, Buffer.alloc(100), 0);
    session.sender.take(Buffer.alloc(100_000), 100_000, false);
    expect([given.windowBudget.taken, given.logBudget.taken > 0]).toEqual([996, true]);
    session.release();
    expect([given.windowBudget.taken, given.logBudget.taken]).toEqual([0, 0]);
    session.release();
    session.loseConnection();
    expect(session.receiver.next()).toBeUndefined();
  });

  test("the least window lets the largest message through, and what manual acceptance may leave open", () => {
    expect(windowFloorBytes({ mode: "messages", maxMessageBytes: MIB, maxBatchBytes: 0 })).toBe(MIB + 4);
    expect(windowFloorBytes({ mode: "messages", maxMessageBytes: 100, maxBatchBytes: 50 })).toBe(154);
    expect(windowFloorBytes({ mode: "bytes", maxMessageBytes: MIB, maxBatchBytes: 50 })).toBe(65_586);
  });

  test("without any budget one message of the largest size goes through, with its length", () => {
    const none = { windowBudget: new CountingBudget(0), logBudget: new CountingBudget(0) };
    const [from, to] = [new Session(KEYS, limits(none)), new Session(KEYS, limits(none))];
    from.adopt(to.positions(), false);
    to.adopt(from.positions(), false);
    from.sender.take(Buffer.alloc(1_000, "m"), 1_000, false);
    const [frame] = write(from);
    expect(to.onData(frame?.offset ?? 0, frame?.bytes ?? Buffer.alloc(0), 0)).toBeUndefined();
    expect(to.receiver.next()).toEqual(Buffer.alloc(1_000, "m"));
  });

  test("a window grows for a peer that is blocked, out of the budget that all share", () => {
    const windowBudget = new CountingBudget(6_000);
    const session = new Session(KEYS, limits({ windowBudget }));
    session.adopt(stated(0), false);
    session.positions();
    session.onData(0, Buffer.alloc(100), DATA_BLOCKED);
    expect(session.positions().window).toBe(4_000);
    session.onData(100, Buffer.alloc(100), DATA_BLOCKED);
    expect([session.positions().window, windowBudget.taken]).toEqual([4_004, 3_000]);
  });
});

test("a new session has no incarnation, no positions, and may not write before it has credit", () => {
  const session = new Session(KEYS, limits());
  expect([session.keys, session.incarnation, session.phase]).toEqual([KEYS, NO_INCARNATION, "live"]);
  expect([session.peerStopped, session.peerDone, session.doneStated, session.ackOwed]).toEqual([
    false,
    false,
    false,
    "nothing",
  ]);
  // Who is not confirmed borrows nothing: the first window is there with the first connection.
  expect(session.positions()).toEqual({ received: 0, accepted: 0, window: 1_004, stop: false, done: false });
  session.sender.take("early", 5, false);
  expect(session.mayWrite(new Flight(new RoundTrip()))).toBe(false);
});

// ── two sessions ──────────────────────────────────────────────────────────────────────────────────────────────────────

type Side = 0 | 1;
type Operation =
  | { do: "send"; side: Side; bytes: number }
  | { do: "transmit"; side: Side; room: number }
  | { do: "deliver"; side: Side; bytes: number }
  | { do: "read"; side: Side; messages: number; accept: boolean }
  | { do: "end"; side: Side }
  | { do: "resume"; forget: readonly boolean[]; welcomeLost: boolean }
  | { do: "commit" }
  | { do: "committed" };

const side = fc.constantFrom<Side[]>(0, 1);
const operation: fc.Arbitrary<Operation> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ do: fc.constant("send" as const), side, bytes: fc.nat({ max: 40 }) }) },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant("transmit" as const), side, room: fc.integer({ min: 1, max: 150 }) }),
  },
  {
    weight: 8,
    arbitrary: fc.record({ do: fc.constant("deliver" as const), side, bytes: fc.integer({ min: 1, max: 150 }) }),
  },
  {
    weight: 6,
    arbitrary: fc.record({
      do: fc.constant("read" as const),
      side,
      messages: fc.integer({ min: 1, max: 3 }),
      accept: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("end" as const), side }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("resume" as const),
      forget: fc.tuple(fc.boolean(), fc.boolean()),
      welcomeLost: fc.boolean(),
    }),
  },
  { weight: 4, arbitrary: fc.record({ do: fc.constant("commit" as const) }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("committed" as const) }) },
);

/** A client's session (0) and a server's (1), and what is under way between them. */
class Pair {
  readonly sessions: readonly [Session, Session];
  readonly sent: [Buffer[], Buffer[]] = [[], []];
  readonly got: [Buffer[], Buffer[]] = [[], []];
  readonly budget: CountingBudget = new CountingBudget(200);
  takeovers = 0;
  /** What is under way to each side, and how it reads it. */
  #wires: [Buffer, Buffer] = [Buffer.alloc(0), Buffer.alloc(0)];
  #decoders: [FrameDecoder, FrameDecoder] = [decoder(), decoder()];
  #flights: [Flight, Flight] = [flight(), flight()];
  /** The COMMIT that is under way, if one is. */
  #commit: Positions | undefined;

  constructor(mode: Mode) {
    const given = limits({
      mode,
      maxMessageBytes: 40,
      window: { minBytes: 60, maxBytes: 200 },
      windowBudget: this.budget,
    });
    this.sessions = [new Session(KEYS, given), new Session(KEYS, given)];
    this.#resume([false, false], false);
  }

  run(step: Operation): void {
    switch (step.do) {
      case "send": {
        if (this.sessions[step.side].sender.endKind !== "none") break;
        const payload = Buffer.alloc(step.bytes, this.sent[step.side].length + 1);
        this.sessions[step.side].sender.take(payload, step.bytes, false);
        this.sent[step.side].push(payload);
        break;
      }
      case "transmit":
        this.#transmit(step.side, step.room);
        break;
      case "deliver":
        this.#deliver(step.side, step.bytes);
        break;
      case "read":
        this.#read(step.side, step.messages, step.accept);
        break;
      case "end":
        this.sessions[step.side].sender.end("final");
        break;
      case "resume":
        this.#commit = undefined;
        this.#resume(step.forget, step.welcomeLost);
        break;
      case "commit":
        this.#commit ??= this.sessions[0].positions();
        break;
      case "committed":
        this.#takeOver();
        break;
    }
    for (const session of this.sessions) session.checkThrough();
    this.#check();
  }

  /** No more faults: both end, and everything arrives. */
  heal(): void {
    for (const at of [0, 1] as const) this.run({ do: "end", side: at });
    for (let quiet = 0; quiet < 3; quiet++) {
      const before = this.sessions.map(marks);
      for (const at of [0, 1] as const) {
        this.run({ do: "transmit", side: at, room: 1_000 });
        const to = other(at);
        this.run({ do: "deliver", side: to, bytes: this.#wires[to].length });
        this.run({ do: "read", side: to, messages: Infinity, accept: true });
      }
      if (JSON.stringify(this.sessions.map(marks)) !== JSON.stringify(before)) quiet = -1;
    }
  }

  #transmit(from: Side, room: number): void {
    const session = this.sessions[from];
    const out: Buffer[] = [];
    if (session.ackOwed !== "nothing") {
      out.push(encodePositionsFrame("ack", session.positions()));
      session.ackOwed = "nothing";
    }
    // While its COMMIT is under way a client writes no new DATA on the old connection.
    if (from === 1 || this.#commit === undefined) session.write(out, room, this.#flights[from], 0);
    this.#wires[other(from)] = Buffer.concat([this.#wires[other(from)], ...out]);
  }

  #deliver(to: Side, bytes: number): void {
    const session = this.sessions[to];
    const chunk = Buffer.from(this.#wires[to].subarray(0, bytes));
    this.#wires[to] = this.#wires[to].subarray(bytes);
    const problem = this.#decoders[to].push(chunk, {
      onFrame: (frame) => {
        if (frame.type !== "ack") expect.unreachable();
        else expect(session.onAck(frame.positions)).toBeTypeOf("boolean");
      },
      onData: (offset, data, flags) => expect(session.onData(offset, data, flags)).toBeUndefined(),
    });
    expect(problem).toBeUndefined();
  }

  #read(at: Side, messages: number, accept: boolean): void {
    const session = this.sessions[at];
    for (let read = 0; read < messages; read++) {
      const message = session.receiver.next();
      if (message === undefined) break;
      this.got[at].push(message);
    }
    if (accept) session.accept(session.receiver.handed);
  }

  #disconnect(): void {
    this.#wires = [Buffer.alloc(0), Buffer.alloc(0)];
    this.#decoders = [decoder(), decoder()];
    this.#flights = [flight(), flight()];
  }

  /** The connection is cut; HELLO and WELCOME on a new one. */
  #resume(forget: readonly boolean[], welcomeLost: boolean): void {
    this.#disconnect();
    const [client, server] = this.sessions;
    for (const [at, session] of this.sessions.entries()) {
      session.loseConnection();
      if (forget[at] === true) session.receiver.forget();
    }
    expect(server.adopt(client.positions(), false)).toBeUndefined();
    if (welcomeLost) {
      // The server writes to somebody who is gone.
      this.#transmit(1, 100);
      this.#disconnect();
      server.loseConnection();
      expect(server.adopt(client.positions(), false)).toBeUndefined();
    }
    expect(client.adopt(server.positions(), false)).toBeUndefined();
  }

  /** COMMIT reaches the server, and COMMITTED the client: what the server wrote before on the old connection comes first. */
  #takeOver(): void {
    if (this.#commit === undefined) return;
    this.takeovers++;
    const [client, server] = this.sessions;
    expect(server.adopt(this.#commit, true)).toBeUndefined();
    this.#commit = undefined;
    const committed = server.positions();
    this.#deliver(0, this.#wires[0].length);
    this.#disconnect();
    expect(client.adopt(committed, false)).toBeUndefined();
  }

  #check(): void {
    let above = 0;
    for (const at of [0, 1] as const) {
      const { sender, windowAllowance } = this.sessions[at];
      const { receiver } = this.sessions[other(at)];
      const ordered = [0, sender.acked, sender.sentNow, sender.highestSent, sender.finalPosition];
      expect(ordered).toEqual(ordered.toSorted((a, b) => a - b));
      expect(sender.acked).toBeLessThanOrEqual(receiver.accepted);
      expect(receiver.received).toBeLessThanOrEqual(sender.highestSent);
      expect(receiver.received).toBeLessThanOrEqual(receiver.grant + 1);
      above += windowAllowance.size - windowAllowance.floor;
    }
    expect(this.budget.taken).toBe(above);
  }
}

test.each<Mode>(["messages", "bytes"])(
  "two sessions exchange %s once and in order, over resumes, takeovers, lost answers and forgotten bytes",
  (mode) => {
    let takeovers = 0;
    fc.assert(
      fc.property(fc.array(operation, { minLength: 20, maxLength: 100 }), (operations) => {
        const pair = new Pair(mode);
        for (const step of operations) pair.run(step);
        // A COMMIT that was never answered: the client dials anew.
        pair.run({ do: "resume", forget: [false, false], welcomeLost: false });
        pair.heal();
        takeovers += pair.takeovers;
        for (const at of [0, 1] as const) {
          const [sent, got] = [pair.sent[at], pair.got[other(at)]];
          if (mode === "messages") expect(got).toEqual(sent);
          else expect(Buffer.concat(got)).toEqual(Buffer.concat(sent));
          expect(pair.sessions[at].phase).toBe("done");
          expect(pair.sessions[at].sender.undelivered()).toEqual([]);
        }
      }),
      { numRuns: runs(100) },
    );
    expect(takeovers).toBeGreaterThan(20);
  },
);

function other(at: Side): Side {
  return at === 0 ? 1 : 0;
}

function decoder(): FrameDecoder {
  return new FrameDecoder(frameMask("data", "ack"));
}

function flight(): Flight {
  return new Flight(new RoundTrip());
}

/** Everything that a statement of the peer's may change. */
function marks({ sender, receiver, peerStopped, peerDone, ackOwed }: Session): unknown {
  const { acked, sentNow, highestSent, limit, peerReceived, log } = sender;
  const { received, handed, accepted, grant } = receiver;
  return {
    acked,
    sentNow,
    highestSent,
    limit,
    peerReceived,
    start: log.start,
    received,
    handed,
    accepted,
    grant,
    peerStopped,
    peerDone,
    ackOwed,
  };
}
