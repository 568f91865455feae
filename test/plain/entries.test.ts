import fc from "fast-check";
import { expect, test } from "vitest";
import { Entries } from "../../src/plain/entries.ts";
import type { Entry } from "../../src/plain/entry.ts";

/** Entries, and the messages that they are given one after the other. */
function made() {
  const entries = new Entries();
  let next = 0;
  const add = (needsId = false): Entry => {
    const entry = entries.prepare(next, needsId);
    entries.put(next++, entry);
    return entry;
  };
  const addWithout = (): void => void next++;
  const nextNumber = (): number => next;
  return { entries, add, addWithout, nextNumber };
}

function settle(entry: Entry): void {
  entry.isSettled = true;
}

test("each message is found by its number, whatever was forgotten before, and none that has no object", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -40, max: 40 })), fc.integer({ min: 1, max: 5 }), (steps, every) => {
      const { entries, add, addWithout, nextNumber } = made();
      let first = 0;
      for (const step of steps) {
        for (let n = 0; n < step; n++) {
          if (nextNumber() % every === 0) add().isSettled = n % 3 !== 0;
          else addWithout();
        }
        const to = Math.min(nextNumber(), first - Math.min(0, step));
        entries.forget(to);
        first = to;
        let count = 0;
        for (let n = first; n < nextNumber(); n++) {
          expect(entries.at(n)?.number).toBe(n % every === 0 ? n : undefined);
          if (n % every === 0) count++;
        }
        expect(entries.count).toBe(count);
      }
    }),
  );
});

test("the object of a message that is settled becomes a later message, with nothing of the old one", () => {
  const { entries, add } = made();
  const first = add(true);
  Object.assign(first, { wasWritten: true, id: 7, payloadBytes: 5, partsBytes: 9 });
  settle(first);
  entries.forget(1);
  const others = Array.from({ length: 15 }, () => add());
  const again = add();
  expect(again).toBe(first);
  expect(others).not.toContain(first);
  expect(again).toMatchObject({
    number: 16,
    needsId: false,
    isSettled: false,
    wasWritten: false,
    payloadBytes: 0,
    partsBytes: 0,
  });
  expect(again.id).toBeUndefined();
});

test("the object of a message that was reported becomes no other message", () => {
  const { entries, add } = made();
  const first = add();
  entries.forget(1);
  for (let n = 0; n < 32; n++) expect(add()).not.toBe(first);
});

test("a message that could not be stored leaves its number to the next", () => {
  const { entries, add } = made();
  settle(add());
  entries.forget(1);
  for (let n = 1; n < 16; n++) add();
  const refused = entries.prepare(16, true);
  expect([entries.at(16), entries.count]).toEqual([undefined, 15]);
  expect(add()).toBe(refused);
  expect(refused).toMatchObject({ number: 16, needsId: false });
});

test("a large ring is given up when it has no messages", () => {
  const { entries, add, nextNumber } = made();
  const first = add();
  settle(first);
  for (let n = 0; n < 2_000; n++) settle(add());
  entries.forget(nextNumber());
  for (let n = 0; n < 4_096; n++) expect(add()).not.toBe(first);
});

test("after a burst the ring becomes smaller, though it is never empty", () => {
  const { entries, add, nextNumber } = made();
  const burst = new Set<Entry>();
  for (let n = 0; n < 100_000; n++) burst.add(add());
  for (const entry of burst) settle(entry);
  let reused = 0;
  for (let n = 0; n < 20_000; n++) {
    entries.forget(nextNumber() - 10);
    const entry = add();
    if (burst.has(entry)) reused++;
    settle(entry);
    expect(entries.at(nextNumber() - 5)?.number).toBe(nextNumber() - 5);
  }
  expect(reused).toBeLessThan(2_048);
});
