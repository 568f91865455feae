/** The framings in docs/protocols.md and their tests run as they stand there, their types are right, and its tables too. */
import { afterAll, beforeAll, expect, test } from "vitest";
import { lengthPrefixed, lines } from "../../src/index.ts";
import { resolvePrefix } from "../../src/plain/length-prefix.ts";
import { refusal } from "../support.ts";
import { Document } from "./support/document.ts";

let document: Document;

beforeAll(async () => {
  document = await Document.read("docs/protocols.md");
});

afterAll(() => document[Symbol.asyncDispose]());

test("all its code is run", () =>
  document.expectFiles(["content-length.ts", "content-length.test.ts", "json.ts", "json.test.ts"]));

test.each([
  ["content-length.test.ts", 2],
  ["json.test.ts", 1],
])("%s", { timeout: 30_000 }, (name, tests) => document.expectToPass(name, tests));

test("types", { timeout: 30_000 }, () => document.expectRightTypes());

/** The rows of the section's table of options: name, unit, default, what it does, danger. */
function optionRows(heading: string): string[][] {
  const [, section = ""] = new RegExp(`\n## ${heading}\n(.*?)\n## `, "su").exec(document.text) ?? [];
  const [, table = ""] = /\n\| option \|.*\n\|[-|]+\|\n((?:\|.*\n)+)/u.exec(section) ?? [];
  return table
    .trim()
    .split("\n")
    .map((row) =>
      row
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

test.each([
  ["lines", (given: object) => lines(given), { ending: "\n", allowUnendedLast: false }],
  [
    "Length prefixed",
    (given: object) => lengthPrefixed(given),
    { bytes: 4, endian: "big", headerBytes: 0, counts: "rest", uncountedBytes: 0, strip: true },
  ],
])("%s: a row for every option, and for no other, with its default", (heading, make, defaults) => {
  const names = refusal(() => make({ nonsense: 1 })).option?.allowed.split(", ");
  const rows = optionRows(heading);
  expect(rows.map(([name]) => name)).toEqual(names?.map((name) => `\`${name}\``));
  expect(rows.map((row) => row[2])).toEqual(Object.values(defaults).map((value) => `\`${JSON.stringify(value)}\``));
  expect(Object.keys(defaults)).toEqual(names);
  // The defaults of the table are those of the code.
  const message = Buffer.from("message");
  expect(make(defaults).encode(message)).toEqual(make({}).encode(message));
  expect(rows.every(({ length }) => length === 5)).toBe(true);
});

test("the bounds are those of the code", () => {
  expect(document.text).toContain("bytes, 0 to 1,024");
  expect(() => resolvePrefix({ headerBytes: 1_024, uncountedBytes: 1_024 })).not.toThrow();
  expect(() => resolvePrefix({ headerBytes: 1_025 })).toThrow("1024");
});
