import fc from "fast-check";
import { expect, test } from "vitest";
import { difference, type Json, patched, type Tree } from "../../../src/monitor/live/patch.ts";

const leaf: fc.Arbitrary<Json> = fc.oneof(
  fc.integer({ min: 0, max: 3 }),
  fc.constantFrom("", "a"),
  fc.boolean(),
  fc.array(fc.oneof(fc.integer({ min: 0, max: 2 }), fc.constant(null)), { maxLength: 3 }),
);
const { tree } = fc.letrec<{ tree: Tree }>((tie) => ({
  tree: fc.dictionary(fc.constantFrom("a", "b", "c", "1", "2"), fc.oneof({ depthSize: "small" }, leaf, tie("tree")), {
    maxKeys: 4,
    noNullPrototype: true,
  }),
}));

test("a patched tree is the one that the difference was taken to", () => {
  fc.assert(
    fc.property(tree, tree, (before, after) => {
      const patch = difference(before, after);
      // As it arrives.
      const received = patch && (JSON.parse(JSON.stringify(patch)) as Tree);
      expect(received === undefined ? before : patched(before, received)).toEqual(after);
    }),
  );
});

test("there is no difference between equal trees, and none of it is about what is equal", () => {
  fc.assert(
    fc.property(tree, (same) => {
      const copy = structuredClone(same);
      expect(difference(same, copy)).toBeUndefined();
      expect(difference({ same, gone: 1 }, { same: copy, fresh: 2 })).toEqual({ gone: null, fresh: 2 });
    }),
  );
});

test("what a patch does not touch stays the same object", () => {
  const before: Tree = { rows: { 1: { state: "connected" }, 2: { state: "connected" } } };
  const after = patched(before, { rows: { 2: { state: "closed" } } });
  const rows = (of: Tree): Tree => of["rows"] as Tree;
  expect(rows(after)["1"]).toBe(rows(before)["1"]);
  expect(rows(before)["2"]).toEqual({ state: "connected" });
});

test("a value that is undefined counts as absent", () => {
  expect(difference({ a: 1 }, { a: undefined })).toEqual({ a: null });
  expect(difference({ a: undefined }, {})).toBeUndefined();
});
