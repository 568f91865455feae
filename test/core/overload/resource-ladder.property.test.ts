/** A ladder against a model that looks at the whole history of its readings each time. */
import fc from "fast-check";
import { expect, test } from "vitest";
import { isCondition, OVERLOAD_ACTIONS, type OverloadAction } from "../../../src/core/overload/actions.ts";
import { GAP_MS, TREND_MS, UNREADABLE_MS } from "../../../src/core/overload/resource-ladder.ts";
import type { ResourceRule } from "../../../src/core/overload/rules.ts";
import { seeded } from "../../../src/testing/random.ts";
import { runs } from "../../properties.ts";
import { Sampled } from "./support.ts";

interface Reading {
  atMs: number;
  observed: number;
}

/** Keeps everything, and says at each sample what follows from it. */
class Model {
  readonly #rule: ResourceRule;
  /** Readings that count, since the last pause or end of an overload. */
  #history: Reading[] = [];
  #readMs = -Infinity;
  #sampledMs = -Infinity;
  #missingSinceMs = 0;
  /** Steps of this overload, with what each has freed and the readings since. */
  #steps: Array<Reading & { action: OverloadAction; freed: number }> = [];
  /** Steps before this one are judged, and were not the third in a row or are forgiven. */
  #forgiven = 0;
  #givenUpAt: number | undefined;

  constructor(rule: ResourceRule) {
    this.#rule = rule;
  }

