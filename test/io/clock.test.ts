import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { SystemClock } from "../../src/io/clock.ts";
import { fakeTime } from "../fake-time.ts";
import { runs } from "../properties.ts";
import { withUncaught } from "../support.ts";

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

const fakeClock = (): (() => void) => fakeTime({ toFake: ["setTimeout", "clearTimeout", "performance"] });

async function pass(ms: number): Promise<void> {
  vi.advanceTimersByTime(ms);
  await turn();
  await turn();
}

test("a timer runs once, when it is due, after the poll phase", async () => {
  fakeClock();
  const clock = new SystemClock();
  let times = 0;
  const timer = clock.timer(() => times++);
  timer.set(clock.now() + 10);
  await pass(9);
  expect(times).toBe(0);
  vi.advanceTimersByTime(1);
  expect(times).toBe(0);
  await turn();
  expect(times).toBe(1);
  await pass(100);
  expect(times).toBe(1);
});

test("it can be moved both ways, cleared, and set again from within", async () => {
  fakeClock();
  const clock = new SystemClock();
  const start = clock.now();
  const ran: Array<[string, number]> = [];
  const note = (name: string) => () => void ran.push([name, Math.round(clock.now() - start)]);
  const [earlier, later, cleared] = [clock.timer(note("earlier")), clock.timer(note("later")), clock.timer(note("no"))];
  earlier.set(start + 50);
  earlier.set(start + 10);
  later.set(start + 10);
  later.set(start + 30);
  cleared.set(start + 20);
  cleared.clear();
  let again = 0;
  const repeats = clock.timer(() => {
    note("again")();
    if (++again < 3) repeats.set(clock.now() + 20);
  });
  repeats.set(start + 5);
  for (let ms = 0; ms < 100; ms++) await pass(1);
  expect(ran).toEqual([
    ["again", 5],
    ["earlier", 10],
    ["again", 25],
    ["later", 30],
    ["again", 45],
  ]);
});

test("many timers, set and moved and cleared in any order, run in the order in which they are due", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(20), fc.nat(200), fc.boolean()), { minLength: 1, maxLength: 80 }),
      async (steps) => {
        const restore = fakeClock();
        const clock = new SystemClock();
        const start = clock.now();
        const ran: number[] = [];
        const due = new Map<number, number>();
        const timers = Array.from({ length: 21 }, (_, i) => clock.timer(() => void ran.push(i)));
        for (const [i, ms, clears] of steps) {
          if (clears) {
            timers[i]?.clear();
            due.delete(i);
          } else {
            timers[i]?.set(start + ms);
            due.set(i, ms);
          }
        }
        for (let ms = 0; ms <= 200; ms += 20) await pass(20);
        const times = ran.map((i) => due.get(i) as number);
        expect(times).toEqual(times.toSorted((a, b) => a - b));
        expect(ran.toSorted((a, b) => a - b)).toEqual([...due.keys()].toSorted((a, b) => a - b));
        restore();
      },
    ),
    { numRuns: runs(60) },
  );
});

test("one that throws does not stop the others", async () => {
  const clock = new SystemClock();
  const others = process.listeners("uncaughtException");
  process.removeAllListeners("uncaughtException");
  const uncaught: unknown[] = [];
  const keep = (error: unknown): void => void uncaught.push(error);
  process.on("uncaughtException", keep);
  try {
    clock
      .timer(() => {
        throw new Error("mine");
      })
      .set(clock.now());
    const ran = new Promise<string>((resolve) => clock.timer(() => resolve("ran")).set(clock.now() + 5));
    const tooLate = new Promise<string>((resolve) => setTimeout(() => resolve("too late"), 1_000));
    expect(await Promise.race([ran, tooLate])).toBe("ran");
    expect(uncaught).toMatchObject([{ message: "mine" }]);
  } finally {
    process.off("uncaughtException", keep);
    for (const other of others) process.on("uncaughtException", other);
  }
});

