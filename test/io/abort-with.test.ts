import { expect, test } from "vitest";
import { abortWith } from "../../src/io/abort-with.ts";

test("a controller is aborted with the signal, and for its reason, also where that was before", () => {
  const outer = new AbortController();
  const [one, other] = [new AbortController(), new AbortController()];
  abortWith(outer.signal, one);
  expect(one.signal.aborted).toBe(false);
  outer.abort("over");
  abortWith(outer.signal, other);
  expect([one.signal.reason, other.signal.reason]).toEqual(["over", "over"]);
});

test("not any more when that was taken back", () => {
  const outer = new AbortController();
  const inner = new AbortController();
  abortWith(outer.signal, inner)();
  outer.abort();
  expect(inner.signal.aborted).toBe(false);
});
