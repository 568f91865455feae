/** Probes, proof and deadlines of a plain link. */
import { describe, expect, test } from "vitest";
import type { ProbeOptions } from "../../src/plain/options.ts";
import { Hand } from "./support.ts";

const PROBE: ProbeOptions = { message: Buffer.from("PING"), proves: false };
const PROVES: ProbeOptions = {
  message: Buffer.from("PING"),
  isAnswer: (m) => m.equals(Buffer.from("PONG")),
  proves: true,
};
const TIMES = { pingAfterMs: 1_000, deadAfterMs: 500 };

describe("ping() sends the probe", () => {
  test("at once, whatever pingAfterMs says, and only one until it is answered", () => {
    const hand = new Hand({ probe: PROBE, pingAfterMs: 0, deadAfterMs: 500 });
    hand.connect();
    hand.core.ping(hand.nowMs);
    hand.core.ping(hand.nowMs);
    expect([hand.write(), hand.write()]).toEqual(["PING\n", ""]);
    hand.pass(400);
    hand.core.ping(hand.nowMs);
    hand.hear("a");
    expect([hand.write(), hand.core.rttMs, hand.core.nextTimeoutMs]).toEqual(["", 400, Infinity]);
    hand.core.ping(hand.nowMs);
    expect(hand.flush()).toBe("PING\n");
  });

  test("and gives the connection up without an answer, after deadAfterMs as ever", () => {
    const hand = new Hand({ probe: PROVES, ...TIMES });
    hand.connect();
    hand.pass(100);
    hand.core.ping(hand.nowMs);
    hand.flush();
    hand.pass(499);
    expect(hand.all("disconnected")).toEqual([]);
    hand.pass(1);
    expect(hand.last("disconnected")).toMatchObject({ reason: "probe-unanswered" });
  });

  test("behind a large message that was begun", () => {
    const hand = new Hand({ probe: PROBE, ...TIMES });
    hand.connect();
    hand.send("x".repeat(50_000));
    hand.write(10);
    hand.written();
    hand.core.ping(hand.nowMs);
    expect(hand.flush().endsWith("x\nPING\n")).toBe(true);
  });

  test("where there is one, and a connection: else it does nothing", () => {
    const without = new Hand({ pingAfterMs: 100 });
    without.connect();
    const { nextTimeoutMs } = without.core;
    without.core.ping(without.nowMs);
    expect([without.flush(), without.core.nextTimeoutMs]).toEqual(["", nextTimeoutMs]);
    const away = new Hand({ probe: PROBE, ...TIMES });
    away.core.ping(0);
    expect(away.core.nextTimeoutMs).toBe(Infinity);
    away.connect();
    expect(away.flush()).toBe("");
  });
});

