import { describe, expect, test } from "vitest";
import { STARVED_MS } from "../../../src/core/queue/classes.ts";
import { NumberedQueue, ROOMY } from "./queues.ts";

const KiB = 1_024;

/** `messages` of `bytes` in each class, named by class and number. */
function filled(weights: readonly number[], messages: number, bytes: number): NumberedQueue {
  const q = new NumberedQueue({ classes: weights.map((weight) => ({ ...ROOMY, weight })) });
  for (let n = 0; n < messages; n++) for (const p of weights.keys()) q.push(`${p}.${n}`, { priority: p, bytes });
  return q;
}

/** How many of the next `most` messages are of each class. */
function shares(q: NumberedQueue, classes: number, most: number, msEach = 0): number[] {
  const counts = Array.from({ length: classes }, () => 0);
  for (let n = 0; n < most; n++) {
    const [priority = ""] = q.take()?.split(".") ?? [];
    counts[Number(priority)] = (counts[Number(priority)] as number) + 1;
    q.nowMs += msEach;
  }
  return counts;
}

describe("shares", () => {
  test("first come first served within a class, the highest class first", () => {
    expect(filled([4, 1], 2, 100).takeAll()).toBe("0.0 0.1 1.0 1.1");
  });

  test("by bytes, as the weights say", () => {
    const q = filled([16, 4, 1], 400, KiB - 4);
    expect(shares(q, 3, 210)).toEqual([160, 40, 10]);
  });

  test("large messages take no more than small ones", () => {
    const q = new NumberedQueue({ classes: [ROOMY, ROOMY] });
    for (let n = 0; n < 100; n++) q.push(`0.${n}`, { bytes: 100 });
    for (let n = 0; n < 10; n++) q.push(`1.${n}`, { priority: 1, bytes: 10 * KiB });
    const [small = 0, large = 0] = shares(q, 2, 95);
    expect([small, large]).toEqual([95, 0]);
  });

  test("a message that is larger than its class may send in a round waits for several", () => {
    const q = new NumberedQueue({ classes: [{ ...ROOMY, weight: 2 }, ROOMY] });
    q.push("1.0", { priority: 1, bytes: 100 * KiB });
    for (let n = 0; n < 300; n++) q.push(`0.${n}`, { bytes: KiB - 4 });
    const order = q.takeAll().split(" ");
    expect(order.indexOf("1.0")).toBe(202);
  });

  test("a class that was empty has saved nothing", () => {
    const q = filled([4, 1], 1, KiB - 4);
    expect(q.takeAll()).toBe("0.0 1.0");
    for (let n = 0; n < 50; n++) q.push(`1.${n}`, { priority: 1, bytes: KiB - 4 });
    expect(shares(q, 2, 20)).toEqual([0, 20]);
    for (let n = 0; n < 40; n++) q.push(`0.${n}`, { bytes: KiB - 4 });
    // The rest of the low class's round, then four to one.
    expect(shares(q, 2, 25)).toEqual([20, 5]);
  });

  test("empty messages are not for nothing", () => {
    const q = filled([1, 1], 2_000, 0);
    const [high = 0, low = 0] = shares(q, 2, 1_024);
    expect([high, low]).toEqual([512, 512]);
  });
});

describe("a class that is passed over", () => {
  test("goes next after a second, and then waits for its share again", () => {
    const q = filled([10_000, 1], 20, KiB - 4);
    q.nowMs = STARVED_MS - 1;
    expect(q.take()).toBe("0.0");
    q.nowMs = STARVED_MS;
    expect(q.take()).toBe("1.0");
    expect(q.take()).toBe("0.1");
    q.nowMs = 2 * STARVED_MS - 1;
    expect(q.take()).toBe("0.2");
  });

  test("counts from when its first message came", () => {
    const q = new NumberedQueue({ classes: [{ ...ROOMY, weight: 10_000 }, ROOMY] });
    for (let n = 0; n < 5; n++) q.push(`0.${n}`);
    q.take();
    q.nowMs = 5_000;
    q.take();
    q.push("1.0", { priority: 1, bytes: 2 * KiB });
    q.nowMs += STARVED_MS - 1;
    expect(q.take()).toBe("0.2");
    q.nowMs += 1;
    expect(q.take()).toBe("1.0");
  });

  test("where each message takes seconds the shares still count for every second one", () => {
    const q = filled([10_000, 1, 1], 200, KiB - 4);
    const [high = 0, mid = 0, low = 0] = shares(q, 3, 100, 3_000);
    expect(high).toBeGreaterThanOrEqual(50);
    expect(Math.min(mid, low)).toBeGreaterThanOrEqual(15);
  });

  test("a long outage has aged all of them alike: the highest is not kept waiting", () => {
    const q = filled([16, 4, 1], 100, KiB - 4);
    q.nowMs = 3_600_000;
    const [high = 0] = shares(q, 3, 21);
    expect(high).toBeGreaterThanOrEqual(14);
  });
});
