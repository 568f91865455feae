import { describe, expect, test } from "vitest";
import { GAP_MS, UNREADABLE_MS } from "../../../src/core/overload/resource-ladder.ts";
import { ruleOf } from "../../../src/core/overload/rules.ts";
import { RULE, SAMPLE_MS, Sampled } from "./support.ts";

/** A ladder at 0.95 whose steps all help. */
function helped(rule: Partial<typeof RULE> & { critical?: number } = {}): Sampled {
  const sampled = new Sampled({ ...RULE, ...rule });
  sampled.freed = () => 0.01;
  return sampled;
}

/** Each step is followed by a lower reading, which is high again at the next sample. */
function climb(sampled: Sampled, steps: number, high = 0.95): string[] {
  const lines: string[] = [];
  for (let sample = 0; lines.length < steps && sample < 200; sample++) {
    const said = sampled.sample(high);
    lines.push(...said.map((each) => `${sampled.nowMs} ${each}`));
    sampled.nowMs += SAMPLE_MS;
    if (said.length > 0) {
      sampled.sample(high - 0.03);
      sampled.nowMs += SAMPLE_MS;
    }
  }
  return lines;
}

describe("entering", () => {
  test("the first step after the whole dwell time, one more after each, the last act again and again", () => {
    expect(climb(helped(), 6)).toEqual([
      "1000 act shrink-windows",
      "2000 act forget-received",
      "3000 act refuse-sessions",
      "4000 act shed",
      "5000 act shed",
      "6000 act shed",
    ]);
  });

  test("of which the last act is not always the last action", () => {
    expect(climb(helped({ actions: ["shed", "refuse-sessions"] }), 4)).toEqual([
      "1000 act shed",
      "2000 act refuse-sessions",
      "3000 act shed",
      "4000 act shed",
    ]);
  });

  test("with conditions alone there is nothing to repeat, and no step", () => {
    const sampled = helped({ actions: ["refuse-sessions"] });
    expect(sampled.hold(0.95, 60_000)).toEqual(["1000 act refuse-sessions"]);
    expect(sampled.ladder.resources(0).get("memory")?.state).toBe("overloaded");
  });

  test("an action that would find nothing to do is passed over, and taken first as soon as it would not", () => {
    const sampled = helped();
    sampled.idle = new Set(["shrink-windows", "forget-received"]);
    expect(sampled.hold(0.95, 1_250)).toEqual(["1000 act refuse-sessions"]);
    sampled.idle = new Set(["forget-received"]);
    expect(sampled.hold(0.95, 1_000)).toEqual(["750 act shrink-windows"]);
  });

  test("nor is one repeated that would find nothing to do", () => {
    const sampled = helped();
    climb(sampled, 4);
    sampled.idle = new Set(["shed"]);
    expect(sampled.hold(0.95, 1_000)).toEqual(["500 act forget-received"]);
    sampled.idle = new Set(["shed", "forget-received"]);
    expect(sampled.hold(0.95, 5_000)).toEqual([]);
    sampled.idle = new Set();
    expect(sampled.hold(0.95, 250)).toEqual(["0 act shed"]);
  });

  test("exactly high is high; a sample just below it in between begins the time anew", () => {
    const sampled = helped();
    expect(sampled.hold(0.9, 1_000)).toEqual([]);
    expect(sampled.sample(0.899)).toEqual([]);
    sampled.nowMs += SAMPLE_MS;
    expect(sampled.hold(0.9, 1_250)).toEqual(["1000 act shrink-windows"]);
  });

  test("between low and high what is in force is held, without further steps", () => {
    const sampled = helped();
    climb(sampled, 3);
    expect(sampled.hold(0.89, 60_000)).toEqual([]);
    expect(sampled.hold(0.7, 60_000)).toEqual([]);
    expect(sampled.ladder.isInForce("refuse-sessions")).toBe(true);
  });

  test("each event says what was seen, and against which threshold", () => {
    const sampled = helped({ critical: 0.97 });
    sampled.hold(0.95, 1_250);
    sampled.sample(0.9);
    sampled.sample(0.98);
    sampled.hold(0.1, 5_250);
    expect(sampled.events.map(({ type, observed, threshold, ageMs }) => [type, observed, threshold, ageMs])).toEqual([
      ["act", 0.95, 0.9, 0],
      ["act", 0.98, 0.97, 0],
      ["release", 0.1, 0.7, 0],
      ["recover", 0.1, 0.7, 0],
    ]);
    expect(sampled.events[0]).toMatchObject({ resource: "memory", action: "shrink-windows" });
    expect(sampled.events[3]).not.toHaveProperty("action");
  });
});

