/** The documents as Markdown: what a renderer would show otherwise than it was meant. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { brokenTables, read } from "./tables.ts";

const ROOT = new URL("../../", import.meta.url);
const FOLDERS = ["", "docs/", "model/", "mutants/"];
const DOCUMENTS = FOLDERS.flatMap((folder) =>
  readdirSync(new URL(folder, ROOT))
    .filter((name) => name.endsWith(".md"))
    .map((name) => folder + name),
);

test.each(DOCUMENTS)("each table of %s is whole", (path) => {
  expect(brokenTables(read(path))).toEqual([]);
});

const HEAD = "| a | b |\n|---|---|\n";

test.each([
  ["a blank line amid its rows", `${HEAD}| 1 | 2 |\n\n| 3 | 4 |\n`, ["5: a row outside of a table"]],
  ["no line below its head", "| a | b |\n| 1 | 2 |\n", ["1: a row outside of a table", "2: a row outside of a table"]],
  ["a row with a cell less", `${HEAD}| 1 |\n`, ["3: 1 cells, and not 2"]],
  ["a row with a cell more", `${HEAD}| 1 | 2 | 3 |\n`, ["3: 3 cells, and not 2"]],
  ["text that becomes a row", `${HEAD}| 1 | 2 |\ntext\n`, ["4: text that is taken for a row"]],
  ["text above its head", `text\n${HEAD}`, ["2: a table that is taken for the text above it"]],
])("a table with %s is not", (_, markdown, broken) => {
  expect(brokenTables(markdown)).toEqual(broken);
});

test("a table is not broken by code, by an escaped bar, or by its place in the page", () => {
  expect(brokenTables(`text\n\n${HEAD}| \\| | \`\\|\` |\n\n\`\`\`\n| code |\n\`\`\`\n\n    | code | too |\n`)).toEqual(
    [],
  );
});
