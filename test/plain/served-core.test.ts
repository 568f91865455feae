/** A plain link that is served: its one connection ends it. */
import { describe, expect, test } from "vitest";
import { CLOSED, CLOSED_BY_PEER } from "../../src/core/session/link-events.ts";
import { CountingBudget } from "../core/support.ts";
import { ServedHand } from "./support.ts";

const IN_ORDER = { requests: { maxInFlight: 10, maxAnswerBytes: 1_000 } };

test("in use at once; messages go both ways", () => {
  const hand = new ServedHand();
  expect(hand.drain()).toEqual(["connected"]);
  hand.hear("one\ntwo\n");
  expect(hand.read()).toEqual(["one", "two"]);
  hand.send("answer");
  expect(hand.flush()).toBe("answer\n");
});

test("with a login it is in use when that is done, and what it has not received is read", () => {
  const hand = new ServedHand({ hasLogin: true });
  hand.hear("user\nfirst\n");
  expect(hand.drain()).toEqual(["login-message", "login-message"]);
  hand.core.loginDone(hand.id, [Buffer.from("first")], 0);
  expect([hand.drain(), hand.read()]).toEqual([["connected"], ["first"]]);
});

describe("a connection that is lost", () => {
  test("ends the link: what was written is in doubt, what was not is not sent", () => {
    const hand = new ServedHand();
    hand.send("arrived?");
    hand.flush();
    hand.send("x".repeat(50), "kept back");
    hand.write(10);
    hand.cut();
    expect(hand.outcome).toEqual({
      outcome: "connection-lost",
      lost: ["arrived? maybe", `${"x".repeat(50)} maybe`, "kept back not-sent"],
      untracked: 0,
    });
    expect(hand.last("ended")?.detail).toBe("ECONNRESET");
    expect(hand.core.sendingEnded).toBe(true);
  });

  test("is no failure where nobody had said anything, as a balancer's probe that resets its connection", () => {
    const silent = new ServedHand();
    silent.cut();
    expect(silent.outcome).toEqual({ outcome: "closed", lost: [], untracked: 0 });
    const [greeted, heard] = [new ServedHand(), new ServedHand()];
    greeted.send("welcome");
    heard.hear("h");
    for (const hand of [greeted, heard]) {
      hand.cut();
      expect(hand.outcome?.outcome).toBe("connection-lost");
    }
  });

  test("ends it when the consumer has what has arrived, and not before", () => {
    const hand = new ServedHand();
    hand.hear("one\ntwo\n");
    hand.send("lost");
    hand.flush();
    hand.cut();
    expect(hand.drain()).toEqual(["connected", "severed"]);
    expect([hand.core.sendingEnded, hand.core.awaitsReader, hand.outcome]).toEqual([true, true, undefined]);
    expect(hand.read()).toEqual(["one", "two"]);
    expect(hand.outcome).toEqual({ outcome: "connection-lost", lost: ["lost maybe"], untracked: 0 });
    expect(hand.core.awaitsReader).toBe(false);
  });

  test("settles those who wait at once, though messages are still unread", () => {
    const hand = new ServedHand(IN_ORDER);
    const ticket = hand.request("who?");
    hand.flush();
    hand.hear("answer to nobody".slice(0, 4));
    const everything = hand.core.ticket("everything");
    hand.cut();
    const { lost } = hand.last("severed") ?? { lost: [] };
    expect(lost.map(({ ticket: of, delivery }) => [of === ticket, delivery])).toEqual([[true, "maybe"]]);
    expect(hand.core.takeDelivered()).toContain(everything);
  });

  test.each<[string, (hand: ServedHand) => void]>([
    ["a handler that then fails", ({ core }) => core.reset("handler-failed", "", "handler-failed")],
    ["a deadline that then passes", ({ core }) => core.abandon("gave-up")],
  ])("is decided: %s changes nothing", (_, end) => {
    const hand = new ServedHand();
    hand.hear("unread\n");
    hand.cut();
    end(hand);
    expect([hand.outcome?.outcome, hand.last("ended")?.detail]).toEqual(["connection-lost", "ECONNRESET"]);
  });

  test("has lost what was in doubt, if only a message without a byte", () => {
    const [unsent, empty, none] = [0, 1, 2].map(() => new ServedHand()) as [ServedHand, ServedHand, ServedHand];
    unsent.send("kept back");
    empty.send("");
    empty.flush();
    for (const hand of [unsent, empty, none]) {
      hand.hear("unread\n");
      expect(hand.core.hasLost).toBe(false);
      hand.cut();
    }
    expect([unsent, empty, none].map(({ core }) => core.hasLost)).toEqual([true, true, false]);
  });

  test("what nobody reads can be dropped, and then the link ends", () => {
    const hand = new ServedHand();
    hand.hear("unread\n");
    hand.cut();
    hand.core.stopReading();
    expect([hand.outcome?.outcome, hand.core.heldBytes]).toEqual(["connection-lost", 0]);
  });

  test.each([
    ["bytes that are no message", "poison\n", "framing-failed: poison"],
    ["a message that is too large", `${"x".repeat(100_001)}\n`, "oversized: a message of 100001 bytes"],
  ])("so is one that is given up for %s", (_, text, detail) => {
    const hand = new ServedHand();
    hand.hear("before\n");
    hand.hear(text);
    expect(hand.last("close-connection")?.last).toBeUndefined();
    expect(hand.read()).toEqual(["before"]);
    expect(hand.last("ended")).toMatchObject({ outcome: "connection-lost", detail });
  });

  test("a write that stalls, and an answer that does not come, give it up", () => {
    const stalled = new ServedHand({ writeStallMs: 500 });
    stalled.send("one");
    stalled.write();
    stalled.pass(499);
    expect(stalled.outcome).toBeUndefined();
    stalled.pass(1);
    expect([stalled.outcome?.lost, stalled.last("ended")?.detail]).toEqual([["one maybe"], "write-stalled"]);
    const late = new ServedHand({ ...IN_ORDER, answerMs: 500 });
    late.request("who?");
    late.flush();
    late.pass(500);
    expect(late.last("ended")?.detail).toBe("answer-late");
  });
});

