import { expect, test } from "vitest";
import { boolean, group, integer, invalidOption, oneOf } from "../../src/plain/framing-options.ts";
import { framingError } from "./decoding.ts";

test("what is allowed is answered", () => {
  expect([integer("n", 1, 1, 3), integer("n", 3, 1, 3), boolean("b", false), oneOf("o", "a", ["a", "b"])]).toEqual([
    1,
    3,
    false,
    "a",
  ]);
  expect(group<{ a?: number }>("g", { a: 1 }, ["a"])).toEqual({ a: 1 });
  expect(group("g", undefined, [])).toEqual({});
});

test.each([
  ["n", () => integer("n", 0, 1, 3), "an integer from 1 to 3"],
  ["n", () => integer("n", 4, 1, 3), "an integer from 1 to 3"],
  ["n", () => integer("n", NaN, 1, 3), "an integer from 1 to 3"],
  ["n", () => integer("n", "2", 1, 3), "an integer from 1 to 3"],
  ["b", () => boolean("b", 1), "true or false"],
  ["o", () => oneOf<string | number>("o", "c", ["a", 2]), '"a", 2'],
  ["g", () => group<{ a?: number }>("g", 1 as never, ["a"]), "an object with a"],
  ["g.b", () => group<{ a?: number }>("g", { b: 1 } as never, ["a"]), "a"],
])("%s is refused: %s", (name, act, allowed) => {
  const { code, option } = framingError(act);
  expect([code, option?.name, option?.allowed]).toEqual(["INVALID_OPTION", name, allowed]);
});

test("the text has no value, which may be a secret", () => {
  const { message, option } = invalidOption("delimiter", "secret", "bytes");
  expect([message, option?.value]).toEqual(["option delimiter is not what is allowed: bytes", "secret"]);
});
