/** How a session comes to its end, and when another may take its place. */
import { describe, expect, test } from "vitest";
import { DATA_END_FINAL, DATA_END_MOVED } from "../../../src/core/wire/frames.ts";
import type { Session } from "../../../src/core/session/session.ts";
import { Flight, RoundTrip } from "../../../src/core/log/window.ts";
import { sending, stated, write } from "./sessions.ts";

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

  test("but not because the peer says that it is: that is kept in mind until we are", () => {
    const session = sending(100);
    session.onAck(stated(100, 100, { done: true }));
    expect([session.checkThrough(), session.phase, session.peerDone]).toEqual([false, "live", true]);
    session.sender.end("final");
    write(session);
    session.onData(0, Buffer.alloc(0), DATA_END_FINAL);
    session.onAck(stated(101));
    expect([session.checkThrough(), session.peerDone]).toEqual([true, true]);
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
