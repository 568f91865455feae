import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Account, Allowance, Flight, RoundTrip } from "../../../src/core/log/window.ts";
import { runs } from "../../properties.ts";
import { CountingBudget } from "../support.ts";

const KIB = 1_024;
const FIRST_FLIGHT_BYTES = 64 * KIB;

describe("allowance", () => {
  test("many links share a budget: together never above it, each between its floor and its most, nothing leaks", () => {
    const size = fc.nat({ max: 200 });
    const link = fc.record({ floor: size, most: size });
    const step = fc.record({
      link: fc.nat(),
      do: fc.constantFrom("grow" as const, "grow to" as const, "shrink" as const, "give back" as const),
      bytes: fc.nat({ max: 300 }),
    });
    fc.assert(
      fc.property(
        fc.nat({ max: 600 }),
        fc.array(link, { minLength: 1, maxLength: 5 }),
        fc.array(step, { maxLength: 40 }),
        (budgetBytes, links, steps) => {
          const budget = new CountingBudget(budgetBytes);
          const allowances = links.map(({ floor, most }) => new Allowance(floor, most, budget));
          for (const { link: at, do: what, bytes } of steps) {
            const allowance = allowances[at % allowances.length] as Allowance;
            const before = allowance.size;
            const share = Math.floor((budget.freeBytes + before - allowance.floor) / 2);
            if (what === "grow" || what === "grow to") {
              const grew = what === "grow" ? allowance.grow() : allowance.growTo(bytes);
              const wanted = what === "grow" ? 2 * before : bytes;
              const allowed = Math.min(wanted, allowance.most, allowance.floor + share);
              expect(allowance.size).toBe(Math.max(before, allowed));
              expect(grew).toBe(allowance.size > before);
            } else if (what === "shrink") {
              allowance.shrinkTo(bytes);
              expect(allowance.size).toBe(Math.min(before, Math.max(bytes, allowance.floor)));
            } else {
              allowance.giveBack(bytes);
              expect(allowance.size).toBe(Math.min(before, Math.max(bytes, allowance.floor + share)));
            }
            let above = 0;
            for (const { floor, most, size: now } of allowances) {
              expect(now).toBeGreaterThanOrEqual(floor);
              expect(now).toBeLessThanOrEqual(Math.max(floor, most));
              above += now - floor;
            }
            expect(budget.taken).toBe(above);
            expect(above).toBeLessThanOrEqual(budgetBytes);
          }
          for (const allowance of allowances) allowance.shrinkTo(0);
          expect(budget.taken).toBe(0);
        },
      ),
      { numRuns: runs(200) },
    );
  });

  test("a link begins with its floor: it borrows when it is asked to grow", () => {
    const budget = new CountingBudget(100);
    const allowance = new Allowance(50, 1_000, budget);
    expect([allowance.size, budget.taken]).toEqual([50, 0]);
    expect(allowance.growTo(70)).toBe(true);
    expect([allowance.size, budget.taken]).toEqual([70, 20]);
  });

  test("a floor above the most is given all the same: less than a message would be a deadlock", () => {
    const budget = new CountingBudget(0);
    const allowance = new Allowance(1_000, 512, budget);
    expect(allowance.size).toBe(1_000);
    expect(allowance.most).toBe(1_000);
    expect(allowance.grow()).toBe(false);
  });

  test("one greedy link gets half of the budget, and each that comes later half of what is then left", () => {
    const budget = new CountingBudget(1_200);
    const links = Array.from({ length: 4 }, () => new Allowance(10, 10_000, budget));
    const sizes = links.map((link) => {
      link.growTo(Infinity);
      return link.size;
    });
    expect(sizes).toEqual([610, 310, 160, 85]);
  });

  test("those that came first give back as others come, until all have the same", () => {
    const budget = new CountingBudget(1_200);
    const links = Array.from({ length: 3 }, () => new Allowance(10, 10_000, budget));
    for (let round = 0; round < 20; round++) {
      for (const link of links) {
        link.growTo(Infinity);
        link.giveBack(0);
      }
    }
    for (const { size } of links) expect(Math.abs(size - 310)).toBeLessThanOrEqual(2);
  });

  test("a link that has no more than its share gives nothing back, be it exactly its share", () => {
    const budget = new CountingBudget(1_200);
    const [first, second] = [new Allowance(10, 10_000, budget), new Allowance(10, 10_000, budget)];
    first.growTo(410);
    second.growTo(410);
    expect(budget.freeBytes).toBe(400);
    first.giveBack(0);
    second.giveBack(0);
    expect([first.size, second.size]).toEqual([410, 410]);
    new Allowance(10, 10_000, budget).growTo(12);
    first.giveBack(0);
    expect([first.size, second.size]).toEqual([409, 410]);
  });

  test("what was promised is not given back, however much more than its share that is", () => {
    const budget = new CountingBudget(1_200);
    const first = new Allowance(10, 10_000, budget);
    first.growTo(Infinity);
    new Allowance(10, 10_000, budget).growTo(Infinity);
    first.giveBack(600);
    expect(first.size).toBe(600);
    first.giveBack(500);
    expect(first.size).toBe(500);
  });
});

