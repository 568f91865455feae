import { monitorEventLoopDelay } from "node:perf_hooks";
import { expect, test, vi } from "vitest";
import { FunctionReader } from "../../../src/io/resources/functions.ts";
import type { Observed, Reader } from "../../../src/io/resources/reader.ts";
import { MACHINE_PACE, type Pace, type Sample, Sampler } from "../../../src/io/resources/sampler.ts";
import { runModule } from "./fixture.ts";

/** Time that only a test lets pass. */
class ByHand implements Pace {
  nowMs = 1_000;
  sleptMs = 0;
  #run: (() => void) | undefined;

  now(): number {
    return this.nowMs;
  }

  wallMs(): number {
    return this.nowMs + this.sleptMs;
  }

  everyMs = 0;

  every(ms: number, run: () => void): () => void {
    this.everyMs = ms;
    this.#run = run;
    return () => (this.#run = undefined);
  }

  tick(ms = this.everyMs): void {
    this.nowMs += ms;
    this.#run?.();
  }
}

function sampling(...readers: Reader[]): {
  sampler: Sampler;
  pace: ByHand;
  samples: Sample[];
  failures: Array<[hook: string, message: string]>;
} {
  const pace = new ByHand();
  const samples: Sample[] = [];
  const failures: Array<[string, string]> = [];
  const sampler = new Sampler({
    readers,
    pace,
    onSample: (sample) => samples.push(sample),
    onFailure: (hook, thrown) => failures.push([hook, (thrown as Error).message]),
  });
  sampler.start();
  return { sampler, pace, samples, failures };
}

test("each sample has the time since the one before, and each reading its value, its share and its age", () => {
  let value = 30;
  const { sampler, pace, samples } = sampling(
    new FunctionReader("bytes", () => value, { limit: () => 120 }),
    new FunctionReader("depth", () => 5),
  );
  expect(sampler.readings.get("bytes")).toMatchObject({ observed: undefined, ratio: undefined, isCurrent: false });
  pace.tick();
  expect(sampler.readings.get("bytes")).toMatchObject({ observed: 30, limit: 120, ratio: 0.25, isCurrent: true });
  expect(sampler.readings.get("depth")).toMatchObject({ observed: 5, limit: undefined, ratio: undefined });
  value = 60;
  pace.tick(300);
  expect(sampler.readings.get("bytes")).toMatchObject({ ratio: 0.5, ageMs: 0 });
  pace.nowMs += 100;
  expect(sampler.readings.get("bytes")?.ageMs).toBe(100);
  expect(samples).toEqual([
    { nowMs: 1_250, sinceMs: 250 },
    { nowMs: 1_550, sinceMs: 300 },
  ]);
});

test("a reader that asks for it is read at once, and no other, until the sampler is closed", () => {
  let wake = (): void => {};
  let value = 30;
  let reads = 0;
  const heap: Reader = {
    name: "heap",
    read() {
      reads++;
      return { observed: value, limit: 100 };
    },
    watch: (given) => (wake = given),
    close() {},
  };
  const { sampler, pace, samples } = sampling(heap, new FunctionReader("depth", () => value));
  pace.tick();
  value = 70;
  pace.nowMs += 10;
  wake();
  expect(sampler.readings.get("heap")).toMatchObject({ observed: 70, isCurrent: true });
  expect(sampler.readings.get("depth")).toMatchObject({ observed: 30, isCurrent: false });
  expect(samples.at(-1)).toEqual({ nowMs: 1_260, sinceMs: 10 });
  sampler.close();
  wake();
  expect(samples).toHaveLength(2);
  expect(reads).toBe(2);
});

test("a machine that slept is a gap, though the monotonic clock stood still", () => {
  const { pace, samples } = sampling();
  pace.tick();
  pace.sleptMs = 60_000;
  pace.tick();
  pace.tick();
  expect(samples.map(({ sinceMs }) => sinceMs)).toEqual([250, 60_250, 250]);
});

test("a wall clock that is set back is no gap", () => {
  const { pace, samples } = sampling();
  pace.sleptMs = -60_000;
  pace.tick();
  expect(samples.map(({ sinceMs }) => sinceMs)).toEqual([250]);
});

test("a resource that cannot be read keeps its last value, which grows old", () => {
  let answer: Observed | undefined;
  const { sampler, pace, failures } = sampling({ name: "memory", read: () => answer, close: () => {} });
  pace.tick();
  expect(sampler.readings.get("memory")).toMatchObject({ observed: undefined, isCurrent: false, ageMs: 250 });
  answer = { observed: 7, limit: 10, source: "cgroup" };
  pace.tick();
  answer = undefined;
  pace.tick();
  pace.tick();
  expect(sampler.readings.get("memory")).toMatchObject({
    observed: 7,
    ratio: 0.7,
    source: "cgroup",
    isCurrent: false,
    ageMs: 500,
  });
  expect(failures).toEqual([]);
});

test("a function that throws is reported once, and does not keep the others from being read", () => {
  let isBroken = true;
  const { sampler, pace, failures } = sampling(
    new FunctionReader(
      "depth",
      () => {
        if (isBroken) throw new Error("no depth");
        return 5;
      },
      { hook: "custom.depth.read" },
    ),
    new FunctionReader("bytes", () => 1),
  );
  pace.tick();
  pace.tick();
  expect(sampler.readings.get("depth")).toMatchObject({ observed: undefined, isCurrent: false });
  expect(sampler.readings.get("bytes")).toMatchObject({ observed: 1, isCurrent: true });
  isBroken = false;
  pace.tick();
  expect(sampler.readings.get("depth")).toMatchObject({ observed: 5, isCurrent: true });
  isBroken = true;
  pace.tick();
  expect(failures).toEqual([["custom.depth.read", "no depth"]]);
});

test("what a reader of our own throws is not the application's failure", () => {
  const reader = new FunctionReader("bufferBytes", () => Number.NaN);
  const { sampler, pace, failures } = sampling(reader);
  pace.tick();
  expect(sampler.readings.get("bufferBytes")?.isCurrent).toBe(false);
  expect(failures).toEqual([]);
});

test("what is in a hurry is read every 50 ms, and the others as before", () => {
  let [fast, slow] = [0, 0];
  const { sampler, pace, samples } = sampling(
    new FunctionReader("fast", () => ++fast),
    new FunctionReader("slow", () => ++slow),
  );
  pace.tick();
  expect([pace.everyMs, fast, slow]).toEqual([250, 1, 1]);
  sampler.hurry(new Set(["fast"]));
  for (let n = 0; n < 4; n++) pace.tick();
  expect([pace.everyMs, fast, slow]).toEqual([50, 5, 1]);
  expect(["fast", "slow"].map((name) => sampler.readings.get(name)?.isCurrent)).toEqual([true, false]);
  // The timer is early by a little.
  pace.tick(49);
  expect([fast, slow]).toEqual([6, 2]);
  sampler.hurry(new Set(["fast"]));
  pace.tick();
  sampler.hurry(new Set());
  pace.tick();
  expect([pace.everyMs, fast, slow]).toEqual([250, 8, 3]);
  expect(samples).toHaveLength(8);
});

test("nobody is in a hurry before the beginning and after the end", () => {
  const every = vi.fn<Pace["every"]>(() => () => {});
  const sampler = new Sampler({
    readers: [],
    onSample: () => {},
    onFailure: () => {},
    pace: { ...MACHINE_PACE, every },
  });
  sampler.hurry(new Set(["heap"]));
  expect(every).not.toHaveBeenCalled();
  sampler.start();
  sampler.hurry(new Set());
  sampler.close();
  sampler.hurry(new Set(["heap"]));
  expect(every.mock.calls.map(([ms]) => ms)).toEqual([50, 250]);
});

test("a function that takes long is called less often, so that it has a quarter of a hundredth of the time", () => {
  const calls: number[] = [];
  const pauses = [2.5, 2.5, 2.5, 0, 0];
  const { sampler, pace, failures } = sampling(
    new FunctionReader(
      "slow",
      () => {
        calls.push(pace.nowMs - 1_000);
        pace.nowMs += pauses.shift() ?? 0;
        return 1;
      },
      { hook: "custom.slow.read" },
    ),
  );
  for (let n = 0; n < 12; n++) pace.tick(250 - ((pace.nowMs - 1_000) % 250));
  // After the second long call in a row it rests for 1 s, and again after the third.
  expect(calls).toEqual([250, 500, 1_750, 3_000]);
  expect(failures).toEqual([["custom.slow.read", "takes 2.5 ms, and is called less often"]]);
  expect(sampler.readings.get("slow")?.costUs).toBeGreaterThan(1_200);
});

test("a function that takes a second is called again after five", () => {
  let calls = 0;
  const { pace } = sampling(
    new FunctionReader("slow", () => {
      calls++;
      pace.nowMs += 1_000;
      return 1;
    }),
  );
  pace.tick();
  pace.tick();
  for (let n = 0; n < 19; n++) pace.tick();
  expect(calls).toBe(2);
  pace.tick();
  expect(calls).toBe(3);
});

test("one interruption makes no function slow", () => {
  const pauses = [0, 300, 0, 300, 0];
  let calls = 0;
  const { pace, failures } = sampling(
    new FunctionReader(
      "quick",
      () => {
        pace.nowMs += pauses[calls++] as number;
        return 1;
      },
      { hook: "custom.quick.read" },
    ),
  );
  for (let n = 0; n < 5; n++) pace.tick();
  expect([calls, failures]).toEqual([5, []]);
});

test("close() ends sampling, and closes the readers once; the readings stay", () => {
  const close = vi.fn<() => void>();
  const { sampler, pace, samples } = sampling({ name: "one", read: () => ({ observed: 1, limit: 2 }), close });
  pace.tick();
  sampler.close();
  sampler.close();
  pace.tick();
  sampler.start();
  pace.tick();
  expect(samples).toHaveLength(1);
  expect(close).toHaveBeenCalledTimes(1);
  expect(sampler.readings.get("one")).toMatchObject({ observed: 1, ratio: 0.5 });
});

test("close() within a sample is the last of it", () => {
  const { sampler, pace, samples } = sampling(
    new FunctionReader("closes", () => {
      sampler.close();
      return 1;
    }),
    new FunctionReader("after", () => 2),
  );
  pace.tick();
  expect(samples).toEqual([]);
  expect(sampler.readings.get("after")?.isCurrent).toBe(false);
});

test("start() twice samples once; what is not watched is kept with its reason", () => {
  const every = vi.fn<Pace["every"]>(() => () => {});
  const notWatched = new Map([["memory", "no /proc"]]);
  const options = { readers: [], notWatched, onSample: () => {}, onFailure: () => {} };
  const sampler = new Sampler({ ...options, pace: { ...MACHINE_PACE, every } });
  sampler.start();
  sampler.start();
  expect(every).toHaveBeenCalledTimes(1);
  expect(sampler.notWatched).toEqual(notWatched);
});

test("a process that has nothing else to do ends", async () => {
  const { output, signal } = await runModule(`
    import { openReaders } from "#resources/process.ts";
    import { Sampler } from "#resources/sampler.ts";
    let samples = 0;
    const sampler = new Sampler({ ...openReaders(), onSample: () => samples++, onFailure: () => {} });
    sampler.start();
    setTimeout(() => {}, 300);
    process.on("exit", () => console.log(samples));
  `);
  expect([output, signal]).toEqual(["1\n", null]);
});

test("an interval is none of what keeps the process alive", () => {
  const before = process.getActiveResourcesInfo();
  const stop = MACHINE_PACE.every(1_000, () => {});
  expect(process.getActiveResourcesInfo()).toEqual(before);
  stop();
});

test("a sample knows of a block in the phase in which it became due", async () => {
  const histogram = monitorEventLoopDelay({ resolution: 10 });
  histogram.enable();
  let before = 0;
  // Both are due at the same moment, this one first.
  const working = setInterval(() => {
    before = histogram.count;
    block(40);
  }, 100);
  let stop = (): void => {};
  const after = await new Promise<number>((resolve) => {
    stop = MACHINE_PACE.every(100, () => resolve(histogram.count));
  });
  stop();
  clearInterval(working);
  histogram.disable();
  expect(before).toBeGreaterThan(0);
  expect(after).toBeGreaterThan(before);
});

test("a sample that was due when its sampler was closed is not taken", async () => {
  let runs = 0;
  const stop = MACHINE_PACE.every(20, () => runs++);
  const closed = new Promise<void>((resolve) => {
    const closing = setInterval(() => {
      clearInterval(closing);
      stop();
      resolve();
    }, 20);
  });
  block(40);
  // Both intervals are due by now, and run in this order in one phase.
  await closed;
  await new Promise((resolve) => {
    setTimeout(resolve, 10);
  });
  expect(runs).toBe(0);
});

function block(ms: number): void {
  const until = performance.now() + ms;
  while (performance.now() < until);
}
