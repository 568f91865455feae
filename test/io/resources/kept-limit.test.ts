import { expect, test } from "vitest";
import { KeptLimit } from "../../../src/io/resources/kept-limit.ts";

test("a limit is read once a minute, and the last one that could be read is kept", () => {
  let [value, reads]: [number | undefined, number] = [10, 0];
  const limit = new KeptLimit(() => {
    reads++;
    return value;
  });
  expect(limit.at(5)).toBe(10);
  value = 20;
  expect(limit.at(60_004)).toBe(10);
  expect(reads).toBe(1);
  expect(limit.at(60_005)).toBe(20);
  value = undefined;
  expect(limit.at(120_005)).toBe(20);
  expect(reads).toBe(3);
});
