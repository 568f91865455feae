import { describe, expect, test } from "vitest";
import { type OverloadAction } from "../../src/core/overload/actions.ts";
import { type ResourceName, RESOURCES, ruleOf } from "../../src/core/overload/rules.ts";
import { type Resources, resolveResources } from "../../src/server/resource-options.ts";
import { allowed } from "../examples/options.ts";
import { refusal } from "../support.ts";

const NAMES = Object.keys(RESOURCES) as ResourceName[];
const read = (): number => 0;

/** The path of what is refused, and what is allowed instead. */
function refused(given: unknown): string[] {
  const { code, option } = refusal(() => resolveResources(given as Resources));
  expect(code).toBe("INVALID_OPTION");
  return [option?.name ?? "", option?.allowed ?? ""];
}

test("by default every resource is watched, by its own rule", () => {
  const { watched, custom } = resolveResources(undefined);
  expect([...watched]).toEqual(NAMES.map((name) => [name, {}]));
  expect(custom.size).toBe(0);
});

test("false: not watched", () => {
  expect([...resolveResources({ heap: false, lag: false }).watched.keys()]).toEqual(
    NAMES.filter((name) => name !== "heap" && name !== "lag"),
  );
});

test("what is given replaces the defaults, and no more", () => {
  const given = { low: 10, critical: 200, dwellMs: 0, leaveMs: 60_000, actions: ["shed"] as const };
  const { watched } = resolveResources({ lag: given, memory: { high: 0.95 } });
  expect(ruleOf("lag", watched.get("lag"))).toEqual({ name: "lag", high: 40, ...given });
  expect(ruleOf("memory", watched.get("memory"))).toMatchObject({ low: 0.75, high: 0.95, critical: 0.95 });
});

test("the list of actions is a copy", () => {
  const actions: OverloadAction[] = ["shed"];
  const { watched } = resolveResources({ lag: { actions } });
  actions.push("read-less");
  expect(watched.get("lag")?.actions).toEqual(["shed"]);
});

describe("custom", () => {
  test("a rule of its own, by which new sessions are refused", () => {
    const { custom } = resolveResources({ custom: { jobs: { low: -1, high: 500, read } } });
    expect(custom.get("jobs")).toEqual({
      rule: { name: "jobs", low: -1, high: 500, dwellMs: 1_000, leaveMs: 5_000, actions: ["refuse-sessions"] },
      read,
    });
  });

  test("every action is allowed", () => {
    const actions = ["forget-received", "evict-waiting", "read-less"] as const;
    const { custom } = resolveResources({ custom: { jobs: { low: 0, high: 1, critical: 2, actions, read } } });
    expect(custom.get("jobs")?.rule).toMatchObject({ critical: 2, actions });
  });
});

test("names that are not there are refused, each with those that are", () => {
  expect(allowed((given) => resolveResources(given))).toEqual([...NAMES, "custom"]);
  const thresholds = ["low", "high", "critical", "dwellMs", "leaveMs", "actions"];
  for (const name of NAMES) expect(allowed((given) => resolveResources({ [name]: given }))).toEqual(thresholds);
  expect(refused({ custom: { jobs: { low: 0, high: 1, read, nonsense: 1 } } })[0]).toBe(
    "resources.custom.jobs.nonsense",
  );
});

test.each<[unknown, string]>([
  [1, "resources"],
  [{ heap: true }, "resources.heap"],
  [{ heap: { low: 0 } }, "resources.heap.low"],
  [{ heap: { high: 75 } }, "resources.heap.high"],
  [{ heap: { high: NaN } }, "resources.heap.high"],
  [{ heap: { critical: "0.9" } }, "resources.heap.critical"],
  [{ heap: { low: 0.75 } }, "resources.heap.low"],
  [{ heap: { critical: 0.7 } }, "resources.heap.critical"],
  [{ heap: { dwellMs: -1 } }, "resources.heap.dwellMs"],
  [{ heap: { leaveMs: 0.5 } }, "resources.heap.leaveMs"],
  [{ lag: { low: -1 } }, "resources.lag.low"],
  [{ lag: { high: Infinity } }, "resources.lag.high"],
  [{ heap: { actions: "shed" } }, "resources.heap.actions"],
  [{ heap: { actions: [] } }, "resources.heap.actions"],
  [{ heap: { actions: ["restart"] } }, "resources.heap.actions"],
  [{ heap: { actions: [undefined] } }, "resources.heap.actions"],
  [{ heap: { actions: ["shed", "shed"] } }, "resources.heap.actions"],
  [{ custom: 1 }, "resources.custom"],
  [{ custom: { "": { low: 0, high: 1, read } } }, "resources.custom: a name"],
  [{ custom: { ["x".repeat(101)]: { low: 0, high: 1, read } } }, "resources.custom: a name"],
  [{ custom: { heap: { low: 0, high: 1, read } } }, "resources.custom: a name"],
  [{ custom: { jobs: undefined } }, "resources.custom.jobs.read"],
  [{ custom: { jobs: { low: 0, high: 1 } } }, "resources.custom.jobs.read"],
  [{ custom: { jobs: { high: 1, read } } }, "resources.custom.jobs.low"],
  [{ custom: { jobs: { low: 0, read } } }, "resources.custom.jobs.high"],
  [{ custom: { jobs: { low: 0, high: Infinity, read } } }, "resources.custom.jobs.high"],
  [{ custom: { jobs: { low: 1, high: 1, read } } }, "resources.custom.jobs.low"],
])("%j is refused at %s", (given, path) => {
  expect(refused(given)[0]).toBe(path);
});

test("more custom resources than a sample has time for are refused", () => {
  const custom = (count: number): Resources => ({
    custom: Object.fromEntries(Array.from({ length: count }, (_, index) => [`r${index}`, { low: 0, high: 1, read }])),
  });
  expect(resolveResources(custom(32)).custom.size).toBe(32);
  expect(refused(custom(33))).toEqual(["resources.custom", "at most 32 resources"]);
});

test.each(
  NAMES.flatMap((name) => Object.entries(RESOURCES[name].harmful).map(([action, why]) => ({ name, action, why }))),
)("for $name $action is refused, with the reason: $why", ({ name, action, why }) => {
  const [path, allowedActions = ""] = refused({ [name]: { actions: ["shed", action] } });
  expect(path).toBe(`resources.${name}.actions`);
  expect(allowedActions).toContain(`. Not this one, as ${why}`);
  expect(allowedActions.split(". ")[0]?.split(", ")).not.toContain(action);
});
