import { expect, test } from "vitest";
import { LinkMemory } from "../../src/io/budget.ts";

test("what comes in and what goes out have half each, and never lend to each other", () => {
  const { windowBudget, logBudget } = new LinkMemory(1_001);
  // Of windows three quarters: each byte may hold a third more.
  expect([windowBudget.freeBytes, logBudget.freeBytes]).toEqual([375, 500]);
  windowBudget.borrow(375);
  expect([windowBudget.freeBytes, logBudget.freeBytes]).toEqual([0, 500]);
  windowBudget.give(200);
  logBudget.borrow(1);
  expect([windowBudget.freeBytes, logBudget.freeBytes]).toEqual([200, 499]);
});

test("resized, what is borrowed stays so: with less there may be nothing free", () => {
  const memory = new LinkMemory(1_000);
  memory.logBudget.borrow(400);
  memory.resize(2_000);
  expect([memory.windowBudget.freeBytes, memory.logBudget.freeBytes]).toEqual([750, 600]);
  memory.resize(500);
  expect([memory.windowBudget.freeBytes, memory.logBudget.freeBytes]).toEqual([187, -150]);
  memory.logBudget.give(400);
  expect(memory.logBudget.freeBytes).toBe(250);
});
