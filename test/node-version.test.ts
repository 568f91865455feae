import { expect, test } from "vitest";
import { nodeTooOld } from "../src/node-version.ts";

test.for(["4.9.1", "18.20.4", "20.20.2", "22.11.0"])("Node %s is too old", (node) => {
  expect(nodeTooOld(node)).toBe(`needs Node 22.12 or newer, and this is Node ${node} (${process.execPath})`);
});

test.for(["22.12.0", "23.0.0", "24.0.0", "100.0.0"])("Node %s is new enough", (node) => {
  expect(nodeTooOld(node)).toBe(undefined);
});

test("it is asked about the Node that runs", () => {
  expect(nodeTooOld()).toBe(undefined);
});
