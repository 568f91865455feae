import { describe, expect, test } from "vitest";
import type { Resources } from "../../../src/index.ts";
import type { Reading } from "../../../src/io/resources/sampler.ts";
import { NOTHING } from "../../../src/server/overload/relief.ts";
import { WatchedResource } from "../../../src/server/overload/watched-resource.ts";
import { resolveResources } from "../../../src/server/resource-options.ts";

const FREED = { ...NOTHING, connections: 2, sessions: 3, bytes: 500, sharedBytes: 70 };

function watched(name: string, limit?: number, resources: Resources = {}, source?: Reading["source"]) {
  const resource = new WatchedResource(name, resolveResources(resources));
  const reading = { observed: 1, limit, ratio: undefined, source, isCurrent: true, ageMs: 0, costUs: 0 };
  return { resource, rule: resource.heed(reading), reading };
}

test("a share of the limit: thresholds are shares, amounts are as they are read", () => {
  const { resource } = watched("memory", 2_000, {}, "cgroup");
  expect([resource.inUnit(1_500), resource.outOfUnit(0.75)]).toEqual([0.75, 1_500]);
  expect([resource.low, resource.high, resource.limit]).toEqual([0.75, 0.85, 2_000]);
  expect([resource.excessBytes(0.9), resource.excessConnections(0.9)]).toEqual([300, Infinity]);
});

test.each([
  ["lag", {}],
  ["jobs", { custom: { jobs: { low: 1, high: 2, read: () => 0 } } }],
] satisfies Array<[string, Resources]>)("%s: thresholds are in the unit of the reading", (name, resources) => {
  const { resource } = watched(name, undefined, resources);
  expect([resource.inUnit(44), resource.outOfUnit(44), resource.excessBytes(99)]).toEqual([44, 44, Infinity]);
});

test.each([
  [0.9, 101],
  [1, 201],
  [0.8, 1],
  [0.799, 0],
])("descriptors at %d of 1,000: so many connections are too many that it is low without them", (share, most) => {
  expect(watched("descriptors", 1_000).resource.excessConnections(share)).toBe(most);
});

test("of a share without a limit nothing can be said", () => {
  const { resource } = watched("descriptors");
  expect([resource.inUnit(900), watched("memory", 0).resource.inUnit(9)]).toEqual([undefined, undefined]);
});

test("the rule is given anew when the limit or the source is another", () => {
  const { resource, rule, reading } = watched("descriptors", 1_000);
  expect(rule?.critical).toBe(0.996);
  expect(resource.heed(reading)).toBeUndefined();
  expect(resource.heed({ ...reading, limit: 100 })?.critical).toBe(0.96);
});

describe("memory that is read as the process's RSS", () => {
  test("turns nobody out, whatever the options say", () => {
    expect(watched("memory", 1, {}, "cgroup").rule?.actions).toContain("shed");
    const ofProcess = watched("memory", 1, {}, "process").rule?.actions;
    expect(ofProcess).toEqual(["shrink-windows", "forget-received", "close-hopeless", "refuse-sessions"]);
    const given = { memory: { actions: ["refuse-sessions", "shed"] } } as const;
    expect(watched("memory", 1, given, "process").rule?.actions).toEqual(["refuse-sessions"]);
    expect(watched("memory", 1, given, "cgroup").rule?.actions).toEqual(["refuse-sessions", "shed"]);
  });
});

test.each([
  ["descriptors", 2],
  ["heap", 3 * 10_240],
  ["memory", 500],
  ["bufferBytes", 70],
  ["lag", 0],
  ["tcpMemory", 0],
])("what an act has freed of %s", (name, expected) => {
  expect(watched(name, 1_000).resource.freed(FREED)).toBe(expected);
});

test("who is shed first", () => {
  const custom = { jobs: { low: 1, high: 2, read: () => 0 } };
  expect([watched("heap").resource.sheds, watched("lag").resource.sheds]).toEqual(["biggest", "cheapest to resume"]);
  expect(watched("jobs", undefined, { custom }).resource.sheds).toBe("cheapest to resume");
});

test("because of lag nobody is shed of fewer than a hundred links", () => {
  const custom = { jobs: { low: 1, high: 2, read: () => 0 } };
  expect([99, 100].map((links) => watched("lag").resource.mayShed(links))).toEqual([false, true]);
  expect(watched("heap").resource.mayShed(1)).toBe(true);
  expect(watched("jobs", undefined, { custom }).resource.mayShed(1)).toBe(true);
});
