/** Small messages without objects: where they are, and how long their blocks are kept. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { BlockPool } from "../../src/core/log/blocks.ts";
import { Entry } from "../../src/plain/entry.ts";
import { SmallMessages } from "../../src/plain/small.ts";
import { Run, Storage } from "../../src/plain/storage.ts";
import { LINES } from "./support.ts";

function made(blockBytes = 512) {
  const pool = new BlockPool(blockBytes);
  const given: Buffer[] = [];
  const give = pool.give.bind(pool);
  pool.give = (block) => {
    given.push(block);
    give(block);
  };
  const storage = new Storage(LINES, undefined, pool);
  const small = new SmallMessages(storage);
  const spare = new Entry(false);
  let before = 0;
  const add = (number: number, text: string): void => {
    storage.store(spare, text, text.length, false);
    small.add(number, spare, before);
    before += text.length;
  };
  const payload = (number: number): string => {
    const entry = new Entry(false);
    small.describe(number, entry);
    const text = String(entry.payload);
    storage.release(entry);
    return text;
  };
  /** As many of the messages as have room in `bytes`. */
  const run = (from: number, to: number, bytes: number, atLeastOne = false): { end: number; out: string[] } => {
    const out: Buffer[] = [];
    const added = new Run(out, bytes);
    const end = small.addTo(added, from, to, atLeastOne);
    added.end();
    return { end, out: out.map(String) };
  };
  return { given, storage, small, spare, add, payload, run };
}

test("each message is found by its number, whatever was forgotten before, and though there are gaps", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -60, max: 60 })), fc.integer({ min: 1, max: 40 }), (steps, gap) => {
      const { small, add, payload, run } = made();
      let first = 0;
      let next = 0;
      for (const step of steps) {
        for (let n = 0; n < step; n++, next++) if (next % gap !== 3) add(next, `message ${next}`);
        first = Math.min(next, first - Math.min(0, step));
        small.forget(first);
        for (let n = next - 1; n >= first; n--) {
          if (n % gap === 3) continue;
          expect([payload(n), run(n, n + 1, 1_000).out]).toEqual([`message ${n}`, [`message ${n}\n`]]);
          expect(small.payloadOf(n, n + 1)).toBe(`message ${n}`.length);
        }
      }
    }),
  );
});

test("messages that follow one another are one piece for each block, as far as there is room, and are counted at once", () => {
  const { small, add, run } = made();
  for (let n = 0; n < 200; n++) add(n, "123456789");
  // Blocks of 512 bytes take 51 messages of 10.
  expect(run(30, 120, 10_000)).toEqual({ end: 120, out: [21, 51, 18].map((count) => "123456789\n".repeat(count)) });
  expect(run(30, 120, 225)).toEqual({ end: 52, out: ["123456789\n".repeat(21), "123456789\n"] });
  expect(run(30, 120, 210)).toEqual({ end: 51, out: ["123456789\n".repeat(21)] });
  expect([run(30, 120, 9), run(30, 120, 9, true)]).toEqual([
    { end: 30, out: [] },
    { end: 31, out: ["123456789\n"] },
  ]);
  expect([small.payloadOf(30, 120), small.payloadOf(30, 30)]).toEqual([90 * 9, 0]);
});

test("a block is given back when the last of its messages is forgotten, and no more may be added", () => {
  const { given, small, add } = made();
  for (let n = 0; n < 100; n++) add(n, "123456789");
  // Blocks of 512 bytes take 51 messages of 10.
  small.forget(50);
  expect(given.length).toBe(0);
  small.forget(51);
  expect(given.length).toBe(1);
  small.forget(100);
  expect(given.length).toBe(1);
  // The second block has room for two more.
  for (let n = 100; n < 110; n++) add(n, "123456789");
  small.forget(101);
  expect(given.length).toBe(1);
  small.forget(102);
  expect(given.length).toBe(2);
});

test("a message that has got an object keeps its block", () => {
  const { given, storage, small, add } = made();
  for (let n = 0; n < 60; n++) add(n, "123456789");
  const entry = new Entry(false);
  small.describe(7, entry);
  small.forget(60);
  expect(given.length).toBe(0);
  expect(String(entry.payload)).toBe("123456789");
  storage.release(entry);
  expect(given.length).toBe(1);
});

test("a ring that is empty does not keep the memory of very many messages", () => {
  const { small, add, payload } = made(4_096);
  for (let n = 0; n < 5_000; n++) add(n, "x");
  expect(small.slots).toBeGreaterThan(5_000);
  small.forget(5_000);
  expect(small.slots).toBe(0);
  add(5_000, "y");
  expect(payload(5_000)).toBe("y");
});

test("after a burst the ring becomes smaller, though it is never empty, and each message stays where it is", () => {
  const { small, add, payload } = made(4_096);
  for (let n = 0; n < 50_000; n++) add(n, `${n}`);
  expect(small.slots).toBeGreaterThan(50_000);
  for (let n = 0; n < 100; n++) {
    small.forget(50_000 + n - 10);
    add(50_000 + n, `${50_000 + n}`);
  }
  expect(small.slots).toBeLessThanOrEqual(1_024);
  for (let n = 50_089; n < 50_100; n++) expect(payload(n)).toBe(`${n}`);
});

test("a payload that does not lie on the wire unchanged needs an object, and so does a large one", () => {
  const storage = new Storage({ ...LINES, encode: (message) => Buffer.concat([message]) }, undefined, new BlockPool());
  const entry = new Entry(false);
  storage.store(entry, "text", 4, false);
  expect(SmallMessages.fits(entry)).toBe(false);
  const { spare, storage: plain } = made(65_536);
  plain.store(spare, "text", 4, false);
  expect(SmallMessages.fits(spare)).toBe(true);
  plain.store(spare, "x".repeat(10_000), 10_000, false);
  expect(SmallMessages.fits(spare)).toBe(false);
});
