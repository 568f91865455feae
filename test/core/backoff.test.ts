import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Backoff, backoffDelayMs, type BackoffOptions, QUICK_RETRY_WITHIN_MS } from "../../src/core/backoff.ts";
import { seeded } from "../../src/testing/random.ts";

const OPTIONS: BackoffOptions = { minDelayMs: 500, maxDelayMs: 30_000, resetAfterMs: 10_000 };

const random = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });
const outageMs = fc.oneof(fc.nat({ max: 10_000 }), fc.nat({ max: 100_000_000 }));
const failures = fc.integer({ min: 1, max: 1_000 });
const options = fc
  .tuple(fc.integer({ min: 1, max: 60_000 }), fc.nat({ max: 600_000 }))
  .map(([minDelayMs, above]) => ({ minDelayMs, maxDelayMs: minDelayMs + above, resetAfterMs: 10_000 }));

describe("a delay", () => {
  test("before the first retry is within a quarter of a second, or less where the least delay is shorter", () => {
    fc.assert(
      fc.property(outageMs, options, random, (outage, given, drawn) => {
        const delayMs = backoffDelayMs(0, outage, given, drawn);
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(QUICK_RETRY_WITHIN_MS);
        expect(delayMs).toBeLessThanOrEqual(given.minDelayMs);
      }),
    );
  });

  test("before a later retry is between half of the least and the most, and within a tenth of the outage", () => {
    fc.assert(
      fc.property(failures, outageMs, options, random, (failed, outage, given, drawn) => {
        const delayMs = backoffDelayMs(failed, outage, given, drawn);
        expect(delayMs).toBeGreaterThanOrEqual(given.minDelayMs / 2);
        expect(delayMs).toBeLessThanOrEqual(given.maxDelayMs);
        expect(delayMs).toBeLessThanOrEqual(Math.max(given.minDelayMs, outage / 10));
      }),
    );
  });

  test("grows with the outage", () => {
    fc.assert(
      fc.property(failures, outageMs, outageMs, options, random, (failed, one, other, given, drawn) => {
        const delayMs = (outage: number): number => backoffDelayMs(failed, outage, given, drawn);
        expect(delayMs(Math.max(one, other))).toBeGreaterThanOrEqual(delayMs(Math.min(one, other)));
      }),
    );
  });

  test.each([
    [0, 0, 0, 0],
    [0, 100_000, 1, 200],
    [1, 0, 0, 250],
    [1, 0, 1, 500],
    [1, 100_000, 0, 5_000],
    [1, 100_000, 1, 10_000],
    [50, 100_000, 1, 10_000],
    [1, 300_000, 1, 30_000],
    [1, 10_000_000, 1, 30_000],
  ])("after %d failures and %d ms of outage, drawn at %d, is %d ms", (failed, outage, drawn, delayMs) => {
    expect(backoffDelayMs(failed, outage, OPTIONS, drawn)).toBeCloseTo(delayMs);
  });

  test("is another for each of the links that lost the same server", () => {
    fc.assert(
      fc.property(fc.nat({ max: 20 }), outageMs, random, random, (failed, outage, one, other) => {
        fc.pre(Math.abs(one - other) > 0.01);
        expect(backoffDelayMs(failed, outage, OPTIONS, one)).not.toBe(backoffDelayMs(failed, outage, OPTIONS, other));
      }),
    );
  });

  test("that a server asks for is waited for, and at most a tenth more", () => {
    fc.assert(
      fc.property(failures, fc.integer({ min: 500, max: 29_999 }), random, (failed, askedMs, drawn) => {
        const backoff = new Backoff(OPTIONS, 0);
        for (let failure = 0; failure < failed; failure++) backoff.onFailed();
        const delayMs = backoff.delayMs(askedMs, 1_000_000, drawn);
        expect(delayMs).toBeGreaterThanOrEqual(askedMs);
        expect(delayMs).toBeLessThanOrEqual(askedMs * 1.1);
      }),
    );
    const backoff = new Backoff(OPTIONS, 0);
    expect(backoff.delayMs(1_000, 0, 0.5)).not.toBe(backoff.delayMs(1_000, 0, 0.9));
  });

  test("that a server asks for stays within the client's own bounds, whatever it asks for", () => {
    const asked = fc.oneof(fc.integer({ min: 1, max: 100 }), fc.integer({ min: 1, max: 0xffff_ffff }));
    fc.assert(
      fc.property(failures, asked, options, random, (failed, askedMs, given, drawn) => {
        const backoff = new Backoff(given, 0);
        for (let failure = 0; failure < failed; failure++) backoff.onFailed();
        const delayMs = backoff.delayMs(askedMs, 1_000_000, drawn);
        expect(delayMs).toBeGreaterThanOrEqual(given.minDelayMs);
        expect(delayMs).toBeLessThanOrEqual(given.maxDelayMs);
      }),
    );
  });

  test.each([
    [1, 0, 500],
    [1, 1, 550],
    [10_000, 0, 10_000],
    [10_000, 1, 11_000],
    [29_000, 1, 30_000],
    [30_000, 0, 30_000],
    [30_000, 1, 27_000],
    [0xffff_ffff, 0, 30_000],
    [0xffff_ffff, 1, 27_000],
  ])("asked for %d ms, drawn at %d, is %d ms", (askedMs, drawn, delayMs) => {
    expect(new Backoff(OPTIONS, 0).delayMs(askedMs, 0, drawn)).toBeCloseTo(delayMs);
  });
});

