import { describe, expect, test } from "vitest";
import { Admission, type Comings, noComings } from "../../../src/core/server/admission.ts";
import { MOST_RETRY_MS } from "../../../src/core/server/come-back-times.ts";
import { seeded } from "../../../src/testing/random.ts";

const RATES = { acceptsPerSecond: 20, opensPerSecond: 10, resumesPerSecond: 100, standbysPerSecond: 5 };
/** A session that waits as long as it likes. */
const LONG_MS = 300_000;

function admissionOf(rates: Partial<typeof RATES> = {}): Admission {
  return new Admission({ ...RATES, ...rates }, seeded(1));
}

/** How many of so many are let in. */
function letIn(times: number, ask: () => number): number {
  let count = 0;
  for (let n = 0; n < times; n++) if (ask() === 0) count++;
  return count;
}

describe("opens", () => {
  test("a second's worth at once, then as they come", () => {
    const admission = admissionOf();
    expect(letIn(20, () => admission.open("a", 1_000))).toBe(10);
    expect(admission.open("a", 1_100)).toBe(0);
    expect(admission.open("a", 1_100)).toBeGreaterThan(0);
    expect(letIn(20, () => admission.open("a", 3_000))).toBe(10);
  });

  test("who has had less than its part is let in, however often another comes", () => {
    const admission = admissionOf({ opensPerSecond: 100 });
    let refused = 0;
    for (let ms = 0; ms < 20_000; ms += 10) {
      for (let n = 0; n < 20; n++) admission.open("greedy", ms);
      if (ms % 100 === 0 && admission.open("modest", ms) > 0) refused++;
    }
    expect(refused).toBe(0);
  });

  test("what one leaves another may have: there is no less for it", () => {
    const admission = admissionOf({ opensPerSecond: 100 });
    let count = letIn(1_000, () => admission.open("a", 0));
    for (let ms = 10; ms <= 10_000; ms += 10) count += letIn(10, () => admission.open("a", ms));
    expect(count).toBeGreaterThanOrEqual(1_090);
    expect(count).toBeLessThanOrEqual(1_110);
  });

  test("in all no more than the budget, from however many places they come", () => {
    const admission = admissionOf({ opensPerSecond: 100 });
    let count = 0;
    for (let ms = 0; ms < 10_000; ms++) count += letIn(2, () => admission.open(`place ${ms % 5_000}`, ms));
    expect(count).toBeLessThanOrEqual(100 * 10 + 150);
  });

  test("a herd is told to come back one after the other", () => {
    const admission = admissionOf();
    letIn(10, () => admission.open("a", 1_000));
    const waits = Array.from({ length: 20 }, () => admission.open("a", 1_000));
    expect(waits).toEqual(Array.from({ length: 20 }, (_, n) => 100 * (n + 1)));
  });

  test("what an attack was told is over when it has passed, and nobody stays away for longer than half a minute", () => {
    const admission = admissionOf();
    let longest = 0;
    for (let ms = 0; ms < 10_000; ms += 5) longest = Math.max(longest, admission.open("a", ms));
    expect(longest).toBeGreaterThan(0.9 * MOST_RETRY_MS);
    expect(longest).toBeLessThanOrEqual(MOST_RETRY_MS);
    const told = Array.from({ length: 100 }, () => admission.open("a", 9_999));
    expect(Math.min(...told)).toBeGreaterThanOrEqual(MOST_RETRY_MS / 2);
    expect(Math.max(...told)).toBeLessThanOrEqual(MOST_RETRY_MS);
    expect(new Set(told).size).toBeGreaterThan(90);
    // A day later the eighteenth of a burst waits for what is before it, and for nothing else.
    const dayMs = 86_400_000;
    const burst = Array.from({ length: 18 }, () => admission.open("a", dayMs));
    expect(burst.slice(0, 10)).toEqual(Array.from({ length: 10 }, () => 0));
    expect(burst.at(-1)).toBe(800);
  });

  test("who is refused often puts off nobody but itself", () => {
    const admission = admissionOf();
    for (let n = 0; n < 1_000; n++) admission.open("greedy", 1_000);
    expect(letIn(2, () => admission.open("modest", 1_000))).toBe(2);
    expect(admission.open("modest", 1_000)).toBeLessThanOrEqual(200);
  });
});

