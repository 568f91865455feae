import { expect, onTestFinished, test, vi } from "vitest";
import { Passing } from "../../../src/cli/chaos/passing.ts";
import type { Direction } from "../../../src/testing/index.ts";

/** Traffic by a clock of its own. */
function passing() {
  let now = 0;
  const traffic = new Passing({ host: "db.example", port: 5_432 }, 0, () => now);
  return {
    traffic,
    at: (ms: number) => {
      now = ms;
    },
    pass: (ms: number, ...directions: Direction[]) => {
      now = ms;
      for (const direction of directions) traffic.watch.passed(direction, 10);
    },
  };
}

/** What the promise has come to by now. */
async function byNow<T>(promise: Promise<T>): Promise<T | "waiting"> {
  return Promise.race([promise, new Promise<"waiting">((resolve) => setImmediate(() => resolve("waiting")))]);
}

test("a recovery is when bytes have arrived in each direction that had carried any", async () => {
  const { traffic, at, pass } = passing();
  pass(1_000, "to-server", "to-client");
  at(2_000);
  traffic.striking();
  const arrived = traffic.arrivedSince(2_100);
  pass(2_200, "to-server");
  pass(2_250, "to-server");
  expect(await byNow(arrived)).toBe("waiting");
  pass(2_300, "to-client");
  expect(await byNow(arrived)).toBe(2_300);
});

test("a direction that carried nothing for two seconds is not waited for", async () => {
  const { traffic, at, pass } = passing();
  pass(1_000, "to-client");
  pass(2_900, "to-server");
  at(3_001);
  traffic.striking();
  const arrived = traffic.arrivedSince(3_100);
  pass(3_200, "to-server");
  expect(await byNow(arrived)).toBe(3_200);
});

test("after a fault in silence something has to arrive, which is no recovery", async () => {
  const { traffic, at, pass } = passing();
  pass(1_000, "to-server", "to-client");
  at(9_000);
  traffic.striking();
  const arrived = traffic.arrivedSince(9_100);
  expect(await byNow(arrived)).toBe("waiting");
  pass(9_200, "to-client");
  expect(await byNow(arrived)).toBe("idle");
  expect(await byNow(traffic.arrivedSince(9_150))).toBe("idle");
});

test("what has arrived before it is asked for counts", async () => {
  const { traffic, at, pass } = passing();
  pass(1_000, "to-server", "to-client");
  at(1_500);
  traffic.striking();
  pass(1_600, "to-server");
  pass(1_700, "to-client");
  expect(await byNow(traffic.arrivedSince(1_600))).toBe(1_700);
});

test("a cut is told once, to whoever waits for it", async () => {
  const { traffic, at } = passing();
  traffic.watch.cut();
  const lost = traffic.lost(100);
  expect(await byNow(lost)).toBe("waiting");
  at(5);
  traffic.watch.cut();
  expect(await byNow(lost)).toBe(5);
});

test("a connection that ends before so many bytes was not cut: its client has closed it", async () => {
  const { traffic, at } = passing();
  const lost = traffic.lost(100);
  at(5);
  traffic.watch.closed(99);
  expect(await byNow(lost)).toBe("waiting");
  at(6);
  traffic.watch.closed(100);
  expect(await byNow(lost)).toBe(6);
});

test("a cut after more bytes than pass within 10 s is not waited for", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  onTestFinished(() => void vi.useRealTimers());
  const { traffic } = passing();
  const lost = traffic.lost(100);
  vi.advanceTimersByTime(9_999);
  expect(await byNow(lost)).toBe("waiting");
  vi.advanceTimersByTime(1);
  expect(await byNow(lost)).toBe("idle");
});

test("a server that cannot be dialled is told of at the end, unless it was dialled since", async () => {
  const { traffic } = passing();
  traffic.watch.unreachable(new Error("connect ECONNREFUSED"));
  expect((await traffic.finish()).errors).toEqual(["the server is not there: connect ECONNREFUSED"]);
  traffic.watch.connected();
  expect((await traffic.finish()).errors).toEqual([]);
});

test("at the end it has counted bytes, connections and gaps; the silence up to then is one", async () => {
  const { traffic, at, pass } = passing();
  traffic.watch.connected();
  pass(1_000, "to-server");
  pass(1_010, "to-client");
  pass(1_110, "to-client");
  at(5_000);
  expect(await traffic.finish()).toEqual({
    counted: undefined,
    gaps: {
      all: [
        { fromMs: 1_010, ms: 100 },
        { fromMs: 1_110, ms: 3_890 },
      ],
      leastMs: 20,
    },
    passed: { bytes: { "to-server": 10, "to-client": 20 }, connections: 1 },
    errors: [],
  });
});
