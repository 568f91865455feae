/**
 * A ladder that works on a simulated process: its memory grows with its clients, and answers to the actions. Beside it
 * stands an application that holds what it likes; readings are noisy, late and missing, and the machine sleeps.
 */
import fc from "fast-check";
import { expect, test } from "vitest";
import type { OverloadAction } from "../../../src/core/overload/actions.ts";
import type { OverloadEvent } from "../../../src/core/overload/resource-ladder.ts";
import { type ResourceRule, ruleOf, SHEDS_PER_SECOND } from "../../../src/core/overload/rules.ts";
import { ShedPace } from "../../../src/core/overload/shed-pace.ts";
import { biggest } from "../../../src/core/overload/victims.ts";
import { seeded } from "../../../src/testing/random.ts";
import { runs } from "../../properties.ts";
import { SAMPLE_MS, Sampled } from "./support.ts";

interface PlantOptions {
  rule: ResourceRule;
  links: number;
  /** The application holds this part of the limit for good. */
  heldByApp: number;
  /** All links together are sent this part of the limit in a second, until the load ends. */
  growth: number;
  /** The reading is off by half of this, up or down. */
  noise: number;
  /** Something was received that can be forgotten. */
  received: boolean;
  /** The time after which freed memory is seen to be free: until it is collected. */
  latchMs: number;
  /** One of so many samples cannot be read; 0: none. */
  failing: number;
  /** The machine sleeps before one of so many samples; 0: never. */
  sleeps: number;
}

/** An idle link, as a part of the limit. */
const LEAST_HELD = 0.000_02;

/** Parts of the limit that are held for each link, and what the ladder makes of them. */
class Plant {
  readonly sampled: Sampled;
  readonly #options: PlantOptions;
  readonly #random: () => number;
  readonly #links: Array<{ heldBytes: number }>;
  readonly #pace = new ShedPace(SHEDS_PER_SECOND);
  /** Freed, and still in the reading. */
  #latched: Array<{ amount: number; untilMs: number }> = [];
  /** Links that were shed, each time. */
  shed = 0;
  isLoaded = true;

  constructor(options: PlantOptions, seed: number) {
    this.#options = options;
    this.#random = seeded(seed);
    this.sampled = new Sampled(options.rule);
    this.sampled.freed = (event) => this.#carryOut(event);
    // No session waits, and every connection is being written on.
    const idle: OverloadAction[] = ["evict-waiting", "close-hopeless"];
    this.sampled.idle = new Set(options.received ? idle : [...idle, "forget-received"]);
    this.#links = Array.from({ length: options.links }, () => ({ heldBytes: LEAST_HELD }));
  }

