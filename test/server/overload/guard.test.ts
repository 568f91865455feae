import { expect, test } from "vitest";
import type { CustomResource } from "../../../src/index.ts";
import { guardInHand, NONE_OF_PROCESS, steps } from "./support.ts";

const ACTIONS = ["refuse-sessions", "evict-waiting", "shed"] as const;

/** A resource that reads what the test has put there. */
function dial(options: Partial<CustomResource> = {}) {
  const at = { value: 0 as number };
  return { at, custom: { level: { low: 10, high: 20, actions: ACTIONS, read: () => at.value, ...options } } };
}

test("a resource that stays high: one action a second, all taken back when it was low for five seconds", () => {
  const { at, custom } = dial();
  const { guard, relief, reports, sample } = guardInHand({ custom });
  guard.start();
  sample(8);
  expect(relief.done).toEqual([]);
  at.value = 25;
  sample(4);
  expect(steps(reports)).toEqual([]);
  sample(1);
  expect(relief.done).toEqual(["refuse-sessions: overloaded: level"]);
  sample(8);
  expect(relief.done.slice(1)).toEqual(["evict-waiting", "shed"]);
  at.value = 9;
  sample(20);
  expect(relief.done).toHaveLength(3);
  sample(1);
  expect(relief.done.slice(3)).toEqual(["refuse-sessions: "]);
  expect(steps(reports)).toEqual([
    "act refuse-sessions",
    "act evict-waiting",
    "act shed",
    "release refuse-sessions",
    "recover",
  ]);
  expect(reports[0]).toEqual({
    type: "act",
    resource: "level",
    observed: 25,
    threshold: 20,
    ageMs: 0,
    action: "refuse-sessions",
    victims: [],
    released: 0,
    dryRun: false,
  });
});

test("an action that would find nothing to do is passed over", () => {
  const { at, custom } = dial();
  const { guard, relief, sample } = guardInHand({ custom });
  relief.idle.add("refuse-sessions");
  relief.idle.add("evict-waiting");
  guard.start();
  at.value = 25;
  sample(5);
  expect(relief.done).toEqual(["shed"]);
});

test("a hundredth of the links is shed in a second, by whichever resource", () => {
  const actions = ["shed"] as const;
  const both = { low: 10, high: 20, actions, dwellMs: 0, critical: 20, read: () => 25 };
  const { guard, relief, sample } = guardInHand({ custom: { one: both, other: both } });
  relief.released = { victims: Array.from({ length: 6 }, (_, n) => `link ${n}`) };
  guard.start();
  sample(1);
  expect(relief.terms.map(({ mostShed }) => mostShed)).toEqual([10, 4]);
  expect(relief.terms.map(({ resource }) => resource)).toEqual(["one", "other"]);
});

test.each([
  [99, ["read-less: overloaded: lag", "refuse-sessions: overloaded: lag"]],
  [100, ["read-less: overloaded: lag", "refuse-sessions: overloaded: lag", "shed"]],
])("a loop that is busy with %i links", (links, expected) => {
  // In place of the buffers', a reader of a lag that the test has made up.
  const buffers = { name: "lag", read: () => ({ observed: 60, limit: undefined }), close() {} };
  const { guard, relief, sample } = guardInHand({ ...NONE_OF_PROCESS, bufferBytes: {} }, { buffers });
  relief.links = links;
  guard.start();
  sample(14);
  expect(relief.done).toEqual(expected);
});

test("none is shed while a hundredth of few links is less than one", () => {
  const { at, custom } = dial({ actions: ["shed"], dwellMs: 0 });
  const { guard, relief, sample } = guardInHand({ custom });
  relief.links = 20;
  relief.released = { victims: ["one"] };
  guard.start();
  at.value = 25;
  sample(2);
  expect(relief.done).toEqual(["shed"]);
  // A fifth of one a second.
  sample(18);
  expect(relief.done).toEqual(["shed"]);
  sample(2);
  expect(relief.done).toEqual(["shed", "shed"]);
});

test("a dry run reports the same, with those who would be the victims, and touches nothing", () => {
  const run = (dryRun: boolean) => {
    const { at, custom } = dial();
    const { guard, relief, reports, sample } = guardInHand({ custom }, { dryRun });
    relief.released = { victims: ["one"] };
    guard.start();
    at.value = 25;
    sample(13);
    guard.close();
    return { relief, reports };
  };
  const [real, dry] = [run(false), run(true)];
  expect(dry.reports.map((report) => ({ ...report, dryRun: false }))).toEqual(real.reports);
  expect(dry.reports.at(-1)).toMatchObject({ action: "shed", victims: ["one"], dryRun: true });
  expect(dry.relief.terms.map(({ dryRun }) => dryRun)).toEqual([true, true]);
  expect(dry.relief.done).toEqual(["evict-waiting", "shed"]);
});

test("two resources hold one condition until both have let go of it", () => {
  const [one, other] = [dial({ actions: ["refuse-sessions"] }), dial({ actions: ["refuse-sessions"] })];
  const custom = { one: one.custom.level, other: other.custom.level };
  const { guard, relief, sample } = guardInHand({ custom });
  guard.start();
  one.at.value = other.at.value = 25;
  sample(5);
  one.at.value = 0;
  sample(21);
  expect(relief.done).toEqual(["refuse-sessions: overloaded: one, other", "refuse-sessions: overloaded: other"]);
});

