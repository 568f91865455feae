/** docs/overload.md has the resources and the actions as the code has them. */
import { expect, test } from "vitest";
import { OVERLOAD_ACTIONS, type OverloadAction } from "../../src/core/overload/actions.ts";
import {
  CUSTOM_ACTIONS,
  DWELL_MS,
  LEAVE_MS,
  type ResourceName,
  RESOURCES,
  RSS_ACTIONS,
  SHEDS_PER_SECOND,
} from "../../src/core/overload/rules.ts";
import { read, rows, section } from "./tables.ts";

const PAGE = read("docs/overload.md");
const NAMES = Object.keys(RESOURCES) as ResourceName[];
const code = (name: string): string => `\`${name}\``;
const listed = (names: readonly string[]): string => (names.length === 0 ? "–" : names.map(code).join(", "));

test("each resource has a row, with its thresholds, its actions and who is shed first", () => {
  const expected = NAMES.map((name) => {
    const { unit, low, high, critical, criticalLeft, actions, sheds } = RESOURCES[name];
    const isCritical = criticalLeft === undefined ? String(critical ?? "–") : `${criticalLeft} left`;
    return [code(name), unit, String(low), String(high), isCritical, listed(actions), `the ${sheds}`];
  });
  expect(rows(PAGE, "Resources")).toEqual(expected);
  expect(section(PAGE, "Resources")).toContain(`at most ${100 * SHEDS_PER_SECOND} % of the links in a second`);
});

test("what the memory of a process has not, and what a resource of the application's has", () => {
  const without = RESOURCES.memory.actions.filter((action) => !RSS_ACTIONS.includes(action));
  const text = section(PAGE, "Resources").replaceAll("\n", " ");
  expect(text).toContain(`it has neither ${without.map(code).join(" nor ")}:`);
  expect(text).toContain(`\`custom\`, has ${listed(CUSTOM_ACTIONS)} alone`);
});

test("each action has a row, with its kind and the resources that it is refused for", () => {
  const expected = (Object.keys(OVERLOAD_ACTIONS) as OverloadAction[]).map((action) => {
    const refusing = NAMES.filter((name) => RESOURCES[name].harmful[action] !== undefined);
    return [code(action), OVERLOAD_ACTIONS[action], listed(refusing)];
  });
  const inPage = rows(PAGE, "Actions");
  expect(inPage.map(([action, kind, , refusing]) => [action, kind, refusing])).toEqual(expected);
  expect(inPage.filter(([, , done]) => done === "")).toEqual([]);
});

test("the times are those of a rule that has no others", () => {
  const [dwell, leave] = [DWELL_MS, LEAVE_MS].map((ms) => ms.toLocaleString("en"));
  expect(section(PAGE, "The states of a resource")).toContain(`\`dwellMs\` is ${dwell} and \`leaveMs\` is ${leave}`);
});

test("each event has a row", () => {
  const source = read("src/core/overload/resource-ladder.ts").replaceAll(/\/\*\*.*?\*\//gsu, "");
  const [, union = ""] = /type:([^;]*);/u.exec(source) ?? [];
  const types = [...union.matchAll(/"([a-z]+)"/gu)].map(([, type = ""]) => code(type));
  expect(types.length).toBe(5);
  expect(rows(PAGE, "The states of a resource").map(([type]) => type)).toEqual(types);
});
