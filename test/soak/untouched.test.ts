import { expect, test } from "vitest";
import { type Kind, KINDS } from "./kinds.ts";
import { BREAKS, SHAPES } from "./schedule.ts";
import { untouched } from "./untouched.ts";

const FAULTS: readonly string[] = [...BREAKS, ...SHAPES];

/** Everything has occurred once, but for these. */
function without(...missing: readonly string[]): string[] {
  const count = (what: string): number => (missing.includes(what) ? 0 : 1);
  const kinds = new Map<Kind, number>(KINDS.filter((kind) => count(kind) > 0).map((kind) => [kind, 1]));
  return untouched({ faults: count, kinds, reconnects: count("reconnects") });
}

test("a soak in which everything has occurred has no problem", () => {
  expect(without()).toEqual([]);
});

test.each(FAULTS)("no %s is one", (kind) => {
  expect(without(kind)).toEqual([`no ${kind} was made`]);
});

test.each(KINDS)('no link of the kind "%s" is one', (kind) => {
  expect(without(kind)).toEqual([`no link was of the kind "${kind}"`]);
});

test("no reconnect is one", () => {
  expect(without("reconnects")).toEqual(["no link has reconnected"]);
});

test("a soak that did nothing has them all", () => {
  expect(without(...FAULTS, ...KINDS, "reconnects")).toHaveLength(FAULTS.length + KINDS.length + 1);
});
