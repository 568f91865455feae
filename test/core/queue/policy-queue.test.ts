import { describe, expect, test } from "vitest";
import { Account } from "../../../src/core/log/window.ts";
import { CountingBudget } from "../support.ts";
import { NumberedQueue, ROOMY } from "./queues.ts";

describe("overflow", () => {
  test("drop-oldest: the oldest go, as many as the new one needs", () => {
    const q = new NumberedQueue({ maxBytes: 30 });
    for (const message of ["a", "b", "c"]) q.push(message);
    q.push("d", { bytes: 15 });
    expect(q.dropped()).toEqual(["a overflow", "b overflow"]);
    expect(q.takeAll()).toBe("c d");
    expect([q.queue.messages, q.queue.bytes]).toEqual([0, 0]);
  });

  test("drop-oldest: at the bound of messages", () => {
    const q = new NumberedQueue({ maxMessages: 2 });
    for (const message of ["a", "b", "c"]) q.push(message);
    expect(q.dropped()).toEqual(["a overflow"]);
    expect(q.takeAll()).toBe("b c");
  });

  test("drop-newest: the new one goes", () => {
    const q = new NumberedQueue({ maxMessages: 2, overflow: "drop-newest" });
    for (const message of ["a", "b"]) expect(q.push(message).isWaiting).toBe(true);
    expect(q.push("c").isWaiting).toBe(false);
    expect(q.dropped()).toEqual(["c overflow"]);
    expect(q.takeAll()).toBe("a b");
  });

  test("a message that fits in no queue drops nothing but itself", () => {
    const q = new NumberedQueue({ maxBytes: 30 });
    q.push("a");
    q.push("large", { bytes: 31 });
    expect(q.dropped()).toEqual(["large overflow"]);
    expect(q.takeAll()).toBe("a");
  });

  test("wait: hasRoom() says whether there is room, to the byte", () => {
    const { queue, ...q } = new NumberedQueue({ overflow: "wait", maxMessages: 2, maxBytes: 30 });
    const room = (bytes: number): boolean => queue.hasRoom({ bytes, priority: 0, key: undefined });
    queue.push("a", { bytes: 10, priority: 0, key: undefined, ttlMs: Infinity }, q.nowMs);
    expect([room(20), room(21)]).toEqual([true, false]);
    queue.push("b", { bytes: 0, priority: 0, key: undefined, ttlMs: Infinity }, q.nowMs);
    expect(room(0)).toBe(false);
  });

  test("expired messages make room before others are dropped", () => {
    const q = new NumberedQueue({ maxMessages: 2 });
    q.push("a");
    q.push("b", { ttlMs: 5 });
    q.nowMs = 5;
    q.push("c");
    expect(q.dropped()).toEqual(["b expired"]);
    expect(q.takeAll()).toBe("a c");
  });
});

describe("conflation", () => {
  test("the new message has the old one's place, and the old one is dropped", () => {
    const q = new NumberedQueue({ overflow: "conflate" });
    const old = q.push("a1", { key: "a" });
    q.push("b1", { key: "b" });
    const entry = q.push("a2", { key: "a" });
    expect(q.queue.takeDropped()).toEqual([{ entry: old, reason: "conflated", by: entry }]);
    expect([q.queue.messages, q.queue.bytes]).toEqual([2, 20]);
    expect(q.takeAll()).toBe("a2 b1");
  });

  test("a key is free again when its message has left, in whatever way", () => {
    const q = new NumberedQueue({ overflow: "conflate" });
    q.push("a1", { key: "a" });
    expect(q.take()).toBe("a1");
    q.queue.remove(q.push("a2", { key: "a" }));
    q.push("a3", { key: "a", ttlMs: 1 });
    q.nowMs = 1;
    q.push("a4", { key: "a" });
    expect(q.dropped()).toEqual(["a3 expired"]);
    expect(q.takeAll()).toBe("a4");
  });

  test("the time to live is the new message's, from now on; the place keeps its age", () => {
    const q = new NumberedQueue({ overflow: "conflate" });
    q.push("a1", { key: "a", ttlMs: 10 });
    q.nowMs = 9;
    q.push("a2", { key: "a", ttlMs: 10 });
    expect(q.queue.oldestMs).toBe(0);
    q.nowMs = 18;
    expect(q.queue.next(q.nowMs)?.message).toBe("a2");
    q.nowMs = 19;
    expect(q.queue.next(q.nowMs)).toBeUndefined();
  });

  test("a larger one in the old place: the others give way, and not the place", () => {
    const q = new NumberedQueue({ overflow: "conflate", maxBytes: 30 });
    q.push("a1", { key: "a" });
    q.push("b1", { key: "b" });
    q.push("c1", { key: "c" });
    q.push("a2", { key: "a", bytes: 15 });
    expect(q.dropped()).toEqual(["b1 overflow", "a1 conflated"]);
    expect(q.takeAll()).toBe("a2 c1");
  });

  test("the place is in the old one's class", () => {
    const q = new NumberedQueue({ overflow: "conflate", classes: [ROOMY, ROOMY] });
    q.push("a1", { key: "a", priority: 1 });
    q.push("b1", { key: "b", priority: 1 });
    q.push("a2", { key: "a", priority: 0 });
    expect(q.takeAll()).toBe("a2 b1");
  });

  test("without room, the oldest goes", () => {
    const q = new NumberedQueue({ overflow: "conflate", maxMessages: 2 });
    for (const key of ["a", "b", "c"]) q.push(key, { key });
    expect(q.dropped()).toEqual(["a overflow"]);
  });
});