describe("resumes", () => {
  function resume(
    admission: Admission,
    who: string,
    comings: Comings,
    nowMs: number,
    leftMs = LONG_MS,
    mayHurry = true,
  ): number {
    return admission.comeBack("resume", who, comings, leftMs, mayHurry, nowMs);
  }

  test("of one session ten at once, then one a second, and what comes more often has a tenth of the budget", () => {
    const admission = admissionOf({ resumesPerSecond: 20 });
    const [hurried, calm] = [noComings(), noComings()];
    // Two a second, and what they have at once.
    expect(letIn(1_000, () => resume(admission, "a", hurried, 0))).toBe(10 + 2);
    let count = 0;
    let refused = 0;
    for (let ms = 0; ms < 60_000; ms += 10) {
      if (resume(admission, "a", hurried, ms) === 0) count++;
      if (ms % 1_000 === 0 && resume(admission, "a", calm, ms) > 0) refused++;
    }
    expect(count).toBeGreaterThan(60);
    expect(count).toBeLessThanOrEqual(60 + 2 * 60);
    expect(refused).toBe(0);
  });

  test("nothing is left for those that come more often while others are waited for", () => {
    const admission = admissionOf();
    const comings = noComings();
    expect(letIn(1_000, () => resume(admission, "a", comings, 0, LONG_MS, false))).toBe(10);
    let count = 0;
    for (let ms = 0; ms < 60_000; ms += 10) if (resume(admission, "a", comings, ms, LONG_MS, false) === 0) count++;
    expect(count).toBe(59);
  });

  test("ten sessions that come without a pause use up nothing that others need", () => {
    const admission = admissionOf({ resumesPerSecond: 200 });
    const greedy = Array.from({ length: 10 }, noComings);
    let refused = 0;
    for (let ms = 0; ms < 12_000; ms++) {
      for (const comings of greedy) resume(admission, "the same", comings, ms);
      if (ms % 50 === 0 && resume(admission, "the same", noComings(), ms) > 0) refused++;
    }
    expect(refused).toBe(0);
  });

  test("a session that was refused has its turn: let in then or later, and told what is left before", () => {
    const admission = admissionOf({ resumesPerSecond: 2 });
    for (let n = 0; n < 5; n++) resume(admission, "a", noComings(), 0);
    const [early, onTime] = [noComings(), noComings()];
    const waits = [resume(admission, "a", early, 0), resume(admission, "a", onTime, 0)];
    expect(waits[0]).toBeGreaterThanOrEqual(500);
    expect(resume(admission, "a", early, 100)).toBe((waits[0] as number) - 100);
    // Whatever others do meanwhile.
    for (let ms = 0; ms < 20_000; ms += 10) resume(admission, "a", noComings(), ms);
    expect([resume(admission, "a", early, 20_000), resume(admission, "a", onTime, 20_000)]).toEqual([0, 0]);
    expect(resume(admission, "a", noComings(), 20_000)).toBeGreaterThan(0);
  });

  test("a turn is no right for ever", () => {
    const admission = admissionOf({ resumesPerSecond: 2 });
    const late = noComings();
    for (let n = 0; n < 5; n++) resume(admission, "a", noComings(), 0);
    expect(resume(admission, "a", late, 0)).toBeGreaterThan(0);
    for (let n = 0; n < 5; n++) resume(admission, "a", noComings(), 3_600_000);
    expect(resume(admission, "a", late, 3_600_000)).toBeGreaterThan(0);
  });

  test("nobody is told to come later than its session waits: half of that, at most half a minute", () => {
    for (const [leftMs, mostMs] of [
      [4_000, 2_000],
      [LONG_MS, MOST_RETRY_MS],
      [1, 1],
    ] as const) {
      const admission = admissionOf({ resumesPerSecond: 1 });
      const waits = Array.from({ length: 200 }, () => resume(admission, "a", noComings(), 0, leftMs));
      expect(Math.max(...waits)).toBe(mostMs);
      expect(waits.filter((ms) => ms > 0).length).toBeGreaterThan(190);
    }
  });

  test("each kind has its own budget, and its own turn", () => {
    const admission = admissionOf({ standbysPerSecond: 1 });
    letIn(20, () => admission.open("a", 0));
    for (let n = 0; n < 3; n++) admission.comeBack("standby", "a", noComings(), LONG_MS, true, 0);
    const comings = noComings();
    expect(admission.comeBack("standby", "a", comings, LONG_MS, true, 0)).toBeGreaterThan(0);
    expect(admission.comeBack("resume", "a", comings, LONG_MS, true, 0)).toBe(0);
  });
});

describe("accepts", () => {
  test("a second's worth at once, and a reserve for addresses that have had less than their part", () => {
    const admission = admissionOf();
    const accepted = (peer: string, times: number, nowMs: number): number =>
      letIn(times, () => (admission.accept(peer, nowMs) ? 0 : 1));
    expect(accepted("crowd", 100, 1_000)).toBe(20);
    expect(accepted("other", 5, 1_000)).toBe(5);
    // Of the 10 that have come back the reserve has 5 again.
    expect(accepted("crowd", 100, 1_500)).toBe(5);
  });
});

describe("other budgets", () => {
  test("keep their fill, and are what is refused by from then on", () => {
    const admission = admissionOf({ opensPerSecond: 100 });
    expect(letIn(90, () => admission.open("a", 1_000))).toBe(90);
    admission.set({ ...RATES, opensPerSecond: 20 }, 1_000);
    // 60 were left, of which 30 fit, and 10 of these are kept for others.
    expect(letIn(90, () => admission.open("a", 1_000))).toBe(20);
    admission.set({ ...RATES, opensPerSecond: 1_000 }, 1_000);
    expect(letIn(90, () => admission.open("b", 1_000))).toBe(10);
    // Half of what has come back fills the larger reserve.
    expect(letIn(2_000, () => admission.open("c", 2_000))).toBe(500);
  });

  test.each(["accept", "resume", "standby"] as const)("of each kind: %s", (kind) => {
    const admission = admissionOf({ acceptsPerSecond: 2, resumesPerSecond: 2, standbysPerSecond: 2 });
    const ask = (nowMs: number): number =>
      kind === "accept"
        ? admission.accept("a", nowMs)
          ? 0
          : 1
        : admission.comeBack(kind, "a", noComings(), LONG_MS, true, nowMs);
    expect(letIn(10, () => ask(1_000))).toBeLessThan(4);
    admission.set({ acceptsPerSecond: 50, opensPerSecond: 1, resumesPerSecond: 50, standbysPerSecond: 50 }, 1_000);
    expect(letIn(100, () => ask(3_000))).toBe(50);
  });
});
