import fc from "fast-check";
import { expect, test } from "vitest";
import { ExpiryHeap } from "../../../src/core/queue/expiry-heap.ts";

const times = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 40 });

test("the earliest is first, whatever comes and goes", () => {
  fc.assert(
    fc.property(times, fc.array(fc.nat()), (expiries, leaving) => {
      const heap = new ExpiryHeap<{ expiresMs: number; heapAt: number }>();
      const here = expiries.map((expiresMs) => ({ expiresMs, heapAt: -1 }));
      for (const each of here) heap.add(each);
      for (const at of leaving) {
        const [gone] = here.splice(at % Math.max(1, here.length), 1);
        if (gone !== undefined) heap.remove(gone);
        if (gone !== undefined) expect(gone.heapAt).toBe(-1);
        expect(heap.first?.expiresMs).toBe(here.length === 0 ? undefined : Math.min(...here.map((e) => e.expiresMs)));
      }
      const sorted: number[] = [];
      for (let { first } = heap; first !== undefined; first = heap.first) {
        sorted.push(first.expiresMs);
        heap.remove(first);
      }
      expect(sorted).toEqual(here.map(({ expiresMs }) => expiresMs).toSorted((a, b) => a - b));
    }),
  );
});

test("who is not in it leaves nothing behind", () => {
  const heap = new ExpiryHeap<{ expiresMs: number; heapAt: number }>();
  const inside = { expiresMs: 1, heapAt: -1 };
  heap.add(inside);
  heap.remove({ expiresMs: 0, heapAt: -1 });
  expect(heap.first).toBe(inside);
});