test("a deadline further away than a Node timer reaches", async () => {
  fakeClock();
  const clock = new SystemClock();
  let ran = false;
  clock
    .timer(() => {
      ran = true;
    })
    .set(clock.now() + 3_000_000_000);
  await pass(2_147_483_647);
  expect(ran).toBe(false);
  await pass(1_000_000_000);
  expect(ran).toBe(true);
});

test("defer runs after this turn, and now() never goes back", async () => {
  const clock = new SystemClock();
  const order: string[] = [];
  clock.defer(() => order.push("deferred"), undefined);
  order.push("now");
  await turn();
  expect(order).toEqual(["now", "deferred"]);
  const before = clock.now();
  expect(clock.now()).toBeGreaterThanOrEqual(before);
});

describe("spread()", () => {
  function busyFor(ms: number): void {
    const untilMs = performance.now() + ms;
    while (performance.now() < untilMs);
  }

  test("runs all in the order of the calls, those that come meanwhile at the end", async () => {
    const clock = new SystemClock();
    const seen: number[] = [];
    await new Promise<void>((resolve) => {
      const run = (n: number): void => {
        seen.push(n);
        if (n < 3) clock.spread(run, n + 10);
        if (n === 12) resolve();
      };
      for (let n = 0; n < 10; n++) clock.spread(run, n);
    });
    expect(seen).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
  });

  test("lets others have their turn in between", async () => {
    const clock = new SystemClock();
    const seen: string[] = [];
    await new Promise<void>((resolve) => {
      for (let n = 0; n < 10; n++) {
        clock.spread(() => {
          if (n === 0) setTimeout(() => seen.push("timer"), 1);
          busyFor(4);
          seen.push("run");
          if (n === 9) resolve();
        }, undefined);
      }
    });
    const at = seen.indexOf("timer");
    expect(at).toBeGreaterThan(0);
    expect(at).toBeLessThan(5);
  });

  test("runs less in each turn while that is wanted", async () => {
    let nowMs = 0;
    const clock = new (class extends SystemClock {
      override now(): number {
        return nowMs;
      }
    })();
    const turnsFor = async (number: number): Promise<number> => {
      let left = number;
      for (let n = 0; n < number; n++) {
        clock.spread(() => {
          nowMs += 0.6;
          left--;
        }, undefined);
      }
      let turns = 0;
      for (; left > 0; turns++) await turn();
      return turns;
    };
    expect(await turnsFor(12)).toBe(3);
    clock.spreadLess(true);
    expect(await turnsFor(12)).toBe(12);
    clock.spreadLess(false);
    expect(await turnsFor(12)).toBe(3);
  });

  test("one that throws keeps no other from its turn", async () => {
    const clock = new SystemClock();
    const uncaught = await withUncaught(
      () =>
        new Promise<void>((resolve) => {
          clock.spread(() => {
            throw new Error("mine");
          }, undefined);
          clock.spread(resolve, undefined);
        }),
    );
    expect(uncaught).toMatchObject([{ message: "mine" }]);
  });
});

test("the process is kept alive while a timer is set that keeps it, and by no other", () => {
  const clock = new SystemClock();
  const timers = (): number => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const before = timers();
  const [keeps, other] = [clock.timer(() => {}), clock.timer(() => {})];
  other.holdProcess(false);
  other.set(clock.now() + 100_000);
  expect(timers()).toBe(before);
  other.set(clock.now() + 90_000);
  expect(timers()).toBe(before);
  keeps.set(clock.now() + 200_000);
  expect(timers()).toBe(before + 1);
  other.set(clock.now() + 50_000);
  expect(timers()).toBe(before + 1);
  keeps.clear();
  expect(timers()).toBe(before);
  other.holdProcess(true);
  expect(timers()).toBe(before + 1);
  other.clear();
  expect(timers()).toBe(before);
});
