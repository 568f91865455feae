import { expect, test } from "vitest";
import { Life } from "../../src/link/life.ts";
import type { Clock } from "../../src/link/ports.ts";
import type { StateChange } from "../../src/index.ts";

function setUp() {
  const deferred: Array<() => void> = [];
  const time = { ms: 0 };
  const clock: Clock = {
    now: () => time.ms,
    wallMs: () => time.ms,
    defer: (run, of) => void deferred.push(() => run(of)),
    afterPoll: (run, of) => void deferred.push(() => run(of)),
    spread: (run, of) => void deferred.push(() => run(of)),
    timer: () => ({ set: () => {}, clear: () => {}, holdProcess: () => {} }),
  };
  const changes: StateChange[] = [];
  const life = new Life(clock, { onChange: (change) => void changes.push(change) });
  return { life, changes, deferred, time };
}

test("moves as the table says, and does nothing where it has no such transition", () => {
  const { life, changes, time } = setUp();
  expect(life.state).toBe("created");
  life.to("suspected", { reason: "no" });
  expect(changes).toEqual([]);
  time.ms = 5;
  expect(life.stateForMs).toBe(5);
  life.to("dial", { reason: "opened", attempt: 1 });
  expect(life.stateForMs).toBe(0);
  life.to("end", { reason: "gave-up" });
  life.to("adopted", { reason: "late", attempt: 1, session: "new" });
  expect(changes).toEqual([
    { from: "created", to: "connecting", reason: "opened", attempt: 1 },
    { from: "connecting", to: "closed", reason: "gave-up" },
  ]);
});

test("measures a recovery from the first loss", () => {
  const { life, time } = setUp();
  expect(life.connectionAdopted()).toBeUndefined();
  expect([life.reconnects, life.recoveryMs]).toEqual([0, undefined]);
  time.ms = 10;
  life.connectionLost();
  time.ms = 20;
  life.connectionLost();
  time.ms = 35;
  expect(life.connectionAdopted()).toBe(25);
  expect([life.reconnects, life.recoveryMs]).toEqual([1, 25]);
  expect(life.connectionAdopted()).toBeUndefined();
});

test("emissions wait until they are let go; those that come from within come after", () => {
  const { life } = setUp();
  const seen: number[] = [];
  life.later(() => {
    seen.push(1);
    life.later(() => seen.push(4));
    life.emitAll();
    seen.push(2);
  });
  life.later(() => seen.push(3));
  expect(seen).toEqual([]);
  life.emitAll();
  expect(seen).toEqual([1, 2, 3, 4]);
});

test("an emission that throws stops no other, and its error is thrown later", () => {
  const { life, deferred } = setUp();
  const seen: number[] = [];
  life.later(() => {
    throw new Error("mine");
  });
  life.later(() => seen.push(1));
  life.emitAll();
  expect(seen).toEqual([1]);
  expect(deferred).toHaveLength(1);
  expect(deferred[0]).toThrow("mine");
});