describe("an outage", () => {
  test("lasts from the beginning until there is a connection, and each failure counts", () => {
    const backoff = new Backoff(OPTIONS, 1_000);
    expect(backoff.delayMs(0, 1_000, 0.5)).toBe(100);
    backoff.onFailed();
    backoff.onFailed();
    expect([backoff.failures, backoff.outageMs(201_000)]).toEqual([2, 200_000]);
    expect(backoff.delayMs(0, 201_000, 0)).toBe(10_000);
  });

  test("after a connection that held is a new one: the first retry is quick", () => {
    const backoff = new Backoff(OPTIONS, 0);
    backoff.onFailed();
    backoff.onConnected(60_000);
    backoff.onLost(100_000);
    expect([backoff.failures, backoff.outageMs(100_500)]).toEqual([0, 500]);
    expect(backoff.delayMs(0, 100_000, 0.99)).toBeLessThan(200);
  });

  test("is over as soon as the network is known to be back", () => {
    const backoff = new Backoff(OPTIONS, 0);
    backoff.onFailed();
    backoff.restart(90_000);
    expect([backoff.failures, backoff.outageMs(90_000)]).toEqual([0, 0]);
    backoff.onFailed();
    expect(backoff.delayMs(0, 90_000, 1)).toBe(500);
  });

  test("begins once: a loss that is told twice, or without a connection, changes nothing", () => {
    const backoff = new Backoff(OPTIONS, 0);
    backoff.onFailed();
    backoff.onLost(5_000);
    expect([backoff.failures, backoff.outageMs(5_000)]).toEqual([1, 5_000]);
    backoff.onConnected(6_000);
    backoff.onLost(7_000);
    backoff.onFailed();
    backoff.onLost(8_000);
    expect([backoff.failures, backoff.outageMs(8_000)]).toEqual([1, 1_000]);
  });
});

describe("a server that asks a connected client to come back later", () => {
  function shed(askedMs: number, drawn: number, given: Partial<BackoffOptions> = {}): Backoff {
    const backoff = new Backoff({ ...OPTIONS, ...given }, 0);
    backoff.onConnected(0);
    backoff.onLost(60_000);
    backoff.onShed(askedMs, 60_000, drawn);
    return backoff;
  }

  test.each([
    [2_000, 0, 2_000],
    [2_000, 1, 2_200],
    [30_000, 0, 30_000],
    [30_000, 1, 33_000],
    [0xffff_ffff, 0, 30_000],
    [0xffff_ffff, 1, 33_000],
  ])(
    "asked for %d ms, drawn at %d: the dial waits for %d ms, whatever the client's own maximum",
    (asked, drawn, ms) => {
      expect(shed(asked, drawn).delayMs(0, 60_000, 0.5)).toBeCloseTo(ms);
      expect(shed(asked, drawn, { maxDelayMs: 1_000 }).delayMs(0, 60_000, 0.5)).toBeCloseTo(ms);
    },
  );

  test("never dials sooner than asked, nor more than a tenth later, in the bounds of half a minute", () => {
    const asked = fc.nat({ max: 60_000 });
    fc.assert(
      fc.property(asked, options, random, random, fc.nat({ max: 70_000 }), (askedMs, given, one, other, afterMs) => {
        const backoff = shed(askedMs, one, given);
        const atMs = afterMs + backoff.delayMs(0, 60_000 + afterMs, other);
        const awayMs = Math.min(30_000, askedMs);
        // Where less was asked than the client waits by itself, that counts.
        const ownMs = afterMs + Math.max(given.minDelayMs, given.maxDelayMs, 200);
        return atMs >= awayMs - 0.001 && atMs <= Math.max(1.1 * awayMs, ownMs) + 0.001;
      }),
    );
  });

  test("the time is no part of the outage, and no failure: the first dial after it is followed by quick ones", () => {
    const backoff = shed(20_000, 0);
    expect([backoff.failures, backoff.outageMs(80_000)]).toEqual([0, 0]);
    expect(backoff.delayMs(0, 80_000, 0.99)).toBeLessThan(200);
    backoff.onFailed();
    expect(backoff.delayMs(0, 80_000, 1)).toBe(500);
  });

  test("a server that lets in and asks so at once, again and again, is met with delays that grow", () => {
    const backoff = new Backoff(OPTIONS, 0);
    let nowMs = 0;
    for (let times = 0; times < 200; times++) {
      backoff.onConnected(nowMs);
      backoff.onLost(nowMs + 1);
      backoff.onShed(1, nowMs + 1, 0);
      nowMs += 1 + backoff.delayMs(0, nowMs + 1, 0);
    }
    expect(backoff.delayMs(0, nowMs, 0)).toBeGreaterThan(1_000);
  });

  test.each([
    ["the network is known to be back", (backoff: Backoff) => backoff.restart(60_001)],
    [
      "another connection was let in meanwhile",
      (backoff: Backoff) => {
        backoff.onConnected(60_001);
        backoff.onLost(60_001);
      },
    ],
  ])("is not heeded any more when %s", (_, happen) => {
    const backoff = shed(20_000, 0);
    happen(backoff);
    expect(backoff.delayMs(0, 60_001, 0.99)).toBeLessThan(200);
  });
});

