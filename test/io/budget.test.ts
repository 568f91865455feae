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
