import { expect, test } from "vitest";
import { Tally } from "../../../src/core/server/tally.ts";

test("counts by owner; one that has nothing left begins anew", () => {
  const tally = new Tally();
  for (const owner of ["a", "b", "a"]) tally.add(owner);
  expect(["a", "b", "c"].map((owner) => tally.of(owner))).toEqual([2, 1, 0]);
  for (const owner of ["a", "b", "b"]) tally.remove(owner);
  expect(["a", "b"].map((owner) => tally.of(owner))).toEqual([1, 0]);
  tally.add("b");
  expect(tally.of("b")).toBe(1);
});