describe("a silent server is asked", () => {
  test("after so long without a byte, and any byte answers", () => {
    const hand = new Hand({ probe: PROBE, ...TIMES });
    hand.connect();
    hand.pass(999);
    expect(hand.write()).toBe("");
    hand.hear("a");
    hand.pass(999);
    expect(hand.write()).toBe("");
    hand.pass(1);
    expect(hand.write()).toBe("PING\n");
    hand.written();
    hand.pass(200);
    hand.hear("b");
    expect(hand.core.rttMs).toBe(200);
    hand.pass(900);
    expect([hand.all("disconnected"), hand.write()]).toEqual([[], ""]);
  });

  test("and is given up without an answer; bytes put that off where the answer is known", () => {
    const hand = new Hand({ probe: PROVES, ...TIMES });
    hand.connect();
    hand.pass(1_000);
    hand.flush();
    hand.pass(400);
    hand.hear("news\n");
    hand.pass(499);
    expect(hand.all("disconnected")).toEqual([]);
    hand.pass(1);
    expect(hand.last("disconnected")).toMatchObject({ reason: "probe-unanswered", fault: undefined });
    expect(hand.read()).toEqual(["news"]);
  });

  test("a probe passes everything that waits, but not the middle of a message", () => {
    const hand = new Hand({ probe: PROBE, ...TIMES });
    hand.connect();
    hand.send("one");
    hand.write();
    hand.send("two");
    hand.pass(1_000);
    expect(hand.write()).toBe("PING\n");
    hand.written();
    hand.hear("x");
    hand.send("y".repeat(50_000));
    hand.write(10);
    hand.written();
    hand.pass(1_000);
    hand.write(30_000);
    hand.written();
    const rest = hand.write();
    expect([rest.includes("y\nPING\n"), rest.endsWith("PING\n")]).toEqual([true, true]);
  });

  test("its answer is not handed out, and in order it is known by its place", () => {
    const hand = new Hand({ probe: PROBE, ...TIMES, requests: { maxInFlight: 9, maxAnswerBytes: 99 } });
    hand.connect();
    hand.request("one");
    hand.write();
    hand.pass(1_000);
    expect(hand.write()).toBe("PING\n");
    hand.written();
    hand.request("two");
    hand.flush();
    hand.hear("1\nPONG\n2\n");
    expect(hand.all("answered").map(({ parts }) => String(parts[0]))).toEqual(["1", "2"]);
    expect(hand.all("disconnected")).toEqual([]);
  });

  test("with ids it is known by its id", () => {
    const idOf = (message: Buffer): string | undefined => /^(\d+)/u.exec(String(message))?.[1];
    const probe = { message: Buffer.from("99 ping"), proves: true };
    const hand = new Hand({ probe, ...TIMES, requests: { maxInFlight: 9, maxAnswerBytes: 99, idOf } });
    hand.connect();
    hand.send("unanswered");
    hand.request("1 a");
    hand.flush();
    hand.pass(1_000);
    expect(hand.flush()).toBe("99 ping\n");
    hand.hear("99 pong\n");
    expect(hand.core.accepted().messages).toBe(1);
    hand.cut();
    expect(hand.last("connection-lost")?.undeliveredCount).toBe(1);
  });
});

describe("a probe that proves", () => {
  test("it proves what was written before it, and no more", () => {
    const hand = new Hand({ probe: PROVES, ...TIMES });
    hand.connect();
    hand.send("one");
    const ticket = hand.core.ticket("message");
    expect(hand.write()).toBe("one\nPING\n");
    hand.written();
    hand.send("two");
    hand.flush();
    hand.hear("PONG\n");
    expect(hand.core.takeDelivered()).toEqual([ticket]);
    expect([hand.core.accepted(), hand.read()]).toEqual([{ messages: 1, bytes: 3 }, []]);
    hand.cut();
    expect(hand.reported()).toEqual(["two maybe"]);
  });

  test("a message that is to be proven, and is written only later, is", () => {
    const hand = new Hand({ probe: PROVES, ...TIMES });
    hand.connect();
    hand.send("one");
    hand.write();
    hand.send("two");
    const ticket = hand.core.ticket("message");
    expect(hand.write()).toBe("PING\n");
    hand.written();
    expect(hand.write()).toBe("two\n");
    hand.written();
    hand.hear("PONG\n");
    expect(hand.core.takeDelivered()).toEqual([]);
    expect(hand.flush()).toBe("PING\n");
    hand.hear("PONG\n");
    expect([hand.core.takeDelivered(), hand.flush()]).toEqual([[ticket], ""]);
  });

  test("one that does not prove leaves everything in doubt", () => {
    const hand = new Hand({ probe: { ...PROVES, proves: false }, ...TIMES });
    hand.connect();
    hand.send("one");
    hand.flush();
    hand.pass(1_000);
    expect(hand.flush()).toBe("PING\n");
    hand.hear("PONG\n");
    hand.cut();
    expect(hand.reported()).toEqual(["one maybe"]);
    expect([hand.core.knowsAcceptance, new Hand({ probe: PROVES }).core.knowsAcceptance]).toEqual([false, true]);
  });

  test("nothing is let go: when there is too much in doubt, sending waits for proof", () => {
    const hand = new Hand({ probe: PROVES, ...TIMES, inDoubtBytes: 320 });
    hand.connect();
    hand.send("a", "b");
    expect(hand.flush()).toBe("a\nb\nPING\n");
    hand.send("c", "d");
    hand.flush();
    hand.send("e");
    expect(hand.flush()).toBe("");
    hand.hear("PONG\n");
    expect(hand.flush()).toBe("e\nPING\n");
    hand.cut();
    expect(hand.reported()).toEqual(["c maybe", "d maybe", "e maybe"]);
  });

  test("close() waits for it", () => {
    const hand = new Hand({ probe: PROVES, ...TIMES });
    hand.connect();
    hand.send("one");
    hand.flush();
    hand.core.end();
    hand.core.stopReading();
    expect([hand.core.outputDone, hand.flush()]).toEqual([false, "PING\n"]);
    hand.hear("PONG\n");
    expect(hand.last("ended")).toMatchObject({ outcome: "closed", undelivered: [] });
    expect(hand.last("ended")?.untracked).toBeUndefined();
  });

  test("one whose answer cannot be known is refused", () => {
    expect(() => new Hand({ probe: { ...PROBE, proves: true } })).toThrow("proves nothing");
  });
});

