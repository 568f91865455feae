import { PerformanceObserver } from "node:perf_hooks";
import { setImmediate as turn } from "node:timers/promises";
import { getHeapSpaceStatistics, type HeapSpaceInfo, setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { expect, test } from "vitest";
import { Heap } from "../../../src/io/resources/heap.ts";
import { runModule } from "./fixture.ts";

test("the old generation is what is in all spaces but the new ones", () => {
  const spaces = getHeapSpaceStatistics().map((space, at) => Object.assign(space, { space_used_size: 10 ** at }));
  const all = spaces.reduce((sum, { space_used_size: bytes }) => sum + bytes, 0);
  const bytesOf = (name: string): number => spaces.find((space) => space.space_name === name)?.space_used_size ?? 0;
  expect(bytesOf("new_space") * bytesOf("new_large_object_space")).toBeGreaterThan(0);
  const observed = all - bytesOf("new_space") - bytesOf("new_large_object_space");
  expect(new Heap(1_000, () => spaces).read()).toEqual({ observed, limit: 1_000 });
});

test("a collection after which the old generation has grown by a fiftieth of its limit is told at once", async () => {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc") as () => void;
  let bytes = 500;
  const heap = new Heap(1_000, () => [{ space_name: "old_space", space_used_size: bytes } as HeapSpaceInfo]);
  const told: number[] = [];
  heap.watch(() => told.push(bytes));
  heap.read();
  for (const used of [519, 520, 540]) {
    bytes = used;
    await collected(collect);
    if (used === 520) heap.read();
  }
  // Of one that is fuller, collections are not heard of, until it is less full.
  bytes = 600;
  heap.read();
  for (const used of [700, 590, 620]) {
    bytes = used;
    await collected(collect);
    if (used === 590) heap.read();
  }
  heap.close();
  bytes = 900;
  await collected(collect);
  expect(new Set(told)).toEqual(new Set([520, 540, 620]));
});

/** Until an observer that is younger than the heap's has been told. An event loop that waits is not woken for that. */
async function collected(collect: () => void): Promise<void> {
  let isTold = false;
  const observer = new PerformanceObserver(() => {
    isTold = true;
  });
  observer.observe({ entryTypes: ["gc"] });
  collect();
  while (!isTold) await turn();
  observer.disconnect();
}

test(
  "a heap that grows is at three quarters or more before it is full, and idles far below",
  { timeout: 30_000 },
  async () => {
    const { output, signal } = await runModule(
      `
    import { writeSync } from "node:fs";
    import { Heap } from "#resources/heap.ts";
    const heap = new Heap();
    const show = () => {
      const { observed, limit } = heap.read();
      writeSync(1, (observed / limit).toFixed(3) + "\\n");
    };
    show();
    const kept = [];
    const grow = () => {
      // One array that grows would need half of the heap at once.
      kept.push(Array.from({ length: 2_000 }, (_, n) => ({ n, text: "x" + n })));
      show();
      setImmediate(grow);
    };
    grow();
    `,
      { shell: "ulimit -c 0", options: ["--max-old-space-size=48"] },
    );
    const ratios = output.trim().split("\n").map(Number);
    expect(signal).toBe("SIGABRT");
    expect(ratios[0]).toBeGreaterThan(0);
    expect(ratios[0]).toBeLessThanOrEqual(0.6);
    expect(Math.max(...ratios)).toBeGreaterThanOrEqual(0.75);
    expect(Math.max(...ratios)).toBeLessThanOrEqual(1.1);
  },
);