describe("critical", () => {
  test("a step at each sample, without a dwell time", () => {
    const sampled = helped({ critical: 0.95 });
    const lines = [0.99, 0.98, 0.97, 0.96, 0.95, 0.94].flatMap((reading) => {
      sampled.nowMs += 250;
      return sampled.sample(reading);
    });
    expect(lines).toEqual(["act shrink-windows", "act forget-received", "act refuse-sessions", "act shed", "act shed"]);
  });

  test("steps are a fifth of a second apart, however often the resource is read", () => {
    const sampled = helped({ critical: 0.95 });
    const lines = Array.from({ length: 9 }, () => {
      sampled.nowMs += 50;
      return sampled.sample(0.99).map((each) => `${sampled.nowMs} ${each}`);
    });
    expect(lines.flat()).toEqual(["50 act shrink-windows", "250 act forget-received", "450 act refuse-sessions"]);
  });

  test.each([
    ["from below low", [0.6, 0.78], 250],
    ["from above low", [0.72, 0.84], 250],
    ["at the second time", [0.6, 0.72, 0.84], 250],
    ["read late, as the loop is busy", [0.72, 0.84], 2_000],
  ])("a reading that would be critical if it rose once more as it has is critical: %s", (_, readings, everyMs) => {
    const sampled = helped({ critical: 0.95 });
    const lines = readings.map((reading) => {
      sampled.nowMs += everyMs;
      return sampled.sample(reading);
    });
    expect(lines.flat()).toEqual(["act shrink-windows"]);
    expect(lines.at(-1)).toEqual(["act shrink-windows"]);
    expect(sampled.events[0]).toMatchObject({ observed: readings.at(-1), threshold: 0.95 });
  });

  test.each([
    ["below low", [0.3, 0.65], 250],
    ["in half a second", [0.6, 0.7, 0.79], 250],
    ["and has fallen since", [0.6, 0.9, 0.75], 250],
    ["by less", [0.7, 0.82], 250],
  ])("a rise that says nothing: %s", (_, readings, everyMs) => {
    const sampled = helped({ critical: 0.95 });
    const last = readings.map((reading) => {
      sampled.nowMs += everyMs;
      return sampled.sample(reading);
    });
    expect(last.at(-1)).toEqual([]);
  });

  test("a rise while the process was stopped says nothing", () => {
    const sampled = helped({ critical: 0.95 });
    sampled.sample(0.6);
    sampled.nowMs += GAP_MS + 1;
    sampled.sample(0.78);
    sampled.nowMs += 250;
    expect(sampled.sample(0.78)).toEqual([]);
  });

  test("the judgement that would end all steps waits for the dwell time, as memory that is freed is seen late", () => {
    const sampled = new Sampled({ ...RULE, critical: 0.94 });
    expect(sampled.hold(0.97, 1_250)).toEqual([
      "0 act shrink-windows",
      "250 act forget-received",
      "500 act refuse-sessions",
    ]);
    // The heap is collected: the third step had an effect, and three more may be tried.
    expect(sampled.hold(0.949, 60_000)).toEqual(["0 act shed", "250 act shed", "500 act shed", "1500 ineffective"]);
  });
});

describe("an event loop that is blocked", () => {
  const lag = (): Sampled => new Sampled({ ...ruleOf("lag"), name: RULE.name });

  test("for 300 ms of each 400, for twenty seconds: one overload, which is noticed soon and ends", () => {
    const sampled = lag();
    expect(sampled.hold(116, 20_000)).toEqual([
      "1000 act read-less",
      "2000 act refuse-sessions",
      "3000 act shed",
      "4000 ineffective",
    ]);
    expect(sampled.hold(0.1, 60_000)).toEqual([
      "5000 release refuse-sessions",
      "5000 release read-less",
      "5000 recover",
    ]);
  });

  test("once for 300 ms: nothing", () => {
    const sampled = lag();
    // The mean wait over two seconds of which 300 ms were blocked.
    expect([...sampled.hold(22.5, 2_000), ...sampled.hold(0.1, 60_000)]).toEqual([]);
  });
});

