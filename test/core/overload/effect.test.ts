import { expect, test } from "vitest";
import { Effect } from "../../../src/core/overload/effect.ts";

/** From low to high. */
const RANGE = 0.2;

/** Three steps, each of which frees so much and is followed by such a fall. */
function isHopeless(...steps: ReadonlyArray<{ freed: number; fall: number }>): boolean[] {
  const effect = new Effect();
  return steps.map(({ freed, fall }) => {
    effect.begin(0.95, RANGE);
    effect.freed(freed / 2);
    effect.freed(freed / 2);
    effect.observe(0.95 - fall);
    // Only the lowest reading counts: others may have come in the meantime.
    effect.observe(0.95);
    return effect.isHopeless(RANGE);
  });
}

const three = <T>(step: T): T[] => [step, step, step];

test.each([
  ["nothing freed, nothing seen", { freed: 0, fall: 0 }, true],
  ["nothing freed, a fall of less than a tenth of the range", { freed: 0, fall: 0.0199 }, true],
  ["nothing freed, a fall of a tenth", { freed: 0, fall: 0.0201 }, false],
  ["much freed, less than half of it seen, and less than a tenth", { freed: 0.039, fall: 0.019 }, true],
  ["much freed, half of it seen", { freed: 0.03, fall: 0.0151 }, false],
  ["much freed, a tenth of the range seen", { freed: 0.15, fall: 0.0201 }, false],
  ["so little freed that noise hides it", { freed: 0.0019, fall: 0.0019 }, true],
  ["little freed, and seen", { freed: 0.0021, fall: 0.0021 }, false],
  ["a reading that rises", { freed: 0.01, fall: -0.01 }, true],
])("%s", (_, step, hopeless) => {
  expect(isHopeless(...three(step))).toEqual([false, false, hopeless]);
});

test("one that helps begins the row anew", () => {
  const [without, helping] = [
    { freed: 0, fall: 0 },
    { freed: 0, fall: 0.1 },
  ];
  expect(isHopeless(without, without, helping, without, without, without)).toEqual([
    false,
    false,
    false,
    false,
    false,
    true,
  ]);
});

test("says so as long as no other step is taken, and it may yet be seen to help", () => {
  const effect = new Effect();
  for (let step = 0; step < 3; step++) {
    expect(effect.isHopeless(RANGE)).toBe(false);
    effect.begin(0.95, RANGE);
  }
  effect.observe(0.949);
  expect([effect.isHopeless(RANGE), effect.isHopeless(RANGE)]).toEqual([true, true]);
  effect.observe(0.92);
  expect(effect.isHopeless(RANGE)).toBe(false);
});

test("nothing is judged before a step, nor after a new beginning", () => {
  const effect = new Effect();
  effect.freed(1);
  expect(effect.isHopeless(RANGE)).toBe(false);
  for (let step = 0; step < 3; step++) effect.begin(0.95, RANGE);
  effect.reset();
  expect(effect.isHopeless(RANGE)).toBe(false);
  effect.begin(0.95, RANGE);
  expect(effect.isHopeless(RANGE)).toBe(false);
});

test("a rise is counted from the first of the steps in a row without effect", () => {
  const effect = new Effect();
  expect(effect.hasRisen(RANGE)).toBe(false);
  effect.begin(0.9, RANGE);
  effect.observe(0.95);
  expect(effect.hasRisen(RANGE)).toBe(true);
  effect.observe(0.88);
  // The step has helped, so the row begins here.
  effect.begin(0.93, RANGE);
  effect.observe(0.9499);
  expect(effect.hasRisen(RANGE)).toBe(false);
  effect.begin(0.94, RANGE);
  effect.observe(0.9501);
  expect(effect.hasRisen(RANGE)).toBe(true);
  effect.reset();
  expect(effect.hasRisen(RANGE)).toBe(false);
});