describe("short connections", () => {
  test("a path that is cut every second is back at once each time", () => {
    const backoff = new Backoff(OPTIONS, 0);
    for (let nowMs = 0; nowMs < 100_000; nowMs += 1_000) {
      backoff.onConnected(nowMs);
      backoff.onLost(nowMs + 1_000);
      expect(backoff.delayMs(0, nowMs + 1_000, 0.99)).toBeLessThan(200);
    }
  });

  test("a server that accepts and closes gets ten quick retries, then delays that grow", () => {
    const backoff = new Backoff(OPTIONS, 0);
    const delaysMs: number[] = [];
    for (let nowMs = 0; nowMs < 1_000_000;) {
      backoff.onConnected(nowMs);
      backoff.onLost(nowMs + 1);
      delaysMs.push(backoff.delayMs(0, nowMs + 1, 0.99));
      nowMs += 1 + (delaysMs.at(-1) as number);
    }
    expect(delaysMs.findIndex((delayMs) => delayMs > 200)).toBe(10);
    expect(Math.max(...delaysMs)).toBeGreaterThan(25_000);
    expect(delaysMs.length).toBeLessThan(150);
  });

  test.each([1, 30, 100, 300, 499])(
    "where each is closed after %d ms a link dials at most ten times in its second ten seconds",
    (heldMs) => {
      const runs = 200;
      const drawn = seeded(1);
      let dials = 0;
      for (let run = 0; run < runs; run++) {
        const backoff = new Backoff(OPTIONS, 0);
        for (let nowMs = 0; nowMs < 20_000; nowMs += backoff.delayMs(0, nowMs, drawn())) {
          if (nowMs >= 10_000) dials++;
          backoff.onConnected(nowMs);
          nowMs += heldMs;
          backoff.onLost(nowMs);
        }
      }
      expect(dials / runs).toBeLessThan(10);
      expect(dials / runs).toBeGreaterThan(5);
    },
  );

  test("begin no outage of their own before they have lasted a twentieth of the time to reset", () => {
    for (const [heldMs, countedMs] of [
      [499, 60_499],
      [500, 0],
    ] as const) {
      const backoff = new Backoff(OPTIONS, 0);
      backoff.onFailed();
      backoff.onConnected(60_000);
      backoff.onLost(60_000 + heldMs);
      expect([backoff.failures, backoff.outageMs(60_000 + heldMs)]).toEqual([0, countedMs]);
    }
  });

  test("one that held for the whole time to reset gives all quick retries back, and no more than those", () => {
    const backoff = new Backoff(OPTIONS, 0);
    const quickRetries = (nowMs: number): number => {
      for (let quick = 0; ; quick++) {
        backoff.onConnected(nowMs);
        backoff.onLost(nowMs);
        if (backoff.failures > 0) return quick;
      }
    };
    expect(quickRetries(0)).toBe(10);
    expect(quickRetries(1_000)).toBe(0);
    backoff.onConnected(1_000);
    backoff.onLost(2_000);
    expect(backoff.failures).toBe(0);
    expect(quickRetries(2_000)).toBe(0);
    backoff.onConnected(2_000);
    backoff.onLost(12_000);
    expect(backoff.failures).toBe(0);
    expect(quickRetries(12_000)).toBe(9);
    backoff.onConnected(20_000);
    backoff.onLost(120_000);
    expect(quickRetries(120_000)).toBe(9);
  });
});

describe("a connection that has brought nothing", () => {
  test("counts as an attempt that failed: the outage goes on", () => {
    const backoff = new Backoff(OPTIONS, 0);
    backoff.onConnected(100);
    expect([backoff.onUseless(200), backoff.failures, backoff.outageMs(200)]).toEqual([true, 1, 200]);
    backoff.onConnected(1_000);
    expect([backoff.onUseless(1_100), backoff.failures, backoff.outageMs(1_100)]).toEqual([true, 2, 1_100]);
    // It is forgotten: a loss that is told without a connection changes nothing.
    backoff.onLost(1_200);
    expect(backoff.failures).toBe(2);
  });

  test("is lost like any other if it has lasted", () => {
    const backoff = new Backoff(OPTIONS, 0);
    backoff.onConnected(0);
    expect([backoff.onUseless(OPTIONS.resetAfterMs), backoff.failures]).toEqual([false, 0]);
  });
});
