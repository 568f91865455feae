import { expect, test } from "vitest";
import { Countdowns } from "../../src/testing/countdowns.ts";

test("exactly so many bytes pass before the cut, which is due once", () => {
  const countdowns = new Countdowns();
  countdowns.add(10, ["to-server", "to-client"]);
  expect(countdowns.admit("to-server", 6)).toEqual({ passing: 6, isDue: false });
  expect(countdowns.admit("to-client", 6)).toEqual({ passing: 4, isDue: true });
  expect(countdowns.admit("to-client", 6)).toEqual({ passing: 6, isDue: false });
});

test("bytes of another direction do not count", () => {
  const countdowns = new Countdowns();
  countdowns.add(1, ["to-client"]);
  expect(countdowns.admit("to-server", 100)).toEqual({ passing: 100, isDue: false });
  expect(countdowns.admit("to-client", 100)).toEqual({ passing: 1, isDue: true });
});

test("of several the nearest stops the bytes, and all count them", () => {
  const countdowns = new Countdowns();
  countdowns.add(5, ["to-server"]);
  countdowns.add(3, ["to-server", "to-client"]);
  expect(countdowns.admit("to-server", 9)).toEqual({ passing: 3, isDue: true });
  expect(countdowns.admit("to-server", 9)).toEqual({ passing: 2, isDue: true });
});

test("cleared, nothing is due", () => {
  const countdowns = new Countdowns();
  countdowns.add(1, ["to-server"]);
  countdowns.clear();
  expect(countdowns.admit("to-server", 2)).toEqual({ passing: 2, isDue: false });
});
