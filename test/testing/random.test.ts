import { expect, test } from "vitest";
import { seeded, seededEntropy } from "../../src/testing/random.ts";

const draw = (seed: number, count: number): number[] => Array.from({ length: count }, seeded(seed));

test("a seed makes the same numbers each time, and another seed makes others", () => {
  expect(draw(1, 5)).toEqual(draw(1, 5));
  expect(draw(1, 5)).not.toEqual(draw(2, 5));
});

test("the numbers are in [0, 1), and fill it evenly", () => {
  const tenths = Array.from({ length: 10 }, () => 0);
  for (const number of draw(1, 10_000)) tenths[Math.floor(number * 10)] = (tenths[Math.floor(number * 10)] ?? 0) + 1;
  expect(tenths).toHaveLength(10);
  for (const count of tenths) expect(Math.abs(count - 1_000)).toBeLessThan(120);
});

test("its bytes are the seed's, and its MAC depends on the key and on all parts", () => {
  const bytes = (seed: number): string => seededEntropy(seeded(seed)).randomBytes(16).toString("hex");
  expect(bytes(1)).toBe(bytes(1));
  expect(bytes(1)).not.toBe(bytes(2));
  const { hmac } = seededEntropy(seeded(1));
  const macs = [
    ["key", "a", "b"],
    ["key", "a", "c"],
    ["other", "a", "b"],
  ].map(([key = "", ...parts]) => hmac(Buffer.from(key), parts.map(Buffer.from)).toString("hex"));
  expect(new Set(macs).size).toBe(3);
});
