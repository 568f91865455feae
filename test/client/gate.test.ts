import { expect, test } from "vitest";
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
    enter: (name: string) =>
      void gate.enter(never).then((left) => {
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

test("no more begin in a second than allowed, after a short burst", async () => {
  const clock = new ManualClock(1_000);
  const gate = new DialGate(clock, 1_000, 100);
  const { entered, enter } = entering(gate);
  for (let i = 0; i < 100; i++) enter(String(i));
  await settled();
  expect(entered.length).toBe(11);
  for (let i = 0; i < 50; i++) {
    clock.pass(10);
    await settled();
  }
  expect(entered.length).toBe(61);
});

test("one that is aborted while it waits takes no place", async () => {
  const clock = new ManualClock(1_000);
  const gate = new DialGate(clock, 1, 1_000);
  const leave = await gate.enter(never);
  const controller = new AbortController();
  const waiting = failure(gate.enter(controller.signal));
  controller.abort(new RespliceError("LINK_ENDED", "gone"));
  expect(await waiting).toMatchObject({ code: "LINK_ENDED" });
  expect(await failure(gate.enter(controller.signal))).toMatchObject({ code: "LINK_ENDED" });
  leave();
  expect(gate.inFlight).toBe(0);
  (await gate.enter(never))();
});

test("16 standbys, and no more", () => {
  const gate = new DialGate(new ManualClock(0), 64, 200);
  const places = Array.from({ length: 16 }, () => gate.tryStandby());
  expect(places.every((place) => place !== undefined)).toBe(true);
  expect(gate.tryStandby()).toBeUndefined();
  places[0]?.();
  expect(gate.tryStandby()).toBeDefined();
});

/** An array filtered at each abort would take ten times as long. */
test("of 20,000 attempts that wait each is given up in constant time", async () => {
  const gate = new DialGate(new ManualClock(1_000), 1, 1_000);
  await gate.enter(never);
  const waiting = Array.from({ length: 20_000 }, () => new AbortController());
  const outcomes = waiting.map(({ signal }) =>
    gate.enter(signal).then(
      () => true,
      () => false,
    ),
  );
  const beganMs = performance.now();
  for (const controller of waiting) controller.abort("enough");
  expect(performance.now() - beganMs).toBeLessThan(5_000);
  expect((await Promise.all(outcomes)).includes(true)).toBe(false);
});