  /** For so long awake. */
  run(seconds: number): void {
    const { failing, sleeps } = this.#options;
    for (let left = (seconds * 1_000) / SAMPLE_MS; left > 0; left--, this.sampled.nowMs += SAMPLE_MS) {
      this.#grow();
      if (sleeps > 0 && this.#random() < 1 / sleeps) this.sampled.nowMs += 60_000;
      const isRead = failing === 0 || this.#random() >= 1 / failing;
      this.sampled.sample({ [this.#options.rule.name]: isRead ? this.#read() : undefined });
    }
  }

  #grow(): void {
    const { ladder } = this.sampled;
    if (!this.isLoaded) {
      for (const link of this.#links) link.heldBytes *= 0.7;
      return;
    }
    const slowed = ladder.isInForce("shrink-windows") ? 0.5 : 1;
    const each = (this.#options.growth * slowed * SAMPLE_MS) / 1_000 / this.#links.length;
    for (const link of this.#links) link.heldBytes += each * 2 * this.#random();
  }

  #read(): number {
    const { nowMs } = this.sampled;
    this.#latched = this.#latched.filter(({ untilMs }) => untilMs > nowMs);
    const latched = this.#latched.reduce((sum, { amount }) => sum + amount, 0);
    const held = this.#links.reduce((sum, { heldBytes }) => sum + heldBytes, 0);
    return this.#options.heldByApp + held + latched + this.#options.noise * (this.#random() - 0.5);
  }

  #carryOut({ action }: OverloadEvent): number {
    let amount = 0;
    if (action === "forget-received") {
      for (const link of this.#links) {
        amount += 0.1 * link.heldBytes;
        link.heldBytes *= 0.9;
      }
    }
    if (action === "shed") {
      const { low, high } = this.#options.rule;
      const most = this.#pace.available(this.#links.length, this.sampled.nowMs);
      for (const victim of biggest(this.#links, most, high - low)) {
        this.#pace.took(1);
        this.shed++;
        amount += victim.heldBytes;
        victim.heldBytes = 0;
      }
    }
    if (amount > 0) this.#latched.push({ amount, untilMs: this.sampled.nowMs + this.#options.latchMs });
    return amount;
  }
}

const HELD: PlantOptions = {
  rule: ruleOf("bufferBytes"),
  links: 100,
  heldByApp: 0,
  growth: 0,
  noise: 0,
  received: true,
  latchMs: 0,
  failing: 0,
  sleeps: 0,
};

const options: fc.Arbitrary<PlantOptions> = fc.record({
  rule: fc.constantFrom(ruleOf("bufferBytes"), ruleOf("memory"), ruleOf("heap"), ruleOf("tcpMemory")),
  links: fc.integer({ min: 1, max: 60 }),
  heldByApp: fc.constantFrom(0, 0.3, 0.5),
  growth: fc.constantFrom(0.01, 0.05, 0.2, 1),
  noise: fc.constantFrom(0, 0.005, 0.03),
  received: fc.boolean(),
  latchMs: fc.constantFrom(0, 0, 1_500, 120_000),
  failing: fc.constantFrom(0, 0, 10, 2),
  sleeps: fc.constantFrom(0, 0, 100),
});

test("whatever happens, actions come and go no faster than the times allow, and all is released after the load", () => {
  let [overloads, shed] = [0, 0];
  fc.assert(
    fc.property(options, fc.integer(), fc.integer({ min: 20, max: 120 }), (given, seed, loadedSeconds) => {
      const plant = new Plant(given, seed);
      plant.run(loadedSeconds);
      plant.isLoaded = false;
      // Readings fail and the machine sleeps as before.
      plant.run(given.latchMs / 1_000 + 90);
      const { dwellMs, leaveMs, actions, critical } = given.rule;
      const { events, ladder } = plant.sampled;
      const inForce = new Set<string>();
      let [beganMs, endedMs, lastActMs] = [-Infinity, -Infinity, -Infinity];
      for (const { type, action, atMs, threshold } of events) {
        if (type === "act") {
          const isHurried = threshold === critical;
          expect(atMs - lastActMs).toBeGreaterThanOrEqual(isHurried ? SAMPLE_MS : dwellMs);
          if (!isHurried) expect(atMs - endedMs).toBeGreaterThanOrEqual(dwellMs);
          if (beganMs === -Infinity) beganMs = atMs;
          lastActMs = atMs;
          if (action !== undefined) inForce.add(action);
        }
        if (type === "release") expect(inForce.delete(action as string)).toBe(true);
        if (type === "recover") {
          expect(atMs - lastActMs).toBeGreaterThanOrEqual(leaveMs);
          overloads++;
        }
        if (type === "recover" || type === "unreadable") [beganMs, endedMs] = [-Infinity, atMs];
      }
      expect(ladder.resources(plant.sampled.nowMs).get(given.rule.name)).toMatchObject({ state: "normal", holds: [] });
      for (const action of actions) expect(ladder.isInForce(action)).toBe(false);
      shed += plant.shed;
    }),
    { numRuns: runs(60) },
  );
  expect(overloads).toBeGreaterThan(50);
  expect(shed).toBeGreaterThan(50);
});

test("overload that the actions can end is ended by them, and the process is not given up", () => {
  fc.assert(
    fc.property(fc.integer(), fc.constantFrom(0.01, 0.015, 0.02), fc.boolean(), (seed, growth, received) => {
      const plant = new Plant({ ...HELD, growth, received }, seed);
      plant.run(200);
      const highest = Math.max(...plant.sampled.events.map(({ observed }) => observed));
      expect(highest).toBeLessThan(1);
      expect(plant.shed).toBeGreaterThan(0);
      expect(plant.sampled.events.some(({ type }) => type === "ineffective")).toBe(false);
    }),
    { numRuns: runs(10) },
  );
});

test.each([ruleOf("bufferBytes"), ruleOf("memory"), ruleOf("heap"), ruleOf("tcpMemory")])(
  "an application that holds so much of $name for good: three steps at most, one ineffective, hardly a link shed",
  (rule) => {
    fc.assert(
      fc.property(fc.integer(), fc.constantFrom(0, 0.005, 0.009), fc.boolean(), (seed, noise, received) => {
        const plant = new Plant({ ...HELD, rule, heldByApp: 0.93, noise, received }, seed);
        plant.run(120);
        const types = plant.sampled.events.map(({ type }) => type);
        expect(types).toEqual(["act", "act", "act", "ineffective"]);
        expect(plant.shed).toBeLessThan(0.05 * HELD.links);
      }),
      { numRuns: runs(10) },
    );
  },
);

test.each([ruleOf("memory"), ruleOf("heap")])(
  "$name that grows, and is seen to be freed only after minutes, is soon given up: few steps, hardly a link shed",
  (rule) => {
    fc.assert(
      fc.property(fc.integer(), fc.boolean(), (seed, received) => {
        const plant = new Plant({ ...HELD, rule, heldByApp: 0.5, growth: 0.01, received, latchMs: 600_000 }, seed);
        plant.run(50);
        const acts = plant.sampled.events.filter(({ type }) => type === "act");
        // Three times three: at first, for the actions that are left, and where it becomes critical.
        expect(acts.length).toBeLessThanOrEqual(9);
        expect(plant.shed).toBeLessThan(0.1 * HELD.links);
      }),
      { numRuns: runs(10) },
    );
  },
);

test.each([ruleOf("memory"), ruleOf("heap"), ruleOf("bufferBytes")])(
  "$name that grows with its sessions, however slowly: the action that ends it is taken in time",
  (rule) => {
    const growths = fc.double({ min: 0.000_2, max: 0.02, noNaN: true });
    fc.assert(
      fc.property(growths, fc.boolean(), fc.boolean(), (growth, received, stalled) => {
        const sampled = new Sampled(rule);
        const idle: OverloadAction[] = ["evict-waiting"];
        if (!received) idle.push("forget-received");
        if (!stalled) idle.push("close-hopeless");
        sampled.idle = new Set(idle);
        // New sessions are refused within a second, and nothing else helps.
        let refusedMs = 0;
        let observed = rule.low;
        for (let seconds = 0.5 / growth + 60; seconds > 0 && observed < 1; seconds -= SAMPLE_MS / 1_000) {
          if (refusedMs < 1_000) observed += (growth * SAMPLE_MS) / 1_000;
          sampled.sample({ [rule.name]: observed });
          if (sampled.ladder.isInForce("refuse-sessions")) refusedMs += SAMPLE_MS;
          sampled.nowMs += SAMPLE_MS;
        }
        expect(refusedMs).toBeGreaterThan(1_000);
        expect(observed).toBeLessThan(rule.high + 0.09);
      }),
      { numRuns: runs(20) },
    );
  },
);