describe("deadlines", () => {
  test("the kernel takes nothing", () => {
    const hand = new Hand({ writeStallMs: 100 });
    hand.connect();
    hand.send("one");
    hand.flush();
    hand.pass(1_000);
    hand.send("two");
    hand.write();
    hand.pass(99);
    expect(hand.all("disconnected")).toEqual([]);
    hand.pass(1);
    expect(hand.last("disconnected")).toMatchObject({ reason: "write-stalled" });
    expect(hand.reported()).toEqual(["one maybe", "two maybe"]);
  });

  test("an unused connection is closed by us, and the next message dials at once", () => {
    const hand = new Hand({ idleCloseMs: 100, requests: { maxInFlight: 9, maxAnswerBytes: 99 }, answerMs: 9_999 });
    hand.connect();
    hand.pass(99);
    hand.request("one");
    hand.flush();
    hand.pass(1_000);
    hand.hear("1\n");
    hand.pass(99);
    expect(hand.all("disconnected")).toEqual([]);
    hand.pass(1);
    expect(hand.last("close-connection")).toMatchObject({ reason: "idle", last: [] });
    expect([hand.core.wantsDial, hand.core.dialsAtOnce, hand.all("connection-lost")]).toEqual([false, true, []]);
    hand.request("two");
    expect(hand.core.wantsDial).toBe(true);
    hand.connect();
    expect([hand.core.dialsAtOnce, hand.flush()]).toEqual([false, "two\n"]);
  });

  test.for([100, 5_000])("so it is when nobody has noticed for %i ms, and the next message comes first", (ms) => {
    const hand = new Hand({ idleCloseMs: 100 });
    hand.connect();
    hand.nowMs += ms;
    hand.send("one");
    expect(hand.write()).toBe("");
    expect(hand.last("close-connection")).toMatchObject({ reason: "idle", last: [] });
    expect([hand.core.wantsDial, hand.core.dialsAtOnce, hand.all("connection-lost")]).toEqual([true, true, []]);
    hand.connect();
    expect(hand.flush()).toBe("one\n");
  });

  test("a link whose direction has ended reads nothing more then: it has ended", () => {
    const hand = new Hand({ idleCloseMs: 100 });
    hand.connect();
    hand.send("last");
    hand.flush();
    hand.core.end();
    expect(hand.last("ended")).toBeUndefined();
    hand.pass(100);
    expect([hand.core.inputEnded, hand.last("ended")?.outcome]).toEqual([true, "closed"]);
  });

  test("so it is not while an answer is awaited, or that of a probe, or while we do not read", () => {
    const asks = new Hand({ idleCloseMs: 100, requests: { maxInFlight: 9, maxAnswerBytes: 99 } });
    asks.connect();
    asks.request("one");
    asks.flush();
    const probes = new Hand({ idleCloseMs: 100, probe: PROBE, pingAfterMs: 50 });
    probes.connect();
    probes.pass(50);
    expect(probes.flush()).toBe("PING\n");
    const isFull = new Hand({ idleCloseMs: 100, windowBytes: 1 });
    isFull.connect();
    isFull.hear("news\n");
    for (const hand of [asks, probes, isFull]) {
      hand.nowMs += 150;
      hand.send("two");
      expect(hand.write()).toBe("two\n");
    }
  });

  test("probes and their answers are no use of a connection", () => {
    const hand = new Hand({ idleCloseMs: 1_500, probe: PROVES, ...TIMES });
    hand.connect();
    hand.pass(1_000);
    hand.flush();
    hand.hear("PONG\n");
    hand.pass(500);
    expect(hand.last("disconnected")).toMatchObject({ reason: "idle" });
  });

  test("a link whose connection was closed for being unused can be closed", () => {
    const hand = new Hand({ idleCloseMs: 100 });
    hand.connect();
    hand.pass(100);
    hand.core.end();
    hand.core.stopReading();
    expect(hand.last("ended")).toMatchObject({ outcome: "closed" });
  });

  test("an old connection is replaced once nothing is under way, without loss", () => {
    const hand = new Hand({ maxConnectionAgeMs: 1_000, requests: { maxInFlight: 9, maxAnswerBytes: 99 } });
    hand.connect();
    hand.request("one");
    hand.flush();
    hand.pass(1_000);
    hand.request("two");
    expect(hand.flush()).toBe("");
    expect(hand.core.nextTimeoutMs).toBeGreaterThan(1_000);
    hand.hear("1\n");
    expect(hand.last("disconnected")).toMatchObject({ reason: "aged" });
    expect([hand.core.wantsDial, hand.core.dialsAtOnce, hand.all("connection-lost")]).toEqual([true, true, []]);
    hand.connect();
    expect(hand.flush()).toBe("two\n");
  });

  test("a probe that proves lets an old connection go", () => {
    const hand = new Hand({ maxConnectionAgeMs: 900, probe: PROVES, ...TIMES });
    hand.connect();
    hand.send("one");
    hand.flush();
    hand.pass(900);
    expect(hand.flush()).toBe("PING\n");
    hand.hear("PONG\n");
    expect(hand.last("disconnected")).toMatchObject({ reason: "aged" });
    expect(hand.core.accepted().messages).toBe(1);
  });

  test.each([
    ["a probe's answer", { probe: PROBE, ...TIMES }, (hand: Hand) => hand.pass(1_000), 500],
    ["a request's answer", { answerMs: 500 }, () => {}, 500],
  ])("who was asleep waits for %s anew", (_, options, begin, forMs) => {
    const hand = new Hand({ ...options, requests: { maxInFlight: 9, maxAnswerBytes: 99 } });
    hand.connect();
    hand.request("one");
    hand.flush();
    begin(hand);
    hand.flush();
    hand.sleep(5_000);
    expect(hand.all("disconnected")).toEqual([]);
    hand.flush();
    hand.pass(forMs - 1);
    expect(hand.all("disconnected")).toEqual([]);
    hand.pass(1);
    expect(hand.all("disconnected")).toHaveLength(1);
  });

  test("who was asleep asks at once", () => {
    const hand = new Hand({ probe: PROBE, ...TIMES });
    hand.connect();
    hand.sleep(60_000);
    expect(hand.flush()).toBe("PING\n");
  });

  test("while we do not read, no answer is missed", () => {
    const hand = new Hand({
      answerMs: 500,
      windowBytes: 5,
      requests: { maxInFlight: 9, maxAnswerBytes: 99, idOf: (m) => /^\d/u.exec(String(m))?.[0] },
    });
    hand.connect();
    hand.request("1");
    hand.flush();
    hand.hear("push\n");
    expect(hand.core.readsOn).toBe(false);
    hand.pass(900);
    expect(hand.all("disconnected")).toEqual([]);
    hand.read();
    hand.core.tick(hand.nowMs);
    hand.pass(499);
    expect(hand.all("disconnected")).toEqual([]);
    hand.pass(1);
    expect(hand.last("disconnected")).toMatchObject({ reason: "answer-late" });
  });
});