describe("a client that has ended", () => {
  test("and that nothing was sent to: the link ends in order", () => {
    const hand = new ServedHand();
    hand.hear("one\n");
    hand.fin();
    expect(hand.core.inputEnded).toBe(false);
    expect(hand.read()).toEqual(["one"]);
    expect(hand.core.inputAccepted).toBe(true);
    hand.core.end();
    expect(hand.outcome).toEqual({ outcome: "closed", lost: [], untracked: 0 });
    expect(hand.last("close-connection")?.last).toEqual([]);
  });

  test("may still be answered, and what was written is then only counted", () => {
    const hand = new ServedHand();
    hand.hear("one\n");
    hand.fin();
    hand.read();
    hand.send("answer");
    hand.core.end();
    expect([hand.write(), hand.outcome]).toEqual(["answer\n", undefined]);
    hand.written();
    expect(hand.outcome).toEqual({ outcome: "closed", lost: [], untracked: 1 });
  });

  test("and cannot take the answer: it is in doubt", () => {
    const hand = new ServedHand();
    hand.fin();
    hand.send("answer", "more");
    hand.write(1);
    hand.cut("EPIPE");
    expect(hand.outcome).toEqual({ outcome: "connection-lost", lost: ["answer maybe", "more not-sent"], untracked: 0 });
  });

  test("within a message: the part is a fault, and not a message", () => {
    const hand = new ServedHand();
    hand.hear("whole\npa");
    hand.fin();
    expect(hand.read()).toEqual(["whole"]);
    expect(hand.last("ended")).toMatchObject({ detail: "framing-failed: the last line is cut short" });
  });

  test("while it logs in has given up", () => {
    const hand = new ServedHand({ hasLogin: true });
    hand.fin();
    expect(hand.drain()).toEqual(["close-connection", "attempt-failed"]);
    expect(hand.last("attempt-failed")).toMatchObject({ reason: CLOSED_BY_PEER, fault: undefined });
  });

  test("is not asked any more: a request in flight is lost", () => {
    const hand = new ServedHand(IN_ORDER);
    hand.request("who?");
    hand.flush();
    hand.request("and you?");
    hand.fin();
    expect(hand.last("severed")?.lost.map(({ delivery }) => delivery)).toEqual(["maybe", "not-sent"]);
    expect(hand.outcome?.outcome).toBe("connection-lost");
  });

  test("and has answered everything: the link ends in order, once all is read", () => {
    const hand = new ServedHand({
      requests: { ...IN_ORDER.requests, classify: (m) => (m.includes("push") ? "push" : "answer") },
    });
    hand.request("who?");
    hand.flush();
    hand.hear("me\npush\n");
    hand.fin();
    expect([hand.core.sendingEnded, hand.outcome]).toEqual([true, undefined]);
    expect(hand.read()).toEqual(["push"]);
    expect(hand.outcome).toEqual({ outcome: "closed", lost: [], untracked: 0 });
  });

  test("is not probed any more, and an unanswered probe is no fault", () => {
    const hand = new ServedHand({
      probe: { message: Buffer.from("PING"), proves: false },
      pingAfterMs: 100,
      deadAfterMs: 50,
    });
    hand.pass(100);
    expect(hand.flush()).toBe("PING\n");
    hand.hear("unread\n");
    hand.pass(100);
    hand.flush();
    hand.fin();
    hand.pass(10_000);
    hand.core.ping(hand.nowMs);
    expect([hand.flush(), hand.all("severed"), hand.core.adopted?.id]).toEqual(["", [], hand.id]);
  });
});

