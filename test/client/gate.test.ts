import fc from "fast-check";
import { expect, test } from "vitest";
import { mostWithin } from "../../bench/statistics.ts";
import { DialGate } from "../../src/client/gate.ts";
import { failure, ManualClock } from "../support.ts";
import { RespliceError } from "../../src/index.ts";

const never = new AbortController().signal;

/** Whoever has entered, by name, as it happens. */
function entering(gate: DialGate) {
  const entered: string[] = [];
  const leave: Record<string, () => void> = {};
  return {
    entered,
    leave,
    /** `to`: by default all go to one destination. */
    enter: (name: string, to = "server") =>
      void gate.enter(to, never).then((left) => {
        entered.push(name);
        leave[name] = left;
      }),
  };
}

const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test("as many in flight as allowed, first come first served", async () => {
  const clock = new ManualClock(1_000);
  const gate = new DialGate(clock, 2, 1_000);
  const { entered, leave, enter } = entering(gate);
  for (const name of ["a", "b", "c", "d"]) enter(name);
  await settled();
  expect(entered).toEqual(["a", "b"]);
  expect(gate.inFlight).toBe(2);
  leave["a"]?.();
  leave["a"]?.();
  await settled();
  expect(entered).toEqual(["a", "b", "c"]);
  expect(gate.inFlight).toBe(2);
});

test("destinations take turns, however many wait for one of them", async () => {
  const clock = new ManualClock(1_000);
  const gate = new DialGate(clock, 100, 20);
  const { entered, enter } = entering(gate);
  for (const name of ["a1", "a2", "a3", "a4"]) enter(name, "a");
  for (const name of ["b1", "b2"]) enter(name, "b");
  enter("c1", "c");
  for (let n = 0; n < 8; n++) {
    clock.pass(50);
    await settled();
  }
  expect(entered).toEqual(["a1", "a2", "b1", "c1", "a3", "b2", "a4"]);
});

test("a destination that does not answer leaves a quarter of the places to others", async () => {
  const clock = new ManualClock(1_000);
  const gate = new DialGate(clock, 8, 1_000);
  const { entered, leave, enter } = entering(gate);
  for (let n = 0; n < 20; n++) enter(`silent ${n}`, "silent");
  clock.pass(1_000);
  await settled();
  expect(gate.inFlight).toBe(6);
  for (const name of ["b", "c", "d"]) enter(name, name);
  clock.pass(1_000);
  await settled();
  expect(entered.slice(6)).toEqual(["b", "c"]);
  leave["b"]?.();
  await settled();
  expect(entered.slice(8)).toEqual(["d"]);
  leave["silent 0"]?.();
  await settled();
  expect(entered.slice(9)).toEqual(["silent 6"]);
  expect(gate.inFlight).toBe(8);
});

test("no more begin in a second than allowed, after a short burst", async () => {
  const clock = new ManualClock(1_000);
  const gate = new DialGate(clock, 1_000, 100);
  const { entered, enter } = entering(gate);
  for (let i = 0; i < 100; i++) enter(String(i));
  await settled();
  expect(entered.length).toBe(5);
  for (let i = 0; i < 50; i++) {
    clock.pass(10);
    await settled();
  }
  expect(entered.length).toBe(55);
});

/** So many attempts that come, each time after a pause; then as many standbys as there is room for, or fewer. */
const turns = fc.array(
  fc.record({ ms: fc.nat({ max: 300 }), attempts: fc.nat({ max: 40 }), standbys: fc.nat({ max: 40 }) }),
  { maxLength: 30 },
);

test("in no second are there a tenth more dials than allowed, attempts and standbys together", () => {
  fc.assert(
    fc.property(
      fc.oneof(fc.integer({ min: 1, max: 20 }), fc.integer({ min: 1, max: 400 })),
      turns,
      (perSecond, given) => {
        const { clock, gate, attempt, standBy } = counting(perSecond);
        const dialsMs: number[] = [];
        const noting = (begin: () => number | void): void => {
          const before = gate.inFlight;
          const others = begin() ?? 0;
          for (let n = gate.inFlight - before + others; n > 0; n--) dialsMs.push(clock.now());
        };
        for (const { ms, attempts, standbys } of given) {
          for (let passed = 0; passed < ms; passed++) noting(() => clock.pass(1));
          noting(() => attempt(attempts));
          noting(() => standBy(standbys));
        }
        expect(mostWithin(dialsMs, 1_000)).toBeLessThanOrEqual(Math.ceil((11 * perSecond) / 10));
      },
    ),
  );
});

