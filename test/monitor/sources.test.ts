import { expect, test } from "vitest";
import { namedSources } from "../../src/monitor/sources.ts";
import { manage, serve } from "../support.ts";

test("a list has no names, an object has", async () => {
  const { supervisor } = await serve();
  const manager = manage();
  const kinds = (given: object): string[] =>
    namedSources(given).map(({ name, observed }) => `${observed.kind} ${JSON.stringify(name)}`);
  expect(kinds([manager, supervisor])).toEqual(['manager ""', 'server ""']);
  expect(kinds({ front: supervisor, back: manage() })).toEqual(['server "front"', 'manager "back"']);
  expect(kinds({ one: manager, two: manage() })).toEqual(['manager "one"', 'manager "two"']);
});

test.each([
  ["nothing", undefined],
  ["text", "manager"],
  ["an empty list", []],
  ["an object of another kind", [{ health: () => ({ status: "healthy", reasons: [] }) }]],
  ["an entry that is missing", { manager: undefined }],
])("%s is refused", (_, given) => {
  expect(() => namedSources(given)).toThrow(expect.objectContaining({ code: "INVALID_OPTION" }));
});

test("two of a kind without names, a name that is too long, and too many are refused", () => {
  const manager = manage();
  expect(() => namedSources([manager, manage()])).toThrow(/one manager; of several each needs a name/u);
  expect(() => namedSources({ ["n".repeat(101)]: manager })).toThrow(/1 to 100 characters/u);
  expect(() => namedSources({ "": manager })).toThrow(/1 to 100 characters/u);
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, at) => [`m${at}`, manager]));
  expect(() => namedSources(many)).toThrow(/1 to 100 managers/u);
});
