import { expect, test } from "vitest";
import { SharedBudget } from "../../src/io/budget.ts";

test("gives until it is used up, all or nothing, and takes back", () => {
  const budget = new SharedBudget(100);
  expect(budget.take(60)).toBe(true);
  expect(budget.take(41)).toBe(false);
  expect(budget.takenBytes).toBe(60);
  expect(budget.take(40)).toBe(true);
  expect(budget.take(1)).toBe(false);
  expect(budget.take(0)).toBe(true);
  budget.give(50);
  expect(budget.takenBytes).toBe(50);
  expect(budget.take(50)).toBe(true);
});

test("one of nothing gives nothing", () => {
  expect(new SharedBudget(0).take(1)).toBe(false);
});
