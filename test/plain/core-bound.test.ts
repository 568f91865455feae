/** Messages that are for one connection alone. */
import { describe, expect, test } from "vitest";
import type { PlainCoreOptions } from "../../src/plain/options.ts";
import { Hand } from "./support.ts";

const REQUESTS = { maxInFlight: 100, maxAnswerBytes: 1_000 };

class BoundHand extends Hand {
  constructor(changed: Partial<PlainCoreOptions> = {}) {
    super(changed);
    this.connect();
  }

  sendBound(...messages: string[]): void {
    for (const message of messages) {
      this.send(message);
      this.core.bind();
    }
  }

  requestBound(message: string): object {
    this.core.take(message, Buffer.byteLength(message), false, "answered");
    this.core.bind();
    return this.core.ticket("answer");
  }

  get waiting(): number[] {
    const { queuedMessages, queuedBytes, unackedBytes, heldBytes } = this.core;
    return [queuedMessages, queuedBytes, unackedBytes, heldBytes];
  }
}

/** A large one has an object whether it is bound or not. */
const LARGE = "x".repeat(9_000);

describe("when the connection is lost", () => {
  test.each(["two", LARGE])("what waits is not sent, and is written on no other; the rest keeps its order", (bound) => {
    const hand = new BoundHand();
    hand.send("one");
    hand.sendBound(bound);
    hand.send("three");
    hand.sendBound("four");
    hand.cut();
    expect(hand.reported()).toEqual([`${bound} not-sent`, "four not-sent"]);
    expect(hand.waiting).toEqual([2, 8, 8, 8]);
    hand.connect();
    hand.send("five");
    expect(hand.flush()).toBe("one\nthree\nfive\n");
    expect(hand.waiting).toEqual([0, 0, 0, 0]);
  });

  test("what was written is in doubt, once, and nothing that waits is", () => {
    const hand = new BoundHand();
    hand.sendBound("written");
    hand.flush();
    hand.sendBound("waits");
    hand.cut();
    expect(hand.reported()).toEqual(["written maybe", "waits not-sent"]);
    hand.connect();
    expect(hand.flush()).toBe("");
  });

  test("a message that is begun is in doubt", () => {
    const hand = new BoundHand();
    hand.sendBound(LARGE);
    expect(hand.write(100)).toHaveLength(100);
    hand.cut();
    expect(hand.reported()).toEqual([`${LARGE} maybe`]);
    expect(hand.waiting).toEqual([0, 0, 0, 0]);
  });

  test("what is in doubt is not sent again, and what is for any connection is", () => {
    const hand = new BoundHand({ resendInFlight: true });
    hand.send("any");
    hand.sendBound("bound");
    hand.flush();
    hand.sendBound("waits");
    hand.send("last");
    hand.cut();
    expect(hand.reported()).toEqual(["bound maybe", "waits not-sent"]);
    hand.connect();
    expect(hand.flush()).toBe("any\nlast\n");
  });

  test("those that are bound to the next connection go out on it", () => {
    const hand = new BoundHand();
    hand.sendBound("one");
    hand.cut();
    hand.connect();
    hand.sendBound("two");
    expect(hand.flush()).toBe("two\n");
    hand.cut();
    expect(hand.reported()).toEqual(["two maybe"]);
  });

  test("no connection is needed for what was taken out", () => {
    const hand = new BoundHand();
    hand.sendBound("one", "two");
    hand.core.end();
    hand.core.stopReading();
    expect(hand.last("ended")).toBeUndefined();
    hand.cut();
    expect([hand.reported(), hand.last("ended")?.outcome]).toEqual([["one not-sent", "two not-sent"], "closed"]);
  });

  test("behind a write that it was not in, nothing more is needed: flush() and the link's end do not wait", () => {
    const hand = new BoundHand({ resendInFlight: true });
    hand.send("any");
    hand.flush();
    hand.sendBound("bound");
    hand.cut();
    hand.connect();
    const ticket = hand.core.ticket("everything");
    hand.core.end();
    hand.core.stopReading();
    // No more is written than there is room for.
    expect(hand.write(4)).toBe("any\n");
    expect(hand.last("ended")).toBeUndefined();
    hand.written();
    expect([hand.core.takeDelivered(), hand.last("ended")?.outcome]).toEqual([[ticket], "closed"]);
  });

  test("a flush() that covers it is told", () => {
    const hand = new BoundHand();
    hand.sendBound("one");
    const ticket = hand.core.ticket("everything");
    hand.cut();
    expect(hand.last("connection-lost")?.lost).toEqual([{ ticket, delivery: "not-sent", entry: undefined }]);
  });
});

