import { totalmem } from "node:os";
import { getHeapStatistics } from "node:v8";
import { expect, test } from "vitest";
import { leastMemory, readMachine } from "../../src/io/machine.ts";

test("the memory of a container counts where it has a limit, else that of the machine", () => {
  expect(leastMemory(1_000, 300)).toBe(300);
  expect(leastMemory(1_000, 0)).toBe(1_000);
  expect(leastMemory(1_000, 2 ** 63)).toBe(1_000);
});

test("what is read here can be true", () => {
  const { memoryBytes, oldGenerationBytes } = readMachine();
  expect(memoryBytes).toBeGreaterThan(0);
  expect(memoryBytes).toBeLessThanOrEqual(totalmem());
  expect(oldGenerationBytes).toBeGreaterThan(0);
  expect(oldGenerationBytes).toBeLessThan(getHeapStatistics().heap_size_limit);
});