describe("account", () => {
  test("charges what is above its minimum, however it came to that, and gives it back", () => {
    const budget = new CountingBudget(100);
    const account = new Account(50, budget);
    account.hold(40);
    expect([budget.taken, account.mostBytes]).toEqual([0, 100]);
    account.hold(40);
    expect([budget.taken, account.mostBytes]).toEqual([30, 100]);
    account.hold(-20);
    expect(budget.taken).toBe(10);
    account.hold(-60);
    expect([budget.taken, account.heldBytes]).toEqual([0, 0]);
  });

  test("has its minimum also where others had to take more than there was", () => {
    const budget = new CountingBudget(100);
    new Account(0, budget).hold(300);
    const account = new Account(50, budget);
    expect([budget.freeBytes, account.mostBytes]).toEqual([-200, 50]);
    account.hold(50);
    expect([budget.taken, account.mostBytes]).toEqual([300, 50]);
    account.hold(1);
    expect([budget.taken, account.mostBytes]).toEqual([301, 50]);
  });
});

describe("round trip", () => {
  test("the first sample counts whole, each later one an eighth, and the least is kept", () => {
    const roundTrip = new RoundTrip();
    expect(roundTrip.smoothedMs).toBeUndefined();
    roundTrip.sample(80);
    expect(roundTrip.smoothedMs).toBe(80);
    roundTrip.sample(160);
    expect(roundTrip.smoothedMs).toBe(90);
    roundTrip.sample(10);
    expect(roundTrip.smoothedMs).toBe(80);
    expect(roundTrip.leastMs).toBe(10);
  });
});

describe("flight", () => {
  test("doubles each time a full flight was received quickly, up to 16 MiB", () => {
    const { flight, fly } = path(40);
    for (let limit = FIRST_FLIGHT_BYTES; limit < 16_384 * KIB; limit *= 2) {
      expect(flight.limitBytes).toBe(limit);
      fly(limit, 40);
    }
    expect(flight.limitBytes).toBe(16_384 * KIB);
    fly(flight.limitBytes, 40);
    expect(flight.limitBytes).toBe(16_384 * KIB);
  });

  test("does not grow for a sender that did not fill it", () => {
    const { flight, fly } = path(40);
    for (let trip = 0; trip < 10; trip++) fly(FIRST_FLIGHT_BYTES - 1, 40);
    expect(flight.limitBytes).toBe(FIRST_FLIGHT_BYTES);
  });

  test("that was filled once does not grow again until it is filled again", () => {
    const { flight, fly } = path(40);
    fly(FIRST_FLIGHT_BYTES, 40);
    fly(1_000, 40);
    expect(flight.limitBytes).toBe(2 * FIRST_FLIGHT_BYTES);
  });

  test("is cut to what the path carries in a round trip and half a second, when it queued up for longer", () => {
    const { flight, fly } = path(100);
    for (let trip = 0; trip < 6; trip++) fly(flight.limitBytes, 100);
    expect(flight.limitBytes).toBe(4_096 * KIB);
    fly(4_096 * KIB, 2_400); // 4 MiB in 2.4 s: 1 MiB in 600 ms
    expect(flight.limitBytes).toBe(1_024 * KIB);
  });

  test("may wait for a round trip and half a second without being cut", () => {
    const { flight, fly } = path(100);
    fly(FIRST_FLIGHT_BYTES, 100);
    fly(2 * FIRST_FLIGHT_BYTES, 600);
    expect(flight.limitBytes).toBe(4 * FIRST_FLIGHT_BYTES);
    fly(4 * FIRST_FLIGHT_BYTES, 601);
    expect(flight.limitBytes).toBeLessThan(4 * FIRST_FLIGHT_BYTES);
  });

  test("is never cut below its first size, however slow the path", () => {
    const { flight, fly } = path(100);
    fly(FIRST_FLIGHT_BYTES, 100);
    fly(FIRST_FLIGHT_BYTES, 60_000);
    expect(flight.limitBytes).toBe(FIRST_FLIGHT_BYTES);
  });

  test("is not raised by being slow", () => {
    const { flight, fly } = path(100);
    fly(1_000, 100);
    fly(64 * FIRST_FLIGHT_BYTES, 700); // more than the limit, carried fast, yet it queued
    expect(flight.limitBytes).toBe(FIRST_FLIGHT_BYTES);
  });

  test("what fills it after the timed stretch was written counts as filled too", () => {
    const roundTrip = new RoundTrip();
    const flight = new Flight(roundTrip);
    flight.onWritten(10_000, 0, 0);
    flight.onWritten(FIRST_FLIGHT_BYTES, 0, 5);
    flight.onReceived(10_000, 40);
    expect(flight.limitBytes).toBe(2 * FIRST_FLIGHT_BYTES);
    expect(roundTrip.smoothedMs).toBe(40);
  });

  test("a report of a part ends no measurement, and one measurement runs at a time", () => {
    const roundTrip = new RoundTrip();
    const flight = new Flight(roundTrip);
    flight.onReceived(5, 10);
    expect(roundTrip.smoothedMs).toBeUndefined();
    flight.onWritten(1_000, 0, 100);
    flight.onWritten(2_000, 0, 150);
    flight.onReceived(999, 160);
    expect(roundTrip.smoothedMs).toBeUndefined();
    flight.onReceived(1_500, 180);
    expect(roundTrip.smoothedMs).toBe(80);
    flight.onReceived(2_000, 999);
    expect(roundTrip.smoothedMs).toBe(80);
  });
});

/** A flight on a path whose quickest trip is known. `fly` writes so much and has it all received `tookMs` later. */
function path(leastMs: number): { flight: Flight; fly: (bytes: number, tookMs: number) => void } {
  const roundTrip = new RoundTrip();
  roundTrip.sample(leastMs);
  const flight = new Flight(roundTrip);
  let received = 0;
  let nowMs = 0;
  const fly = (bytes: number, tookMs: number): void => {
    flight.onWritten(received + bytes, received, nowMs);
    received += bytes;
    nowMs += tookMs;
    flight.onReceived(received, nowMs);
  };
  return { flight, fly };
}
