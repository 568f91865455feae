import { expect, test } from "vitest";
import { Held } from "../../src/plain/held.ts";

const MOST_SPARE = 65_536;

test("bytes are added and taken out, whole or from a place on", () => {
  const held = new Held();
  held.add(Buffer.from("xonex"), 1, 4, 10);
  held.add(Buffer.from("two"), 0, 3, 10);
  expect([held.length, held.indexOf(Buffer.from("t"), 0), held.indexOf(Buffer.from("o"), -5)]).toEqual([6, 3, 0]);
  expect(String(held.take(3))).toBe("two");
  expect([held.length, held.memory.length]).toEqual([0, 0]);
});

test("what memory holds besides the held bytes is not searched", () => {
  const held = new Held();
  held.add(Buffer.from("one"), 0, 3, 10);
  held.length = 1;
  expect(held.indexOf(Buffer.from("ne"), 0)).toBe(-1);
});

test("what was taken out does not change with what is added later", () => {
  const held = new Held();
  held.add(Buffer.from("one"), 0, 3, 10);
  const one = held.take();
  held.add(Buffer.from("two"), 0, 3, 10);
  expect([String(one), String(held.take())]).toEqual(["one", "two"]);
});

test("memory doubles, and has room for no more than the most", () => {
  const held = new Held();
  const sizes: number[] = [];
  for (let n = 0; n < 10; n++) {
    held.add(Buffer.alloc(50), 0, 50, 420);
    sizes.push(held.memory.length);
  }
  expect(sizes).toEqual([100, 100, 300, 300, 300, 300, 420, 420, 450, 500]);
});

test("a message that leaves much of its memory empty is copied out of it", () => {
  for (const [bytes, isCopied] of [
    [MOST_SPARE, false],
    [MOST_SPARE + 1, true],
  ] as const) {
    const held = new Held();
    held.add(Buffer.alloc(bytes), 0, bytes, Infinity);
    const { memory } = held;
    expect(memory.length).toBe(2 * bytes);
    expect(held.take().buffer === memory.buffer).toBe(!isCopied);
  }
});