describe("requests", () => {
  test.each([
    ["in order", {}],
    ["with ids", { idOf: (message: Buffer) => message[0] }],
  ])("%s: each caller is told, and the next answers are those of the next requests", (_, more) => {
    const hand = new BoundHand({ requests: { ...REQUESTS, maxInFlight: 1, ...more } });
    const written = hand.requestBound("a");
    hand.flush();
    const waits = hand.requestBound("b");
    const any = hand.request("c");
    hand.cut();
    expect(hand.last("connection-lost")?.lost).toEqual([
      { ticket: written, delivery: "maybe", entry: undefined },
      { ticket: waits, delivery: "not-sent", entry: undefined },
    ]);
    hand.connect();
    expect(hand.flush()).toBe("c\n");
    hand.hear("c!\n");
    expect(hand.last("answered")).toMatchObject({ ticket: any, parts: [Buffer.from("c!")] });
    const next = hand.requestBound("d");
    expect(hand.flush()).toBe("d\n");
    hand.hear("d!\n");
    expect(hand.last("answered")).toMatchObject({ ticket: next });
  });

  test("in order: no answer belongs to a message that was taken out between those that were written", () => {
    const hand = new BoundHand({ requests: REQUESTS });
    const first = hand.request("a");
    hand.requestBound("b");
    const second = hand.request("c");
    hand.cut();
    hand.connect();
    // The answers come before the kernel says that it has the requests.
    expect(hand.write()).toBe("a\nc\n");
    hand.hear("a!\nc!\n");
    expect(hand.all("answered").map(({ ticket, parts }) => [ticket, String(parts)])).toEqual([
      [first, "a!"],
      [second, "c!"],
    ]);
  });

  test("the answer to a probe is taken for that of no message that was taken out", () => {
    const hand = new BoundHand({
      requests: REQUESTS,
      probe: { message: Buffer.from("probe"), proves: false },
      pingAfterMs: 1_000,
    });
    const any = hand.request("any");
    hand.sendBound("bound");
    hand.cut();
    hand.connect();
    expect(hand.flush()).toBe("any\n");
    hand.pass(1_000);
    expect(hand.flush()).toBe("probe\n");
    hand.hear("any!\nprobe!\n");
    expect(hand.all("answered")).toMatchObject([{ ticket: any }]);
    expect([hand.core.accepted().messages, hand.core.rttMs, hand.core.adopted?.id]).toEqual([1, 0, 2]);
  });

  test("the memory of a message that was reported is not used again", () => {
    const hand = new BoundHand({ requests: REQUESTS });
    hand.sendBound("keep me");
    hand.cut();
    const [reported] = hand.last("connection-lost")?.undelivered ?? [];
    hand.connect();
    for (let n = 0; n < 3; n++) {
      hand.send("y".repeat(2_000));
      hand.flush();
      hand.hear("ok\n");
    }
    expect(String(reported?.message)).toBe("keep me");
  });
});

describe("when the link closes the connection in order", () => {
  test("unused, as the process was asleep: the message is not sent, and nothing is dialled for it", () => {
    const hand = new BoundHand({ idleCloseMs: 1_000 });
    hand.nowMs += 5_000;
    hand.sendBound("late");
    expect(hand.flush()).toBe("");
    expect([hand.reported(), hand.core.isAtRest, hand.waiting]).toEqual([["late not-sent"], true, [0, 0, 0, 0]]);
  });

  test("the same behind the end of our direction: the link has ended", () => {
    const hand = new BoundHand({ idleCloseMs: 1_000 });
    hand.nowMs += 5_000;
    hand.sendBound("late");
    hand.core.end();
    hand.core.stopReading();
    expect([hand.flush(), hand.reported(), hand.last("ended")?.outcome]).toEqual(["", ["late not-sent"], "closed"]);
  });

  test("old: what is not begun is not sent, and the rest goes on", () => {
    const hand = new BoundHand({ maxConnectionAgeMs: 1_000, requests: REQUESTS });
    const first = hand.request("first");
    hand.flush();
    hand.pass(1_000);
    const bound = hand.requestBound("bound");
    const any = hand.request("any");
    hand.hear("1\n");
    expect(hand.last("answered")).toMatchObject({ ticket: first });
    expect(hand.last("connection-lost")?.lost).toEqual([{ ticket: bound, delivery: "not-sent", entry: undefined }]);
    hand.connect();
    expect(hand.flush()).toBe("any\n");
    hand.hear("2\n");
    expect(hand.last("answered")).toMatchObject({ ticket: any });
  });
});