describe("leaving", () => {
  test("below low for the whole time: the conditions in reverse order, then one recover", () => {
    const sampled = helped({ actions: ["shrink-windows", "refuse-sessions", "refuse-standbys", "shed"] });
    climb(sampled, 5);
    expect(sampled.hold(0.69, 10_000)).toEqual([
      "5000 release refuse-standbys",
      "5000 release refuse-sessions",
      "5000 release shrink-windows",
      "5000 recover",
    ]);
    expect(sampled.ladder.resources(0).get("memory")).toMatchObject({ state: "normal", holds: [] });
  });

  test("exactly low is not below it, and begins the time anew", () => {
    const sampled = helped();
    climb(sampled, 1);
    expect(sampled.hold(0.69, 5_000)).toEqual([]);
    expect(sampled.sample(0.7)).toEqual([]);
    sampled.nowMs += SAMPLE_MS;
    expect(sampled.hold(0.69, 5_250)).toEqual(["5000 release shrink-windows", "5000 recover"]);
  });

  test("the next overload begins with the first action", () => {
    const sampled = helped();
    climb(sampled, 2);
    sampled.hold(0.1, 5_250);
    expect(sampled.hold(0.95, 1_250)).toEqual(["1000 act shrink-windows"]);
  });
});

describe("steps without effect", () => {
  test("after three in a row no more, one event, and what is in force stays", () => {
    const sampled = new Sampled(RULE);
    expect(sampled.hold(0.95, 60_000)).toEqual([
      "1000 act shrink-windows",
      "2000 act forget-received",
      "3000 act refuse-sessions",
      "4000 ineffective",
    ]);
    expect(sampled.ladder.resources(0).get("memory")).toMatchObject({
      state: "ineffective",
      holds: ["shrink-windows", "refuse-sessions"],
    });
  });

  test("one that became critical since then takes steps again, once, but not if it has risen by noise alone", () => {
    const sampled = new Sampled({ ...RULE, actions: ["shrink-windows", "forget-received"], critical: 0.96 });
    expect(sampled.hold(0.95, 60_000)).toHaveLength(4);
    expect(sampled.hold(0.969, 60_000)).toEqual([]);
    const steps = ["0 act forget-received", "250 act forget-received", "500 act forget-received", "1500 ineffective"];
    expect(sampled.hold(0.97, 60_000)).toEqual(steps);
    sampled.hold(0.92, 1_000);
    expect(sampled.hold(0.99, 60_000)).toEqual([]);
  });

  test("what grows is no reason to give up as long as an action was not tried", () => {
    const sampled = new Sampled(RULE);
    const lines: string[] = [];
    for (let observed = 0.95; observed < 1.05; observed += 0.0025) lines.push(...sampled.hold(observed, SAMPLE_MS));
    expect(lines.map((each) => each.replace(/^0 /u, ""))).toEqual([
      "act shrink-windows",
      "act forget-received",
      "act refuse-sessions",
      "act shed",
      "act shed",
      "act shed",
      "ineffective",
    ]);
  });

  test("an action that was not tried is tried when the reading has risen by a tenth of the way from low to high", () => {
    const sampled = new Sampled({ ...RULE, low: 70, high: 90 });
    expect(sampled.hold(95, 5_000).at(-1)).toBe("4000 ineffective");
    expect(sampled.hold(96.9, 60_000)).toEqual([]);
    expect(sampled.hold(97, 60_000)).toEqual(["0 act shed", "1000 act shed", "2000 act shed", "3000 ineffective"]);
  });

  test("it is over as any other", () => {
    const sampled = new Sampled(RULE);
    sampled.hold(0.95, 5_000);
    expect(sampled.hold(0.1, 6_000)).toEqual([
      "5000 release refuse-sessions",
      "5000 release shrink-windows",
      "5000 recover",
    ]);
    expect(sampled.hold(0.95, 6_000)).toHaveLength(4);
  });

  test("more steps once the reading has risen by as much again as from low to high", () => {
    const sampled = new Sampled({ ...RULE, low: 70, high: 90, actions: ["shrink-windows", "shed"] });
    sampled.hold(95, 5_000);
    expect(sampled.hold(114.9, 60_000)).toEqual([]);
    expect(sampled.hold(115, 60_000)).toEqual(["0 act shed", "1000 act shed", "2000 act shed", "3000 ineffective"]);
    expect(sampled.hold(134.9, 60_000)).toEqual([]);
  });
});

