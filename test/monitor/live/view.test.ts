import { expect, test } from "vitest";
import { MOST_ROWS, viewOf } from "../../../src/monitor/live/view.ts";

test("without a query there is a page of the oldest links", () => {
  expect(viewOf("")).toEqual({ words: [], states: new Set(), order: "opened", from: 0, rows: 25 });
});

test("a filter is words, whatever their case", () => {
  expect(viewOf("filter=+10.0.0.7%20%20Edge&other=1")?.words).toEqual(["10.0.0.7", "edge"]);
});

test("states are names, with commas", () => {
  expect(viewOf("states=connected,suspect,")?.states).toEqual(new Set(["connected", "suspect"]));
});

test.each([
  `filter=${"x".repeat(201)}`,
  "states=nonsense",
  "states=__proto__",
  "order=toString",
  "order=",
  "rows=0",
  `rows=${MOST_ROWS + 1}`,
  "rows=1e1",
  "rows=-1",
  "from=-1",
  "from=0.5",
  "from=99999999",
])("%s makes no sense", (query) => {
  expect(viewOf(query)).toBeUndefined();
});
