import { expect, test } from "vitest";
import { type NumberOption, readNumbers, seedOption } from "./command-line.ts";

const OPTIONS = {
  links: { least: 1, most: 100, byDefault: 40, help: "" },
  minutes: { least: 1, most: 1_000, byDefault: undefined, help: "" },
} satisfies Record<string, NumberOption>;

const read = (...args: string[]): unknown => readNumbers(args, OPTIONS, ["trace"]);

test("what is given is read, and the rest has its default", () => {
  expect(read("--minutes", "5", "--trace")).toEqual({ links: 40, minutes: 5, trace: true });
  expect(read("--minutes=5", "--links", "100")).toEqual({ links: 100, minutes: 5, trace: false });
  expect(read("--help")).toBe("help");
});

test.each<[string, string[]]>([
  ["--minutes: a whole number from 1 to 1000", []],
  ["--minutes 0: a whole number from 1 to 1000", ["--minutes", "0"]],
  ["--minutes 1001: a whole number", ["--minutes", "1001"]],
  ["--minutes 1.5: a whole number", ["--minutes", "1.5"]],
  ["--minutes 1e2: a whole number", ["--minutes", "1e2"]],
  ["--minutes 0x10: a whole number", ["--minutes", "0x10"]],
  ["--minutes : a whole number", ["--minutes="]],
  ["--minutes many: a whole number", ["--minutes", "many"]],
  ["--links 101: a whole number from 1 to 100", ["--minutes", "1", "--links", "101"]],
  ["'--seconds'. There are --links, --minutes, --trace", ["--seconds", "1"]],
  ["There are --links, --minutes, --trace", ["--minutes"]],
  ["There are --links, --minutes, --trace", ["5"]],
  ["There are --links, --minutes, --trace", ["--trace=yes", "--minutes", "1"]],
])("%s", (what, args) => {
  expect(() => read(...args)).toThrow(what);
});

test("a seed is drawn anew where none is given", () => {
  const seeds = Array.from({ length: 5 }, () => seedOption("").byDefault);
  expect(new Set(seeds).size).toBeGreaterThan(1);
  expect(readNumbers(["--seed", "4294967295"], { seed: seedOption("") })).toEqual({ seed: 4_294_967_295 });
  expect(() => readNumbers(["--seed", "4294967296"], { seed: seedOption("") })).toThrow("--seed 4294967296");
});