describe("time to live", () => {
  test("each has its own, in the middle of the queue as well", () => {
    const q = new NumberedQueue();
    q.push("a", { ttlMs: 30 });
    q.push("b", { ttlMs: 10 });
    q.push("c");
    q.push("d", { ttlMs: 20 });
    expect(q.queue.nextExpiryMs).toBe(10);
    q.queue.expire(9);
    expect(q.dropped()).toEqual([]);
    q.queue.expire(25);
    expect(q.dropped()).toEqual(["b expired", "d expired"]);
    expect(q.queue.nextExpiryMs).toBe(30);
    q.nowMs = 25;
    expect(q.takeAll()).toBe("a c");
    expect(q.queue.nextExpiryMs).toBe(Infinity);
  });

  test("a message whose time is over is never taken, though nobody has called expire()", () => {
    const q = new NumberedQueue();
    q.push("a", { ttlMs: 10 });
    q.push("b", { ttlMs: 11 });
    q.nowMs = 10;
    expect(q.take()).toBe("b");
    expect(q.dropped()).toEqual(["a expired"]);
  });
});

describe("classes", () => {
  const low = { ...ROOMY, maxMessages: 3 };

  test("a class that is full does not keep another from its room", () => {
    const { queue, ...q } = new NumberedQueue({ overflow: "wait", classes: [ROOMY, low] });
    for (const message of ["a", "b", "c"]) {
      queue.push(message, { bytes: 1, priority: 1, key: undefined, ttlMs: Infinity }, q.nowMs);
    }
    const room = (priority: number): boolean => queue.hasRoom({ bytes: 1, priority, key: undefined });
    expect([room(0), room(1)]).toEqual([true, false]);
  });

  test("what is above the bound of its class drops of its class", () => {
    const q = new NumberedQueue({ classes: [low, ROOMY] });
    q.push("other", { priority: 1 });
    for (const message of ["a", "b", "c", "d"]) q.push(message);
    expect(q.dropped()).toEqual(["a overflow"]);
    const newest = new NumberedQueue({ classes: [low, ROOMY], overflow: "drop-newest" });
    newest.push("other", { priority: 1 });
    for (const message of ["a", "b", "c", "d"]) newest.push(message);
    expect(newest.dropped()).toEqual(["d overflow"]);
  });

  test("what is above the common bound drops of the lowest class, and nothing above its own", () => {
    const q = new NumberedQueue({ maxMessages: 3, classes: [ROOMY, ROOMY, ROOMY] });
    for (const [message, priority] of [
      ["low 1", 2],
      ["mid", 1],
      ["low 2", 2],
    ] as const)
      q.push(message, { priority });
    q.push("high 1", { priority: 0 });
    expect(q.dropped()).toEqual(["low 1 overflow"]);
    q.push("mid 2", { priority: 1 });
    expect(q.dropped()).toEqual(["low 2 overflow"]);
    q.push("low 3", { priority: 2 });
    expect(q.dropped()).toEqual(["low 3 overflow"]);
    q.push("high 2", { priority: 0 });
    expect(q.dropped()).toEqual(["mid overflow"]);
  });

  test("drop-newest: the newest of a lower class gives way, and not of the same", () => {
    const q = new NumberedQueue({ maxMessages: 3, classes: [ROOMY, ROOMY], overflow: "drop-newest" });
    for (const message of ["low 1", "low 2"]) q.push(message, { priority: 1 });
    q.push("high 1");
    q.push("high 2");
    q.push("low 3", { priority: 1 });
    expect(q.dropped()).toEqual(["low 2 overflow", "low 3 overflow"]);
    q.push("high 3");
    q.push("high 4");
    expect(q.dropped()).toEqual(["low 1 overflow", "high 4 overflow"]);
  });

  test("nothing is dropped for a message for which there would be no room all the same", () => {
    const q = new NumberedQueue({ maxBytes: 30, classes: [ROOMY, ROOMY] });
    q.push("high", { bytes: 20 });
    q.push("low", { priority: 1 });
    q.push("large", { bytes: 15, priority: 1 });
    expect(q.dropped()).toEqual(["large overflow"]);
  });
});

