import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { type Rate, SharedRate } from "../../../src/core/server/shared-rate.ts";

const messagesOnly = (messagesPerSecond: number): Rate => ({ messagesPerSecond, bytesPerSecond: Infinity });

/** Takes messages of that size as long as there is room. */
function takeAll(shared: SharedRate<string>, nowMs: number, bytes = 1, most = 10_000): number {
  let taken = 0;
  for (; taken < most && shared.hasRoom(nowMs); taken++) shared.charge(1, bytes, nowMs);
  return taken;
}

test("a second's worth at once, then as it comes back", () => {
  const shared = new SharedRate<string>(messagesOnly(10), 0);
  expect(takeAll(shared, 0)).toBe(10);
  expect(takeAll(shared, 99)).toBe(0);
  expect(takeAll(shared, 100)).toBe(1);
  expect(takeAll(shared, 350)).toBe(2);
  // A token that has come back in part is not lost.
  expect(takeAll(shared, 400)).toBe(1);
  expect(takeAll(shared, 60_000)).toBe(10);
});

test("messages and bytes each have a bucket: the emptier one decides", () => {
  const shared = new SharedRate<string>({ messagesPerSecond: 10, bytesPerSecond: 1_000 }, 0);
  expect(takeAll(shared, 0, 500)).toBe(2);
  expect(takeAll(shared, 1_000, 1)).toBe(10);
});

test("a message above the fill is owed", () => {
  const shared = new SharedRate<string>({ messagesPerSecond: Infinity, bytesPerSecond: 1_000 }, 0);
  expect(takeAll(shared, 0, 3_000)).toBe(1);
  shared.wait("a");
  expect(shared.nextMs(0)).toBeCloseTo(2_001);
  expect([shared.hasRoom(2_000), shared.hasRoom(2_001)]).toEqual([false, true]);
});

test("without a limit there is always room", () => {
  const shared = new SharedRate<string>(messagesOnly(Infinity), 0);
  expect(takeAll(shared, 0, 1_000_000)).toBe(10_000);
  shared.wait("a");
  expect(shared.nextMs(5)).toBe(5);
});

describe("another rate", () => {
  test("leaves the fill, as far as it fits", () => {
    const shared = new SharedRate<string>(messagesOnly(100), 0);
    takeAll(shared, 0, 1, 60);
    shared.set(messagesOnly(20), 0);
    expect(takeAll(shared, 0)).toBe(20);
    shared.set(messagesOnly(1_000), 0);
    expect(takeAll(shared, 0)).toBe(0);
    expect(takeAll(shared, 10)).toBe(10);
  });

  test("to no limit and back: full, and not more", () => {
    const shared = new SharedRate<string>(messagesOnly(10), 0);
    takeAll(shared, 0);
    shared.set(messagesOnly(Infinity), 0);
    expect(takeAll(shared, 0)).toBe(10_000);
    shared.set(messagesOnly(5), 0);
    expect(takeAll(shared, 0)).toBe(5);
  });
});

describe("the line", () => {
  test("is served in order, one for each token; who leaves is not served", () => {
    const shared = new SharedRate<string>(messagesOnly(1), 0);
    takeAll(shared, 0);
    for (const waiter of ["a", "b", "c"]) shared.wait(waiter);
    expect([shared.isAwaited, shared.next(0), shared.nextMs(0)]).toEqual([true, undefined, expect.closeTo(1_000)]);
    const served: Array<string | undefined> = [];
    shared.leave("b");
    for (let nowMs = 1_000; nowMs <= 3_000; nowMs += 1_000) {
      served.push(shared.next(nowMs));
      shared.charge(1, 1, nowMs);
      expect(shared.next(nowMs)).toBeUndefined();
    }
    expect(served).toEqual(["a", "c", undefined]);
    expect([shared.isAwaited, shared.nextMs(3_000)]).toEqual([false, Infinity]);
  });
});

const MOST_BYTES = 500;
/** At most a second each: a bucket that is not emptied would be full for a while, and lose what comes back. */
const STEPS = fc.array(fc.record({ ms: fc.nat(900), bytes: fc.nat(MOST_BYTES) }), { maxLength: 60 });
const PER_SECOND = { messages: fc.integer({ min: 1, max: 50 }), bytes: fc.integer({ min: 1, max: 2_000 }) };

test("property: never more than the rates and a second's worth of each, but for the message that was the last", () => {
  fc.assert(
    fc.property(PER_SECOND.messages, PER_SECOND.bytes, STEPS, (messagesPerSecond, bytesPerSecond, steps) => {
      const shared = new SharedRate<string>({ messagesPerSecond, bytesPerSecond }, 0);
      let [nowMs, messages, bytes] = [0, 0, 0];
      for (const step of steps) {
        nowMs += step.ms;
        const taken = takeAll(shared, nowMs, step.bytes);
        messages += taken;
        bytes += taken * step.bytes;
        expect(messages).toBeLessThanOrEqual(messagesPerSecond * (1 + nowMs / 1_000) + 1e-3);
        expect(bytes).toBeLessThanOrEqual(bytesPerSecond * (1 + nowMs / 1_000) + MOST_BYTES);
      }
    }),
  );
});

test("property: who always asks is given all that the rate allows", () => {
  fc.assert(
    fc.property(PER_SECOND.bytes, STEPS, (bytesPerSecond, steps) => {
      const shared = new SharedRate<string>({ messagesPerSecond: Infinity, bytesPerSecond }, 0);
      let [nowMs, bytes] = [0, takeAll(shared, 0)];
      for (const step of steps) {
        nowMs += step.ms;
        bytes += takeAll(shared, nowMs, 1 + step.bytes) * (1 + step.bytes);
        expect(bytes).toBeGreaterThan(bytesPerSecond * (1 + nowMs / 1_000) - 1 - 1e-3);
      }
    }),
  );
});

test("property: links that wait are served in turn, whatever they take", () => {
  fc.assert(
    fc.property(
      PER_SECOND.bytes,
      fc.array(fc.nat(MOST_BYTES), { minLength: 20, maxLength: 60 }),
      (perSecond, sizes) => {
        const shared = new SharedRate<string>({ messagesPerSecond: Infinity, bytesPerSecond: perSecond }, 0);
        for (const waiter of ["a", "b", "c"]) shared.wait(waiter);
        let nowMs = 0;
        const served = sizes.map((bytes) => {
          nowMs = Math.max(nowMs, shared.nextMs(nowMs));
          const next = shared.next(nowMs);
          shared.charge(1, bytes, nowMs);
          if (next !== undefined) shared.wait(next);
          return next;
        });
        expect(served).toEqual(sizes.map((_, at) => ["a", "b", "c"][at % 3]));
      },
    ),
  );
});
