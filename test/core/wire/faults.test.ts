import { expect, test } from "vitest";
import { fault, Mistakes } from "../../../src/core/wire/faults.ts";

const BAD = fault("bad-frame", "an unknown type");
const at = (id: string, received: number, acked = 0) => ({ keys: { id }, receiver: { received }, sender: { acked } });

test("the third mistake in a row at one place recurs", () => {
  const mistakes = new Mistakes();
  expect([1, 2, 3, 4].map(() => mistakes.recurs(BAD, at("a", 10)))).toEqual([false, false, true, true]);
});

test("one that lets data through in between, or is made in another session, begins anew", () => {
  const mistakes = new Mistakes();
  const places = [at("a", 10), at("a", 10), at("a", 11), at("a", 11), at("b", 11), at("b", 11), at("b", 11, 5)];
  expect(places.map((place) => mistakes.recurs(BAD, place))).toEqual(places.map(() => false));
});

test("gaps are what swallowed bytes leave, however often", () => {
  const mistakes = new Mistakes();
  const gap = fault("gap", "DATA at 20, received 10");
  expect([1, 2, 3, 4].map(() => mistakes.recurs(gap, at("a", 10)))).toEqual([false, false, false, false]);
  expect(mistakes.recurs(BAD, at("a", 10))).toBe(false);
});

test("every other mistake counts: a wrong MAC on a session that is live is one", () => {
  const mistakes = new Mistakes();
  const made = [fault("wrong-proof", "wrong MAC in CONFIRM"), fault("beyond-credit", ""), fault("oversized", "")];
  expect(made.map((problem) => mistakes.recurs(problem, at("a", 10)))).toEqual([false, false, true]);
});
