import { expect, test } from "vitest";
import * as testing from "../../src/testing/index.ts";

test("the entry point for tests", () => {
  expect(Object.keys(testing).toSorted()).toEqual(["faultRelay", "linkPair"]);
});
