import { describe, expect, test } from "vitest";
import { RULE, Sampled } from "./support.ts";

const HEAP = { ...RULE, name: "heap" };

describe("two resources", () => {
  test("climb apart from each other", () => {
    const sampled = new Sampled(RULE, HEAP);
    expect(sampled.hold({ memory: 0.95, heap: 0.1 }, 2_000)).toEqual(["1000 act shrink-windows"]);
    expect(sampled.hold({ memory: 0.8, heap: 0.95 }, 2_250)).toEqual([
      "1000 heap act shrink-windows",
      "2000 heap act forget-received",
    ]);
  });

  test("a condition is in force while one of them holds it", () => {
    const sampled = new Sampled(RULE, HEAP);
    sampled.hold({ memory: 0.95, heap: 0.95 }, 1_250);
    expect(sampled.ladder.holders("shrink-windows")).toEqual(["memory", "heap"]);
    expect(sampled.hold({ memory: 0.1, heap: 0.8 }, 5_250)).toEqual(["5000 release shrink-windows", "5000 recover"]);
    expect(sampled.ladder.holders("shrink-windows")).toEqual(["heap"]);
    expect(sampled.ladder.isInForce("shrink-windows")).toBe(true);
    sampled.hold({ memory: 0.1, heap: 0.1 }, 5_250);
    expect(sampled.ladder.isInForce("shrink-windows")).toBe(false);
  });

  test("an act is never in force", () => {
    const sampled = new Sampled({ ...RULE, actions: ["shed"] });
    expect(sampled.hold(0.95, 1_250)).toEqual(["1000 act shed"]);
    expect(sampled.ladder.isInForce("shed")).toBe(false);
    expect(sampled.ladder.resources(0).get("memory")?.holds).toEqual([]);
  });

  test("what an act has freed counts for its resource alone", () => {
    const sampled = new Sampled(RULE, HEAP);
    sampled.freed = ({ resource }) => (resource === "heap" ? 0.003 : 0);
    const lines: string[] = [];
    for (let step = 0; step < 20; step++) {
      const reading = 0.99 - 0.0015 * step;
      lines.push(...sampled.hold({ memory: reading, heap: reading }, 1_000));
    }
    expect(lines.filter((line) => line.endsWith("ineffective"))).toEqual(["0 ineffective"]);
    expect(sampled.ladder.resources(0).get("heap")?.state).toBe("overloaded");
  });

  test("one that is not among the readings could not be read; a reading without a rule is nobody's", () => {
    const sampled = new Sampled(RULE);
    sampled.hold(0.95, 1_250);
    expect(sampled.hold({ heap: 0.99 }, 30_000)).toEqual(["29750 release shrink-windows", "29750 unreadable"]);
    sampled.ladder.freed("heap", 1);
    expect(sampled.ladder.removeRule("heap", 0)).toEqual([]);
  });
});

describe("another rule", () => {
  test("takes back the conditions that it does not have, and goes on with the actions that were not taken", () => {
    const sampled = new Sampled({ ...RULE, actions: ["shrink-windows", "refuse-sessions", "shed"] });
    sampled.hold(0.95, 2_250);
    const rule = { ...RULE, actions: ["shrink-windows", "close-hopeless"] } as const;
    expect(sampled.take(sampled.ladder.setRule(rule, sampled.nowMs))).toEqual(["release refuse-sessions"]);
    expect(sampled.hold(0.95, 1_250)).toEqual(["1000 act close-hopeless"]);
    expect(sampled.hold(0.1, 5_250)).toEqual(["5000 release shrink-windows", "5000 recover"]);
  });

  test("with other thresholds begins all times anew", () => {
    const sampled = new Sampled(RULE);
    sampled.hold(0.95, 1_000);
    sampled.ladder.setRule({ ...RULE, high: 0.94 }, sampled.nowMs);
    expect(sampled.hold(0.95, 1_250)).toEqual(["1000 act shrink-windows"]);
    sampled.hold(0.1, 5_000);
    sampled.ladder.setRule({ ...RULE, low: 0.6 }, sampled.nowMs);
    expect(sampled.hold(0.1, 5_250)).toEqual(["5000 release shrink-windows", "5000 recover"]);
  });

  test("is judged anew, if steps were given up under the one before", () => {
    const sampled = new Sampled(RULE);
    sampled.hold(0.95, 5_000);
    sampled.ladder.setRule({ ...RULE, high: 0.8 }, sampled.nowMs);
    expect(sampled.hold(0.95, 5_000)).toEqual(["1000 act shed", "2000 act shed", "3000 act shed", "4000 ineffective"]);
  });

  test("with the same thresholds and actions changes none of it: a limit may change each minute", () => {
    const sampled = new Sampled(RULE);
    const again = (): unknown => sampled.ladder.setRule({ ...RULE, critical: 0.99 }, sampled.nowMs);
    sampled.hold(0.95, 750);
    again();
    expect(sampled.hold(0.95, 3_500)).toEqual([
      "250 act shrink-windows",
      "1250 act forget-received",
      "2250 act refuse-sessions",
      "3250 ineffective",
    ]);
    again();
    expect(sampled.hold(0.95, 60_000)).toEqual([]);
    expect(sampled.ladder.resources(0).get("memory")?.rule.critical).toBe(0.99);
  });

  test("none: everything is taken back, and the resource is forgotten", () => {
    const sampled = new Sampled(RULE, HEAP);
    sampled.hold({ memory: 0.95, heap: 0.1 }, 3_250);
    expect(sampled.take(sampled.ladder.removeRule("memory", sampled.nowMs))).toEqual([
      "release refuse-sessions",
      "release shrink-windows",
      "recover",
    ]);
    expect(sampled.take(sampled.ladder.removeRule("heap", sampled.nowMs))).toEqual([]);
    expect([...sampled.ladder.resources(0).keys()]).toEqual([]);
    expect(sampled.hold({ memory: 0.95, heap: 0.95 }, 60_000)).toEqual([]);
  });
});