test("standbys have half of the dials, and attempts that wait have the others", () => {
  const { clock, gate, attempt, standBy } = counting(200);
  const inASecond = (): { attempts: number; standbys: number } => {
    const before = gate.inFlight;
    let standbys = 0;
    for (let ms = 0; ms < 1_000; ms++) {
      clock.pass(1);
      standbys += standBy(10);
    }
    return { attempts: gate.inFlight - before, standbys };
  };
  inASecond();
  expect(inASecond()).toEqual({ attempts: 0, standbys: 100 });
  attempt(1_000);
  inASecond();
  expect(inASecond()).toEqual({ attempts: 100, standbys: 100 });
});

/** A gate that has no other limit. Nothing but a dial of an attempt takes a place for good. */
function counting(perSecond: number) {
  const clock = new ManualClock(1_000);
  const gate = new DialGate(clock, 100_000, perSecond);
  return {
    clock,
    gate,
    attempt: (times: number): void => {
      // A signal looks through all of its listeners when one is added: each attempt has its own.
      for (let n = 0; n < times; n++) void gate.enter("server", new AbortController().signal);
    },
    /** Answers how many were let in. */
    standBy: (times: number): number => {
      let standbys = 0;
      for (let n = 0; n < times; n++) {
        const leave = gate.tryStandby();
        if (leave !== undefined) standbys++;
        leave?.();
      }
      return standbys;
    },
  };
}

test("one that is aborted while it waits takes no place", async () => {
  const clock = new ManualClock(1_000);
  const gate = new DialGate(clock, 1, 1_000);
  const leave = await gate.enter("server", never);
  const controller = new AbortController();
  const waiting = failure(gate.enter("server", controller.signal));
  controller.abort(new RespliceError("LINK_ENDED", "gone"));
  expect(await waiting).toMatchObject({ code: "LINK_ENDED" });
  expect(await failure(gate.enter("server", controller.signal))).toMatchObject({ code: "LINK_ENDED" });
  leave();
  expect(gate.inFlight).toBe(0);
  (await gate.enter("server", never))();
});

test("no timer is left when the last one that waits is aborted", async () => {
  const clock = new ManualClock(1_000);
  const gate = new DialGate(clock, 10, 1);
  (await gate.enter("server", never))();
  const controllers = [new AbortController(), new AbortController()];
  const waiting = controllers.map(({ signal }) => failure(gate.enter("server", signal)));
  controllers[0]?.abort(new RespliceError("LINK_ENDED", "gone"));
  expect(clock.isAwaited).toBe(true);
  controllers[1]?.abort(new RespliceError("LINK_ENDED", "gone"));
  await Promise.all(waiting);
  expect(clock.isAwaited).toBe(false);
});

test("16 standbys, and no more", () => {
  const gate = new DialGate(new ManualClock(0), 64, 1_000);
  const places = Array.from({ length: 16 }, () => gate.tryStandby());
  expect(places.every((place) => place !== undefined)).toBe(true);
  expect(gate.tryStandby()).toBeUndefined();
  places[0]?.();
  expect(gate.tryStandby()).toBeDefined();
});

/** An array filtered at each abort would take ten times as long. */
test("of 20,000 attempts that wait each is given up in constant time", async () => {
  const gate = new DialGate(new ManualClock(1_000), 1, 1_000);
  await gate.enter("server", never);
  const waiting = Array.from({ length: 20_000 }, () => new AbortController());
  const outcomes = waiting.map(({ signal }) =>
    gate.enter("server", signal).then(
      () => true,
      () => false,
    ),
  );
  const beganMs = performance.now();
  for (const controller of waiting) controller.abort("enough");
  expect(performance.now() - beganMs).toBeLessThan(5_000);
  expect((await Promise.all(outcomes)).includes(true)).toBe(false);
});