  sample(observed: number | undefined, idle: ReadonlySet<OverloadAction>, nowMs: number, freed: number): string[] {
    if (this.#sampledMs !== -Infinity && nowMs - this.#sampledMs > GAP_MS) this.#missingSinceMs = nowMs;
    this.#sampledMs = nowMs;
    const isLate = this.#readMs !== -Infinity && nowMs - this.#readMs > GAP_MS;
    if (observed !== undefined) this.#readMs = nowMs;
    if (observed === undefined || isLate) {
      if (isLate && observed !== undefined) this.#history.push({ atMs: nowMs, observed: NaN });
      if (this.#steps.length === 0 || nowMs - this.#missingSinceMs < UNREADABLE_MS) return [];
      return this.#end("unreadable");
    }
    this.#missingSinceMs = nowMs;
    this.#history.push({ atMs: nowMs, observed });
    const { low, high, critical = Infinity, dwellMs, leaveMs } = this.#rule;
    const sincePause = this.#history.slice(this.#history.findLastIndex((each) => Number.isNaN(each.observed)) + 1);
    const trend = sincePause.filter((each, at) => at >= sincePause.length - 2 || nowMs - each.atMs <= TREND_MS);
    const rise = observed - Math.min(...trend.map((each) => each.observed));
    const isCritical = observed >= critical || (observed >= low && observed + rise >= critical);
    if (observed < high && !isCritical) {
      const isOver = nowMs - this.#since((each) => each < low) >= leaveMs;
      return this.#steps.length > 0 && isOver ? this.#end("recover") : [];
    }
    const last = this.#steps.at(-1);
    const forMs =
      nowMs -
      Math.max(
        this.#since((each) => each >= high),
        last?.atMs ?? 0,
      );
    const taken = new Set(this.#steps.map((step) => step.action));
    const useful = this.#rule.actions.filter((each) => !idle.has(each));
    const acts = useful.filter((each) => OVERLOAD_ACTIONS[each] === "act");
    const action = useful.find((each) => !taken.has(each)) ?? acts.at(-1);
    const isNew = action !== undefined && !taken.has(action);
    const isLast = this.#givenUpAt === undefined && this.#withoutEffect() >= 3;
    const hasRisen = observed - (this.#steps.at(-3)?.observed ?? 0) >= (high - low) / 10;
    const isLastChance = isLast && !(isNew && hasRisen);
    if (forMs < dwellMs && (!isCritical || isLastChance)) return [];
    if (isLastChance) {
      this.#givenUpAt = observed;
      return ["ineffective"];
    }
    if (action === undefined) return [];
    if (this.#givenUpAt !== undefined) {
      const isNewlyCritical = this.#givenUpAt < critical && isCritical;
      if (observed < this.#givenUpAt + (high - low) / (isNew || isNewlyCritical ? 10 : 1)) return [];
    }
    if (this.#givenUpAt !== undefined || isLast) this.#forgiven = this.#steps.length;
    this.#givenUpAt = undefined;
    this.#steps.push({ atMs: nowMs, observed, action, freed });
    return [`act ${action}`];
  }

  /** Of the newest readings, the first from which on all are so. */
  #since(isSo: (observed: number) => boolean): number {
    const before = this.#history.findLastIndex(({ observed }) => !isSo(observed));
    return this.#history[before + 1]?.atMs ?? Infinity;
  }

  /** The steps in a row, up to the last, after which the reading has not fallen enough. */
  #withoutEffect(): number {
    const { low, high } = this.#rule;
    let count = 0;
    for (let index = this.#steps.length - 1; index >= this.#forgiven; index--) {
      const { atMs, observed, freed } = this.#steps[index] as Reading & { freed: number };
      const untilMs = this.#steps[index + 1]?.atMs ?? Infinity;
      const after = this.#history.filter((each) => each.atMs > atMs && each.atMs <= untilMs);
      const lowest = Math.min(observed, ...after.map((each) => each.observed).filter((each) => !Number.isNaN(each)));
      const fall = observed - lowest;
      if (fall >= (high - low) / 10 || (freed >= (high - low) / 100 && fall >= freed / 2)) break;
      count++;
    }
    return count;
  }

  #end(how: "recover" | "unreadable"): string[] {
    const conditions = new Set(this.#steps.map(({ action }) => action).filter(isCondition));
    this.#steps = [];
    this.#history = [];
    this.#forgiven = 0;
    this.#givenUpAt = undefined;
    return [...[...conditions].toReversed().map((action) => `release ${action}`), how];
  }
}

const ACTIONS = Object.keys(OVERLOAD_ACTIONS) as OverloadAction[];
const actions = fc.shuffledSubarray(ACTIONS, { minLength: 1 });

/** In whole units, as no rounding is to be tested. */
const rules: fc.Arbitrary<ResourceRule> = fc
  .record({
    range: fc.integer({ min: 1, max: 4 }),
    above: fc.option(fc.nat({ max: 300 }), { nil: undefined }),
    dwellMs: fc.constantFrom(0, 250, 1_000, 2_500),
    leaveMs: fc.constantFrom(0, 1_000, 5_000),
    actions,
  })
  .map(({ range, above, dwellMs, leaveMs, actions: given }) => {
    const high = 500 + 100 * range;
    const rule: ResourceRule = { name: "memory", low: 500, high, dwellMs, leaveMs, actions: given };
    if (above !== undefined) rule.critical = high + above;
    return rule;
  });

const stretches = fc.array(
  fc.record({
    base: fc.constantFrom(300, 490, 500, 550, 600, 700, 850, 1_000, 1_300),
    noise: fc.constantFrom(0, 0, 5, 60),
    samples: fc.oneof(fc.integer({ min: 1, max: 45 }), fc.constant(125)),
    failing: fc.constantFrom(0, 0, 0, 0.2, 0.99, 1),
    /** Longer than it should be, the time after one of these samples. */
    pauseMs: fc.constantFrom(0, 0, 0, 9_000, 9_750, 9_751, 12_000, 60_000),
    freed: fc.constantFrom(0, 0, 1, 8, 40, 200),
    idle: fc.oneof(fc.constant([]), fc.subarray(ACTIONS)),
  }),
  { minLength: 1, maxLength: 14, size: "max" },
);

test("says the same as a model that keeps its whole history", () => {
  const said = new Map<string, number>();
  fc.assert(
    fc.property(rules, stretches, fc.integer(), (rule, given, seed) => {
      const [ladder, model] = [new Sampled(rule), new Model(rule)];
      const random = seeded(seed);
      for (const { base, noise, samples, failing, pauseMs, freed, idle } of given) {
        ladder.freed = () => freed;
        ladder.idle = new Set(idle);
        for (let sample = 0; sample < samples; sample++) {
          const observed = random() < failing ? undefined : base + Math.round(noise * (random() - 0.5));
          const lines = ladder.sample(observed);
          const expected = model.sample(observed, ladder.idle, ladder.nowMs, freed);
          // Each comparison by expect() would take most of the time.
          if (lines.join() !== expected.join()) expect({ atMs: ladder.nowMs, lines }).toEqual({ lines: expected });
          for (const line of lines) {
            const type = line.replace(/ .*/u, "");
            said.set(type, (said.get(type) ?? 0) + 1);
          }
          ladder.nowMs += 250;
        }
        ladder.nowMs += pauseMs;
      }
    }),
    { numRuns: runs(150) },
  );
  for (const type of ["act", "release", "recover", "ineffective", "unreadable"]) {
    expect([type, (said.get(type) ?? 0) >= 20]).toEqual([type, true]);
  }
});
