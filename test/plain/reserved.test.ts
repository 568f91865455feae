import { expect, test } from "vitest";
import { Reserved } from "../../src/plain/reserved.ts";
import { CountingBudget } from "../core/support.ts";

const STEP = 65_536;

test("memory is reserved in steps, and given back when none is in use", () => {
  const budget = new CountingBudget(1_000_000);
  const reserved = new Reserved(0, budget);
  reserved.more(10);
  expect([budget.taken, reserved.bytes, reserved.freeBytes]).toEqual([STEP, 10, STEP - 10]);
  reserved.more(STEP - 10);
  expect([budget.taken, reserved.freeBytes]).toEqual([STEP, 0]);
  reserved.more(1);
  expect(budget.taken).toBe(2 * STEP);
  reserved.less(STEP + 1);
  expect([budget.taken, reserved.bytes, reserved.freeBytes]).toEqual([0, 0, 0]);
});

test("of much memory that is not used any more one step is kept", () => {
  const budget = new CountingBudget(1_000_000);
  const reserved = new Reserved(0, budget);
  reserved.more(4 * STEP);
  reserved.less(3 * STEP);
  expect([reserved.bytes, budget.taken]).toEqual([STEP, 2 * STEP]);
  reserved.giveBack();
  expect(budget.taken).toBe(0);
});

test("there is room for half of what is free, and always for what is reserved or guaranteed", () => {
  const budget = new CountingBudget(STEP);
  const reserved = new Reserved(100, budget);
  expect([reserved.hasRoom(STEP / 2 + 100), reserved.hasRoom(STEP / 2 + 101)]).toEqual([true, false]);
  reserved.more(50);
  expect(reserved.hasRoom(reserved.freeBytes)).toBe(true);
});
