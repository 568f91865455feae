import { expect, test } from "vitest";
import { Account } from "../../src/core/log/window.ts";
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

test("while nothing is lent each account has its minimum, and what was lent comes back as before", () => {
  const { windowBudget, logBudget } = new LinkMemory(1_000);
  const account = new Account(10, logBudget);
  account.hold(110);
  const other = new Account(10, logBudget);
  expect([account.mostBytes, other.mostBytes, logBudget.lentBytes]).toEqual([260, 210, 100]);
  logBudget.lend(false);
  logBudget.lend(false);
  expect([account.mostBytes, other.mostBytes, logBudget.lentBytes]).toEqual([10, 10, 100]);
  account.hold(-50);
  expect(logBudget.lentBytes).toBe(50);
  logBudget.lend(true);
  expect([logBudget.freeBytes, logBudget.lentBytes, windowBudget.lentBytes]).toEqual([450, 50, 0]);
});

test("both directions lend, or neither does", () => {
  const memory = new LinkMemory(1_000);
  memory.lend(false);
  expect([memory.windowBudget.freeBytes < 0, memory.logBudget.freeBytes < 0]).toEqual([true, true]);
  memory.lend(true);
  expect([memory.windowBudget.freeBytes, memory.logBudget.freeBytes]).toEqual([375, 500]);
});