describe("clear, remove, drain", () => {
  test("clear() takes out a class, or what is old, class by class", () => {
    const q = new NumberedQueue({ classes: [ROOMY, ROOMY] });
    const push = (message: string, priority: number): unknown => q.push(message, { priority });
    push("low 1", 1);
    push("high 1", 0);
    q.nowMs = 10;
    push("low 2", 1);
    push("high 2", 0);
    q.nowMs = 20;
    const cleared = (terms: object): string[] => q.queue.clear(terms, q.nowMs).map(({ message }) => message);
    expect(cleared({ olderThanMs: 20 })).toEqual([]);
    expect(cleared({ priority: 1, olderThanMs: 19 })).toEqual(["low 1"]);
    expect(cleared({ priority: 1 })).toEqual(["low 2"]);
    expect(cleared({})).toEqual(["high 1", "high 2"]);
    expect([q.queue.messages, q.queue.bytes, q.dropped()]).toEqual([0, 0, []]);
  });

  test("what is expired is not handed back by clear()", () => {
    const q = new NumberedQueue();
    q.push("a", { ttlMs: 1 });
    q.nowMs = 1;
    expect(q.queue.clear({}, q.nowMs)).toEqual([]);
    expect(q.dropped()).toEqual(["a expired"]);
  });

  test("remove() takes out one, once", () => {
    const q = new NumberedQueue();
    const [a, b] = [q.push("a", { ttlMs: 5 }), q.push("b")];
    expect([q.queue.remove(a), q.queue.remove(a)]).toEqual([true, false]);
    expect([q.queue.messages, q.queue.bytes, q.queue.nextExpiryMs]).toEqual([1, 10, Infinity]);
    expect(q.take()).toBe("b");
    expect(q.queue.remove(b)).toBe(false);
  });

  test("the oldest place, over all classes", () => {
    const q = new NumberedQueue({ classes: [ROOMY, ROOMY] });
    expect(q.queue.oldestMs).toBe(Infinity);
    q.nowMs = 3;
    q.push("low", { priority: 1 });
    q.nowMs = 5;
    q.push("high");
    expect(q.queue.oldestMs).toBe(3);
  });
});

describe("memory", () => {
  test("what waits is held, with its key, and given back when it leaves", () => {
    const budget = new CountingBudget(1_000_000);
    const q = new NumberedQueue({ overflow: "conflate" }, new Account(0, budget));
    const entry = q.push("a", { bytes: 1_000, key: "key!" });
    expect(budget.taken).toBe(1_000 + 256 + 8);
    q.queue.remove(entry);
    expect(budget.taken).toBe(0);
  });

  test("where memory is short a single message may wait, and a second one drops it", () => {
    const q = new NumberedQueue({}, new Account(0, new CountingBudget(0)));
    q.push("a");
    expect(q.queue.hasRoom({ bytes: 1, priority: 0, key: undefined })).toBe(false);
    q.push("b");
    expect(q.dropped()).toEqual(["a overflow"]);
    expect(q.takeAll()).toBe("b");
  });

  test("drop-newest, where memory is short", () => {
    const q = new NumberedQueue({ overflow: "drop-newest" }, new Account(0, new CountingBudget(0)));
    q.push("a");
    q.push("b");
    expect(q.dropped()).toEqual(["b overflow"]);
  });
});