test("steps that do not help: after three of them health() says so, and stats() too", () => {
  const { at, custom } = dial();
  const { guard, reports, sample } = guardInHand({ custom });
  expect([guard.reasons(), guard.stats()]).toEqual([[], {}]);
  guard.start();
  sample(1);
  expect(guard.reasons()).toEqual([]);
  at.value = 25;
  sample(5);
  expect(guard.reasons()).toEqual(["resources.level is overloaded: 25"]);
  sample(12);
  expect(steps(reports).at(-1)).toBe("ineffective");
  expect(guard.reasons()).toEqual(["resources.level is overloaded: 25, and nothing that was done has helped"]);
  expect(guard.stats()).toEqual({
    level: {
      state: "ineffective",
      observed: 25,
      limit: undefined,
      low: 10,
      high: 20,
      ageMs: 0,
      costUs: 0,
      holds: ["refuse-sessions"],
      steps: { "refuse-sessions": 1, "evict-waiting": 1, shed: 1 },
    },
  });
});

test("what an act has freed is told to the ladder, in the unit of the reading", () => {
  let bytes = 950;
  const buffers = { name: "bufferBytes", read: () => ({ observed: bytes, limit: 1_000 }), close: () => {} };
  const { guard, relief, reports, sample } = guardInHand({ bufferBytes: { actions: ["evict-waiting"] } }, { buffers });
  relief.released = { sharedBytes: 10, bytes: 500 };
  guard.start();
  for (let n = 0; n < 40; n++) {
    // Each step frees a twentieth of the way from high to low: too little to be seen, if it were not told.
    if (relief.done.length > (950 - bytes) / 10) bytes -= 10;
    sample();
  }
  expect(new Set(steps(reports))).toEqual(new Set(["act evict-waiting"]));
  expect(reports[0]).toMatchObject({ observed: 950, threshold: 900, limit: 1_000, released: 10 });
  expect(relief.terms[0]?.bytes).toBe(250);
});

test("how often each action was taken is counted for good, also in a dry run", () => {
  for (const dryRun of [false, true]) {
    const { at, custom } = dial();
    const { guard, sample } = guardInHand({ custom }, { dryRun });
    guard.start();
    for (let times = 0; times < 2; times++) {
      at.value = 25;
      sample(5);
      at.value = 0;
      sample(21);
    }
    expect(guard.stats()).toMatchObject({ level: { state: "normal", holds: [], steps: { "refuse-sessions": 2 } } });
    guard.close();
    expect(guard.stats()["level"]?.steps).toEqual({ "refuse-sessions": 2 });
  }
});

test("a pause of the machine tells nothing, though the reading after it is high", () => {
  const { at, custom } = dial({ dwellMs: 0 });
  const { guard, relief, sample, sleep } = guardInHand({ custom });
  guard.start();
  sample(2);
  sleep(60_000);
  at.value = 25;
  sample(1);
  expect(relief.done).toEqual([]);
  sample(1);
  expect(relief.done).toHaveLength(1);
});

test("a resource that cannot be read is told of once, and in stats()", () => {
  const { guard, records, sample } = guardInHand({ tcpMemory: {} }, { system: { root: "/", platform: "darwin" } });
  guard.start();
  guard.start();
  sample(3);
  const reason = "only Linux tells it, this is darwin";
  expect(records).toEqual([{ event: "server.unwatched", resource: "tcpMemory", reason }]);
  expect(guard.stats()).toMatchObject({
    tcpMemory: { state: "not-watched", notWatched: reason, observed: undefined },
  });
});

test("a limit of 0 is none: its resource is not watched until there is another limit", () => {
  let limit = 0;
  const buffers = { name: "bufferBytes", read: () => ({ observed: 90, limit }), close: () => {} };
  const { guard, reports, sample } = guardInHand({ bufferBytes: {} }, { buffers });
  guard.start();
  sample(10);
  expect(guard.stats()).toMatchObject({ bufferBytes: { state: "not-watched", notWatched: "its limit is 0" } });
  expect(reports).toEqual([]);
  limit = 100;
  sample(10);
  expect(guard.stats()).toMatchObject({ bufferBytes: { state: "overloaded" } });
  expect(steps(reports)[0]).toBe("act shrink-windows");
});

test.each([
  ["near its critical threshold", { heap: { low: 1e-6, high: 0.98, critical: 0.99 } }, [250, 50]],
  ["far from it", { heap: { low: 0.97, high: 0.98, critical: 0.99 } }, [250]],
])("a resource of the process that is %s", (_, resources, expected) => {
  const { guard, intervals, sample } = guardInHand(resources);
  guard.start();
  sample(3);
  expect(intervals).toEqual(expected);
  guard.close();
});

test("a resource of the application's is never read more often", () => {
  const { at, custom } = dial({ critical: 21 });
  const { guard, intervals, sample } = guardInHand({ custom });
  guard.start();
  at.value = 25;
  sample(3);
  expect(intervals).toEqual([250]);
});

test("a function of the application's that throws is reported once by its name, and the others are read", () => {
  const thrown = new Error("no");
  const broken = (): number => {
    throw thrown;
  };
  const { at, custom } = dial({ dwellMs: 0 });
  const { guard, records, relief, sample } = guardInHand({
    custom: { broken: { low: 1, high: 2, read: broken }, ...custom },
  });
  guard.start();
  at.value = 25;
  sample(3);
  expect(records.filter(({ event }) => event !== "server.overload")).toEqual([
    { event: "server.hook-failed", failure: { hook: "resources.custom.broken", thrown } },
  ]);
  expect(relief.done[0]).toBe("refuse-sessions: overloaded: level");
});

test("at the end everything in force is taken back, and no sample follows", () => {
  const { at, custom } = dial();
  const { guard, relief, reports, sample } = guardInHand({ custom });
  guard.start();
  at.value = 25;
  sample(5);
  guard.close();
  guard.close();
  guard.start();
  sample(20);
  expect(relief.done).toEqual(["refuse-sessions: overloaded: level", "refuse-sessions: "]);
  expect(reports).toHaveLength(1);
});
