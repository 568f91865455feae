import { describe, expect, test } from "vitest";
import { isCondition, OVERLOAD_ACTIONS, type OverloadAction } from "../../../src/core/overload/actions.ts";
import { RESOURCES, type ResourceName, ruleOf, SHEDS_PER_SECOND } from "../../../src/core/overload/rules.ts";

const NAMES = Object.keys(RESOURCES) as ResourceName[];

test("the names of actions are stable", () => {
  const conditions = ["shrink-windows", "refuse-sessions", "refuse-standbys", "read-less"];
  const acts = [
    "forget-received",
    "close-idle",
    "close-hopeless",
    "evict-waiting",
    "shed",
    "drop-lingering",
    "drop-handshakes",
  ];
  const names = Object.keys(OVERLOAD_ACTIONS) as OverloadAction[];
  expect(names.filter(isCondition).toSorted()).toEqual(conditions.toSorted());
  expect(names.filter((name) => !isCondition(name)).toSorted()).toEqual(acts.toSorted());
});

test.each(NAMES)("%s: its thresholds are in order, and its own actions do not harm it", (name) => {
  const { low, high, critical, dwellMs, leaveMs, actions } = ruleOf(name, {}, 1_024);
  expect([low < high, high <= (critical ?? Infinity), dwellMs, leaveMs]).toEqual([true, true, 1_000, 5_000]);
  expect(new Set(actions).size).toBe(actions.length);
  expect(actions.filter((action) => RESOURCES[name].harmful[action] !== undefined)).toEqual([]);
  // Something can be repeated, or the last step would be the end of all help.
  expect(actions.every(isCondition)).toBe(false);
});

test("memory is shed where it is, descriptors and time where it costs least", () => {
  expect(NAMES.filter((name) => RESOURCES[name].sheds === "biggest")).toEqual([
    "heap",
    "memory",
    "bufferBytes",
    "tcpMemory",
  ]);
  expect(3 * SHEDS_PER_SECOND).toBeLessThan(0.05);
});

describe("critical", () => {
  test("for descriptors where four are left", () => {
    expect(ruleOf("descriptors", {}, 1_000).critical).toBe(0.996);
    expect(ruleOf("descriptors").critical).toBeUndefined();
  });

  test("never below high", () => {
    expect(ruleOf("descriptors", {}, 16).critical).toBe(0.9);
    expect(ruleOf("memory", { high: 0.97 }).critical).toBe(0.97);
  });

  test("as it is given", () => {
    expect(ruleOf("memory", { critical: 0.99 })).toMatchObject({ high: 0.85, critical: 0.99 });
    expect(ruleOf("descriptors", { critical: 0.95 }, 1_000).critical).toBe(0.95);
  });

  test("of some resources none", () => {
    expect(NAMES.filter((name) => ruleOf(name, {}, 1_000).critical === undefined)).toEqual([
      "bufferBytes",
      "lag",
      "tcpMemory",
    ]);
  });
});
