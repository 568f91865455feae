import { expect, test } from "vitest";
import { LinkMemory } from "../../src/io/budget.ts";

test("what comes in and what goes out have half each, and never lend to each other", () => {
  const { windowBudget, logBudget } = new LinkMemory(1_001);
  expect([windowBudget.freeBytes, logBudget.freeBytes]).toEqual([500, 500]);
  windowBudget.borrow(500);
  expect([windowBudget.freeBytes, logBudget.freeBytes]).toEqual([0, 500]);
  windowBudget.give(200);
  logBudget.borrow(1);
  expect([windowBudget.freeBytes, logBudget.freeBytes]).toEqual([200, 499]);
});
