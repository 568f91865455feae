import { expect, test } from "vitest";
import { Checkpoints } from "../../src/link/checkpoints.ts";

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
