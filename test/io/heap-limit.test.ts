import { Worker } from "node:worker_threads";
import { expect, test } from "vitest";
import { type HeapSettings, oldGenerationLimit } from "../../src/io/heap-limit.ts";

const MiB = 1_048_576;
const settings = (given: Partial<HeapSettings> & { limitMiB: number }): HeapSettings => {
  const { limitMiB, ...rest } = given;
  return { heapSizeLimit: limitMiB * MiB, major: "24", options: [], youngMiB: undefined, ...rest };
};

/** As the three versions report it, for the options of the first column. */
test.each([
  [[], "22", 4_144, 4_096],
  [[], "24", 4_288, 4_096],
  [[], "26", 4_192, 4_096],
  [["--max-old-space-size=128"], "22", 176, 128],
  [["--max-old-space-size=128"], "24", 320, 128],
  [["--max-old-space-size=128"], "26", 224, 128],
  [["--max_old_space_size=64"], "24", 256, 64],
  [["--max-semi-space-size=8"], "24", 4_120, 4_096],
  [["--max-old-space-size=128", "--max-semi-space-size=8"], "26", 152, 128],
  [["--max-old-space-size=100", "--max-old-space-size=200"], "22", 248, 200],
  [["--max-old-space-size=128"], "99", 224, 128],
] as const)("%j, Node %s", (options, major, limitMiB, old) => {
  expect(oldGenerationLimit(settings({ limitMiB, major, options })) / MiB).toBe(old);
});

test("in a worker its own limits count, unless the process has an option", () => {
  expect(oldGenerationLimit(settings({ limitMiB: 148, youngMiB: 48 })) / MiB).toBe(100);
  const options = ["--max-semi-space-size=8"];
  expect(oldGenerationLimit(settings({ limitMiB: 124, youngMiB: 48, options })) / MiB).toBe(100);
});

test("an option that this heap was not made with does not count", () => {
  const of = (option: string): number => oldGenerationLimit(settings({ limitMiB: 4_288, options: [option] })) / MiB;
  expect(of("--max-old-space-size=128")).toBe(4_096);
  expect(of("--max-old-space-size=8000")).toBe(4_096);
  expect(of("--max-old-space-size=")).toBe(4_096);
  expect(of("--max-old-space-size=much")).toBe(4_096);
});

test.each([
  [[], undefined, 259, 235.69],
  [[], undefined, 560, 509.6],
  [["--max-old-space-size=8000"], undefined, 259, 235.69],
  // Here the young generation does not get smaller.
  [["--max-old-space-size-percentage=1"], undefined, 433, 241],
  [["--max-semi-space-size=64"], undefined, 200, 50],
  [[], 150, 200, 50],
] as const)("in a small container, %j, young in a worker %s, limit %s MiB", (options, youngMiB, limitMiB, old) => {
  expect(oldGenerationLimit(settings({ limitMiB, options, youngMiB })) / MiB).toBeCloseTo(old, 5);
});

test("a worker knows its own limit", async () => {
  const path = JSON.stringify(new URL("../../src/io/heap-limit.ts", import.meta.url).href);
  const code = `
    import(${path}).then(({ oldGenerationLimit, readHeapSettings }) =>
      require("node:worker_threads").parentPort.postMessage(oldGenerationLimit(readHeapSettings())));
  `;
  const worker = new Worker(code, { eval: true, resourceLimits: { maxOldGenerationSizeMb: 100 }, execArgv: [] });
  const limit = await new Promise((resolve, reject) => {
    worker.once("message", resolve).once("error", reject);
  });
  expect(limit).toBe(100 * MiB);
});
