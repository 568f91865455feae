import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { biggest, cheapestToResume, fullest, hopeless, oldest } from "../../../src/core/overload/victims.ts";
import { runs } from "../../properties.ts";

describe("cheapest to resume", () => {
  const link = (logBytes: number, receivedBytes: number, connectedMs = 0) => ({ logBytes, receivedBytes, connectedMs });

  test("both directions count", () => {
    const [a, b, c, d] = [link(5, 0), link(0, 4), link(2, 1), link(3, 3)] as const;
    expect(cheapestToResume([a, b, c, d], 3)).toEqual([c, b, a]);
  });

  test("of equal ones the longest connected: those that were shed and are back are not shed again", () => {
    const links = [link(0, 0, 900), link(0, 0, 100), link(0, 0, 500)];
    expect(cheapestToResume(links, 2).map(({ connectedMs }) => connectedMs)).toEqual([100, 500]);
  });
});

describe("biggest", () => {
  const holding = (heldBytes: number) => ({ heldBytes });

  test("no more than are asked for, and none that holds nothing", () => {
    expect(biggest([1, 9, 0, 5].map(holding), 2)).toEqual([9, 5].map(holding));
    expect(biggest([0, 1, 0].map(holding), 3)).toEqual([holding(1)]);
  });

  test("no more than it takes to free so many bytes", () => {
    expect(biggest([1, 9, 3, 5].map(holding), 10, 10)).toEqual([9, 5].map(holding));
    expect(biggest([1, 9, 3, 5].map(holding), 10, 14)).toEqual([9, 5].map(holding));
    expect(biggest([1, 9, 3, 5].map(holding), 10, 0)).toEqual([]);
  });
});

test("fullest: the same as of a sorted list", () => {
  const sizes = fc.array(fc.integer({ min: 0, max: 20 }).map((pendingBytes) => ({ pendingBytes })));
  fc.assert(
    fc.property(sizes, fc.integer({ min: -1, max: 12 }), (all, most) => {
      const sorted = all.toSorted((a, b) => b.pendingBytes - a.pendingBytes).slice(0, Math.max(0, most));
      const picked = fullest(all, most);
      expect(picked).toHaveLength(sorted.length);
      for (const [at, each] of picked.entries()) expect(each).toBe(sorted[at]);
    }),
  );
});

describe("hopeless", () => {
  const writer = (pendingBytes: number, progressMs: number) => ({ pendingBytes, progressMs });

  test("those that have written nothing for so long, never by size alone", () => {
    const [huge, stalled, idle, longer] = [writer(1e9, 4_001), writer(1, 4_000), writer(0, 0), writer(7, 0)] as const;
    expect(hopeless([huge, stalled, idle, longer], 10, 15_000, 19_000)).toEqual([longer, stalled]);
    expect(hopeless([huge, stalled, idle, longer], 1, 15_000, 19_000)).toEqual([longer]);
  });
});

describe("oldest", () => {
  test("those that began first", () => {
    const handshakes = [30, 10, 20].map((beganMs) => ({ beganMs }));
    expect(oldest(handshakes, 2).map(({ beganMs }) => beganMs)).toEqual([10, 20]);
    expect(oldest(handshakes, 0)).toEqual([]);
    expect(oldest([], 3)).toEqual([]);
  });
});

test("a selection is the beginning of a stable sort", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 20 }), { maxLength: 200, size: "max" }), fc.nat({ max: 40 }), (times, most) => {
      const handshakes = times.map((beganMs, place) => ({ beganMs, place }));
      expect(oldest(handshakes, most)).toEqual(handshakes.toSorted((a, b) => a.beganMs - b.beganMs).slice(0, most));
    }),
    { numRuns: runs(200) },
  );
});

test("ten thousand candidates are compared a few times each, not sorted", () => {
  let reads = 0;
  const candidates = Array.from({ length: 10_000 }, (_, place) => ({
    get beganMs() {
      reads++;
      return (place * 7_919) % 10_007;
    },
  }));
  oldest(candidates, 100);
  // A comparison reads two. Sorting them would take 120,000 comparisons.
  expect(reads).toBeLessThan(50_000);
});
