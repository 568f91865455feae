import { expect, test } from "vitest";
import { lookedAt, queryOf } from "../../page/address.ts";
import { viewOf } from "../../src/monitor/live/view.ts";

test("what is looked at is in the address, without what is the default", () => {
  expect(queryOf(lookedAt(""))).toBe("");
  const looked = { ...lookedAt(""), filter: "a b", states: ["suspect"], from: 50, rows: 50, order: "rtt" as const };
  expect(lookedAt(`?${queryOf(looked)}`)).toEqual(looked);
  expect(viewOf(queryOf(looked))).toEqual({
    words: ["a", "b"],
    states: new Set(["suspect"]),
    order: "rtt",
    from: 50,
    rows: 50,
  });
});

test.each([
  "rows=7",
  "rows=1e2",
  "from=-1",
  "from=x",
  "order=toString",
  "states=nonsense,__proto__",
  `filter=${"x".repeat(1_000)}`,
])("an address with %s is one that the server takes", (query) => {
  expect(viewOf(queryOf(lookedAt(`?${query}`)))).toBeDefined();
});