describe("a link that leaves", () => {
  test("hands out what has arrived, drops what comes later, sends what is answered, and ends", () => {
    const hand = new ServedHand();
    hand.hear("one\n");
    hand.core.leave();
    hand.hear("too late\n");
    expect([hand.drain().includes("leaving"), hand.core.inputMoves]).toEqual([true, true]);
    expect(hand.read()).toEqual(["one"]);
    expect(hand.core.inputAccepted).toBe(true);
    hand.send("answer");
    hand.core.end();
    expect(hand.flush()).toBe("answer\n");
    expect(hand.outcome?.outcome).toBe("closed");
  });

  test("still reads the answers that it waits for", () => {
    const hand = new ServedHand(IN_ORDER);
    hand.request("who?");
    hand.flush();
    hand.core.leave();
    hand.core.end();
    expect(hand.outcome).toBeUndefined();
    hand.hear("me\n");
    expect(hand.last("answered")?.parts.map(String)).toEqual(["me"]);
    expect(hand.outcome?.outcome).toBe("closed");
  });

  test("because nobody uses it: not while a message is in the consumer's hand", () => {
    const hand = new ServedHand({ idleCloseMs: 1_000 });
    hand.hear("one\n");
    const message = hand.core.next(() => {});
    hand.pass(5_000);
    expect([String(message), hand.last("leaving")]).toEqual(["one", undefined]);
    hand.core.acceptHanded(0);
    hand.pass(1_000);
    expect(hand.last("leaving")?.reason).toBe("idle");
  });

  test("because it is old, once", () => {
    const hand = new ServedHand({ maxConnectionAgeMs: 1_000 });
    hand.pass(999);
    expect(hand.last("leaving")).toBeUndefined();
    hand.pass(5_000);
    expect(hand.all("leaving").map(({ reason }) => reason)).toEqual(["aged"]);
    hand.send("what is under way goes out");
    expect(hand.flush()).not.toBe("");
  });
});

test("our direction alone ends when the kernel has everything, once", () => {
  const hand = new ServedHand();
  hand.send("last");
  hand.core.end();
  hand.write();
  expect(hand.last("end-writing")).toBeUndefined();
  hand.written();
  hand.hear("goes on\n");
  expect([hand.read(), hand.all("end-writing").length, hand.outcome]).toEqual([["goes on"], 1, undefined]);
});

test("after that no probe is sent, and one that is unanswered is no fault: a client that has ended may say nothing", () => {
  const probe = { message: Buffer.from("PING"), proves: false };
  const hand = new ServedHand({ probe, pingAfterMs: 100, deadAfterMs: 50 });
  hand.core.end();
  expect(hand.all("end-writing")).toHaveLength(1);
  hand.pass(10_000);
  hand.core.ping(hand.nowMs);
  expect([hand.flush(), hand.core.adopted?.id]).toEqual(["", hand.id]);
  const probed = new ServedHand({ probe, pingAfterMs: 100, deadAfterMs: 50 });
  probed.pass(100);
  expect(probed.flush()).toBe("PING\n");
  probed.core.end();
  probed.pass(10_000);
  expect([probed.all("severed"), probed.core.adopted?.id]).toEqual([[], probed.id]);
});

describe("when both ends have ended, and the connection has closed", () => {
  function both(reason: string): ServedHand {
    const hand = new ServedHand();
    hand.send("last");
    hand.core.end();
    hand.flush();
    hand.hear("unread\n");
    hand.fin();
    hand.cut(reason);
    return hand;
  }

  test("in order, what is unread is read, and nothing is wrong", () => {
    const hand = both(CLOSED);
    expect([hand.outcome, hand.core.adopted]).toEqual([undefined, undefined]);
    expect(hand.read()).toEqual(["unread"]);
    expect(hand.outcome).toEqual({ outcome: "closed", lost: [], untracked: 1 });
  });

  test("with an error, the client may not have read everything", () => {
    const hand = both("ECONNRESET");
    hand.read();
    expect(hand.outcome).toEqual({ outcome: "connection-lost", lost: ["last maybe"], untracked: 0 });
  });
});

describe("the memory of what has arrived", () => {
  test("is borrowed above what each link is sure of, and given back", () => {
    const windowBudget = new CountingBudget(4_000);
    const hand = new ServedHand({ windowBytes: 100_000, windowFloorBytes: 1_000, windowBudget });
    hand.hear(`${"x".repeat(2_500)}\n`);
    expect([hand.core.readsOn, windowBudget.freeBytes]).toEqual([true, 4_000 - 1_512]);
    hand.hear(`${"x".repeat(2_500)}\n`);
    expect([hand.core.readsOn, hand.core.isFull]).toEqual([false, true]);
    hand.read();
    expect([hand.core.readsOn, windowBudget.freeBytes]).toEqual([true, 4_000]);
  });

  test("is given back by a link that ends, and by one that nobody reads", () => {
    const windowBudget = new CountingBudget(4_000);
    for (const end of [
      (hand: ServedHand) => hand.core.reset("aborted", "", "aborted"),
      (hand: ServedHand) => hand.core.stopReading(),
    ]) {
      const hand = new ServedHand({ windowBytes: 100_000, windowBudget });
      hand.hear(`${"x".repeat(2_500)}\n`);
      expect(windowBudget.freeBytes).toBeLessThan(4_000);
      end(hand);
      expect(windowBudget.freeBytes).toBe(4_000);
    }
  });

  test("is at most `windowBytes`", () => {
    const hand = new ServedHand({ windowBytes: 100, windowBudget: new CountingBudget(1_000_000) });
    hand.hear(`${"x".repeat(96)}\n`);
    expect(hand.core.readsOn).toBe(false);
  });
});
