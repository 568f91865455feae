import { monitorEventLoopDelay } from "node:perf_hooks";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Intervals, Lag } from "../../../src/io/resources/lag.ts";

/** Node's histogram, of intervals that a test gives it in milliseconds. */
class Recorded implements Intervals {
  count = 0;
  #sum = 0;
  #squares = 0;

  record(...intervalsMs: readonly number[]): void {
    for (const ms of intervalsMs) {
      this.count++;
      this.#sum += ms * 1e6;
      this.#squares += (ms * 1e6) ** 2;
    }
  }

  get mean(): number {
    return this.#sum / this.count;
  }

  get stddev(): number {
    return Math.sqrt(Math.max(0, this.#squares / this.count - this.mean ** 2));
  }

  disable(): void {}
}

/** The lag of a loop that has `blockMs` of work in every `everyMs`, after an hour without any. */
function lagOf(blockMs: number, everyMs: number): number | undefined {
  const histogram = new Recorded();
  for (let n = 0; n < 360_000; n++) histogram.record(20.1);
  const lag = new Lag(histogram);
  lag.read(0);
  let nowMs = 0;
  let observed: number | undefined;
  for (let sampleAtMs = 500; sampleAtMs <= 4_000; sampleAtMs += 500) {
    while (nowMs < sampleAtMs) {
      const workMs = Math.floor(nowMs / everyMs) === Math.floor((nowMs + 20) / everyMs) ? 0 : blockMs;
      histogram.record(20 + workMs);
      nowMs += 20 + workMs;
    }
    observed = lag.read(Math.max(nowMs, sampleAtMs))?.observed;
  }
  return observed;
}

test.each([
  ["nothing", 0, 1_000, 0, 0.3],
  ["300 ms a second", 300, 1_000, 38, 55],
  ["300 ms every 400 ms", 300, 400, 105, 130],
])("the wait of one who comes at any moment: %s", (_, blockMs, everyMs, least, most) => {
  const observed = lagOf(blockMs, everyMs);
  expect(observed).toBeGreaterThanOrEqual(least);
  expect(observed).toBeLessThanOrEqual(most);
});

test("of regular intervals it is half of them, and nothing of those that an idle loop has", () => {
  const histogram = new Recorded();
  const lag = new Lag(histogram);
  expect(lag.read(0)).toBeUndefined();
  histogram.record(...Array.from({ length: 57 }, () => 35));
  expect(lag.read(2_000)?.observed).toBeCloseTo((35 * 35 - 20 * 20) / 70);
  histogram.record(...Array.from({ length: 200 }, () => 20));
  expect(lag.read(4_000)?.observed).toBeCloseTo(0);
});

test("what is older than two seconds does not count", () => {
  const histogram = new Recorded();
  const lag = new Lag(histogram);
  lag.read(0);
  histogram.record(300);
  expect(lag.read(400)?.observed).toBeCloseTo((300 * 300 - 20 * 20) / 600);
  for (let nowMs = 900; nowMs <= 2_400; nowMs += 500) {
    histogram.record(...Array.from({ length: 25 }, () => 20));
    const observed = lag.read(nowMs)?.observed;
    if (nowMs < 2_400) expect(observed).toBeGreaterThan(10);
    else expect(observed).toBeCloseTo(0);
  }
});

test("every other sample has the value of the one before", () => {
  const histogram = new Recorded();
  const lag = new Lag(histogram);
  lag.read(0);
  histogram.record(200);
  const first = lag.read(500);
  histogram.record(400);
  expect(lag.read(750)).toBe(first);
  expect(lag.read(1_000)?.observed).toBeGreaterThan(first?.observed ?? Infinity);
});

test("a process that was stopped has no lag of it", () => {
  const histogram = new Recorded();
  const lag = new Lag(histogram);
  lag.read(0);
  histogram.record(20);
  lag.read(500);
  histogram.record(10_020);
  expect(lag.read(10_501)).toBeUndefined();
  histogram.record(20, 20);
  expect(lag.read(11_000)?.observed).toBeCloseTo(0);
});

test("a block of 9 s is none of being stopped", () => {
  const histogram = new Recorded();
  const lag = new Lag(histogram);
  lag.read(0);
  histogram.record(9_000);
  expect(lag.read(9_000)?.observed).toBeCloseTo((9_000 * 9_000 - 20 * 20) / 18_000);
});

test("of any intervals it is between nothing and half of the longest", () => {
  const intervals = fc.array(fc.double({ min: 0.1, max: 5_000, noNaN: true }), { minLength: 1 });
  fc.assert(
    fc.property(fc.array(intervals, { maxLength: 12 }), (samples) => {
      const histogram = new Recorded();
      const lag = new Lag(histogram);
      lag.read(0);
      for (const [at, sample] of samples.entries()) {
        histogram.record(...sample);
        const observed = lag.read((at + 1) * 500)?.observed ?? Number.NaN;
        expect(observed).toBeGreaterThanOrEqual(0);
        expect(observed).toBeLessThanOrEqual(Math.max(...samples.flat()) / 2 + 1e-3);
      }
    }),
  );
});

test("one real block of 300 ms is seen by the reading after it, and gone after two seconds", async () => {
  const histogram = monitorEventLoopDelay({ resolution: 20 });
  histogram.enable();
  const lag = new Lag(histogram);
  // In a phase of its own, after the timers.
  const read = (nowMs: number): Promise<number | undefined> =>
    new Promise((resolve) => {
      setTimeout(() => setImmediate(() => resolve(lag.read(nowMs)?.observed)), 50);
    });
  await read(0);
  const until = performance.now() + 300;
  while (performance.now() < until);
  const seen = (await read(500)) ?? 0;
  expect(seen).toBeGreaterThan(50);
  await read(1_000);
  // Not 0: a machine that has other work lets this process wait, too.
  expect(await read(3_000)).toBeLessThan(seen);
  const before = histogram.count;
  lag.close();
  await read(3_500);
  expect(histogram.count).toBe(before);
});
