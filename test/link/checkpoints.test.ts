import { expect, test } from "vitest";
import { type Checkpoint, Checkpoints } from "../../src/link/checkpoints.ts";

test("a flush is done when the last message before it has left, in whatever order they leave", () => {
  const checkpoints = new Checkpoints<string>();
  const [a, b] = [checkpoints.join(), checkpoints.join()];
  checkpoints.add("first");
  const later = checkpoints.join();
  expect(checkpoints.left(later)).toEqual([]);
  expect(checkpoints.left(b)).toEqual([]);
  expect(checkpoints.left(a)).toEqual(["first"]);
});

test("an earlier flush is done before a later one, and several at once", () => {
  const checkpoints = new Checkpoints<string>();
  const a = checkpoints.join();
  checkpoints.add("first");
  checkpoints.add("second");
  const b = checkpoints.join();
  checkpoints.add("third");
  expect(checkpoints.left(b)).toEqual([]);
  expect(checkpoints.left(a)).toEqual(["first", "second", "third"]);
});

test("a lost message is covered by every flush that came after it, and by none before", () => {
  const checkpoints = new Checkpoints<string>();
  const a = checkpoints.join();
  checkpoints.add("first");
  const b = checkpoints.join();
  checkpoints.add("second");
  expect(checkpoints.takeCovering(b)).toEqual(["second"]);
  expect(checkpoints.takeCovering(b)).toEqual([]);
  expect(checkpoints.left(b)).toEqual([]);
  expect(checkpoints.left(a)).toEqual(["first"]);
});

test("all of them, at the end", () => {
  const checkpoints = new Checkpoints<string>();
  checkpoints.join();
  checkpoints.add("first");
  checkpoints.join();
  checkpoints.add("second");
  expect(checkpoints.takeCovering(undefined)).toEqual(["first", "second"]);
});

test("a flush that is given up covers nothing any more, and the others wait for the same messages as before", () => {
  const checkpoints = new Checkpoints<string>();
  const a = checkpoints.join();
  const first = checkpoints.add("first");
  const b = checkpoints.join();
  checkpoints.add("second");
  checkpoints.withdraw(first, "first");
  expect(checkpoints.left(b)).toEqual([]);
  expect(checkpoints.takeCovering(a)).toEqual(["second"]);
  checkpoints.add("third");
  const c = checkpoints.join();
  expect(checkpoints.left(c)).toEqual([]);
  expect(checkpoints.left(a)).toEqual(["third"]);
});

const FLUSHES = 1_000;

/** A message, a flush(), a message, and so on. Counts how often a checkpoint was looked at. */
function manyFlushes(checkpoints: Checkpoints<number>): { joined: Array<Checkpoint<number>>; looks: () => number } {
  let looks = 0;
  const joined = Array.from({ length: FLUSHES }, (_, n) => {
    const checkpoint = checkpoints.join();
    for (const name of ["flushes", "mergedInto"] as const) {
      let value: unknown = checkpoint[name];
      const count = { get: () => (looks++, value), set: (next: unknown) => void (value = next) };
      Object.defineProperty(checkpoint, name, count);
    }
    checkpoints.add(n);
    return checkpoint;
  });
  looks = 0;
  return { joined, looks: () => looks };
}

test.each(["first", "last"])("dropping all messages, from the %s on, looks at each checkpoint a few times", (which) => {
  const checkpoints = new Checkpoints<number>();
  const { joined, looks } = manyFlushes(checkpoints);
  const rejected: number[] = [];
  for (const checkpoint of which === "first" ? joined : joined.toReversed()) {
    rejected.push(...checkpoints.takeCovering(checkpoint));
    checkpoints.left(checkpoint);
  }
  expect(rejected.toSorted((a, b) => a - b)).toEqual(Array.from({ length: FLUSHES }, (_, n) => n));
  expect(looks()).toBeLessThan(20 * FLUSHES);
});

test("flushes that are given up leave no checkpoint behind, though an early message stays", () => {
  const checkpoints = new Checkpoints<number>();
  checkpoints.join();
  checkpoints.add(-1);
  const { joined, looks } = manyFlushes(checkpoints);
  for (const [n, checkpoint] of joined.entries()) checkpoints.withdraw(checkpoint, n);
  for (const checkpoint of joined) checkpoints.left(checkpoint);
  const before = looks();
  expect(checkpoints.takeCovering(undefined)).toEqual([-1]);
  expect(looks() - before).toBeLessThan(10);
});
