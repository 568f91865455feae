import { describe, expect, test } from "vitest";
import { DATA_ACK_NOW, DATA_BLOCKED, DATA_END_FINAL } from "../../../src/core/wire/frames.ts";
import { NO_INCARNATION } from "../../../src/core/session/proof.ts";
import { Session, windowFloorBytes } from "../../../src/core/session/session.ts";
import { Flight, RoundTrip } from "../../../src/core/log/window.ts";
import { CountingBudget } from "../support.ts";
import { KEYS, limits, marks, MIB, sending, stated, write } from "./sessions.ts";

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
    expect(session.adopt(stated(199), false)).toMatchObject({ code: "impossible-position" });
    expect(session.adopt(stated(300, 199), false)).toMatchObject({ code: "impossible-position" });
    expect(marks(session)).toEqual(before);
    expect(session.adopt(stated(200), false)).toBeUndefined();
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
    expect([session.sender.peerReceived, session.sender.acked]).toEqual([100, 100]);
  });

  test.each([
    { said: stated(300, 199), code: "impossible-position", what: "accepted, which is for good" },
    { said: stated(199), code: "impossible-position", what: "both" },
    { said: stated(299, 200), code: "bad-frame", what: "received on one connection" },
  ])("that takes back $what is a fault, and changes nothing", ({ said, code }) => {
    const session = sending(400);
    session.onAck(stated(300, 200));
    const before = marks(session);
    expect(session.onAck(said)).toMatchObject({ code });
    expect(marks(session)).toEqual(before);
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
