import { array, assert, integer, property } from "fast-check";
import { expect, test } from "vitest";
import { biggest } from "../../src/supervise/biggest.ts";

test("the same as of a sorted list", () => {
  const sizes = array(integer({ min: 0, max: 20 }).map((pendingBytes) => ({ pendingBytes })));
  assert(
    property(sizes, integer({ min: -1, max: 12 }), (all, most) => {
      const sorted = all.toSorted((a, b) => b.pendingBytes - a.pendingBytes).slice(0, Math.max(0, most));
      const picked = biggest(all, most);
      expect(picked).toHaveLength(sorted.length);
      for (const [at, each] of picked.entries()) expect(each).toBe(sorted[at]);
    }),
  );
});