describe("what cannot be read", () => {
  test.each([undefined, NaN, Infinity, -Infinity])("%s is no sample: nothing begins or ends", (reading) => {
    const sampled = helped();
    sampled.hold(0.95, 500);
    expect(sampled.hold(reading, 5_000)).toEqual([]);
    expect(sampled.hold(0.95, 250)).toEqual(["0 act shrink-windows"]);
    expect(sampled.hold(reading, 5_000)).toEqual([]);
    expect(sampled.ladder.isInForce("shrink-windows")).toBe(true);
  });

  test("its last reading gets old", () => {
    const sampled = helped();
    const report = (): unknown => sampled.ladder.resources(sampled.nowMs).get("memory");
    expect(report()).toMatchObject({ observed: undefined, ageMs: undefined });
    sampled.hold(0.5, SAMPLE_MS);
    sampled.hold(undefined, 3_000);
    expect(report()).toMatchObject({ observed: 0.5, ageMs: 3_250 });
  });

  test("for so long that nothing may stay in force because of it", () => {
    const sampled = helped();
    sampled.hold(0.95, 1_250);
    expect(sampled.hold(undefined, UNREADABLE_MS + 60_000)).toEqual([
      `${UNREADABLE_MS - SAMPLE_MS} release shrink-windows`,
      `${UNREADABLE_MS - SAMPLE_MS} unreadable`,
    ]);
    expect(sampled.events.at(-1)).toMatchObject({ observed: 0.95, threshold: 0.9, ageMs: UNREADABLE_MS });
    expect(sampled.ladder.resources(0).get("memory")?.state).toBe("normal");
  });

  test("nothing is said of one that was not overloaded", () => {
    expect(helped().hold(undefined, 100_000)).toEqual([]);
  });

  test("readings that come too seldom to be judged do not keep anything in force either", () => {
    const sampled = helped();
    sampled.hold(0.95, 1_250);
    const lines: string[] = [];
    for (let times = 0; times < 4; times++) {
      lines.push(...sampled.hold(undefined, GAP_MS + SAMPLE_MS), ...sampled.hold(0.95, SAMPLE_MS));
    }
    expect(lines.map((each) => each.replace(/^\d+ /u, ""))).toEqual(["release shrink-windows", "unreadable"]);
  });
});

describe("a pause", () => {
  test("of more than ten seconds counts as no sample: what was high has to be so anew", () => {
    const sampled = helped({ critical: 0.96 });
    sampled.hold(0.95, 1_000);
    sampled.nowMs += GAP_MS;
    // The reading after the pause tells of the pause.
    expect(sampled.hold(0.99, SAMPLE_MS)).toEqual([]);
    expect(sampled.hold(0.95, 1_250)).toEqual(["1000 act shrink-windows"]);
  });

  test("what was low has to be so anew", () => {
    const sampled = helped();
    sampled.hold(0.95, 1_250);
    sampled.hold(0.1, 4_000);
    sampled.nowMs += GAP_MS;
    expect(sampled.hold(0.1, 6_000)).toEqual(["5250 release shrink-windows", "5250 recover"]);
  });

  test("of ten seconds is none", () => {
    const sampled = helped();
    sampled.hold(0.95, SAMPLE_MS);
    sampled.nowMs += GAP_MS - SAMPLE_MS;
    expect(sampled.hold(0.95, SAMPLE_MS)).toEqual(["0 act shrink-windows"]);
  });

  test("is not held against a resource that could not be read before it", () => {
    const sampled = helped();
    sampled.hold(0.95, 1_250);
    sampled.hold(undefined, 5_000);
    sampled.nowMs += 10 * UNREADABLE_MS;
    expect(sampled.hold(undefined, UNREADABLE_MS)).toEqual([]);
    expect(sampled.hold(undefined, SAMPLE_MS)).toEqual(["0 release shrink-windows", "0 unreadable"]);
  });
});
