import { expect, test } from "vitest";
import { seeded, seededEntropy } from "../../src/testing/random.ts";

test("a seed draws the same numbers on every machine: what a failure or the demo prints can be run again", () => {
  const random = seeded(1);
  expect([random(), random(), random()]).toEqual([0.6270739405881613, 0.002735721180215478, 0.5274470399599522]);
  expect(seededEntropy(seeded(1)).randomBytes(4).toString("hex")).toBe("a00087fb");
});
