import fc from "fast-check";
import { expect, test } from "vitest";
import { Entries } from "../../src/plain/entries.ts";
import type { Entry } from "../../src/plain/entry.ts";

function added(entries: Entries, needsId = false): Entry {
  const entry = entries.prepare(needsId);
  entries.add();
  return entry;
}

function settle(entry: Entry): void {
  entry.isSettled = true;
}

test("each message is found by its number, whatever was forgotten before", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: -40, max: 40 })), (steps) => {
      const entries = new Entries();
      let first = 0;
      for (const step of steps) {
        if (step > 0) for (let n = 0; n < step; n++) added(entries).isSettled = n % 3 !== 0;
        const to = Math.min(entries.next, first - Math.min(0, step));
        entries.forget(to);
        first = to;
        for (let n = first; n < entries.next; n++) expect(entries.at(n).number).toBe(n);
      }
    }),
  );
});

test("the object of a message that is settled becomes a later message, with nothing of the old one", () => {
  const entries = new Entries();
  const first = added(entries, true);
  Object.assign(first, { wasWritten: true, id: 7, payloadBytes: 5, partsBytes: 9 });
  settle(first);
  entries.forget(1);
  const others = Array.from({ length: 15 }, () => added(entries));
  const again = added(entries);
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
  const entries = new Entries();
  const first = added(entries);
  entries.forget(1);
  for (let n = 0; n < 32; n++) expect(added(entries)).not.toBe(first);
});

test("a message that could not be stored leaves its number to the next", () => {
  const entries = new Entries();
  const refused = entries.prepare(true);
  expect(entries.next).toBe(0);
  expect(added(entries)).toBe(refused);
  expect(refused).toMatchObject({ number: 0, needsId: false });
});

test("a large ring is given up when it has no messages", () => {
  const entries = new Entries();
  const first = added(entries);
  settle(first);
  for (let n = 0; n < 2_000; n++) settle(added(entries));
  entries.forget(entries.next);
  for (let n = 0; n < 4_096; n++) expect(added(entries)).not.toBe(first);
});

test("after a burst the ring becomes smaller, though it is never empty", () => {
  const entries = new Entries();
  const burst = new Set<Entry>();
  for (let n = 0; n < 100_000; n++) burst.add(added(entries));
  for (const entry of burst) settle(entry);
  let reused = 0;
  for (let n = 0; n < 20_000; n++) {
    entries.forget(entries.next - 10);
    const entry = added(entries);
    if (burst.has(entry)) reused++;
    settle(entry);
  }
  expect(reused).toBeLessThan(2_048);
});
