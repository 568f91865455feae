/**
 * The table of docs/tests.md: each module of src, and its tests.
 *
 *     node scripts/test-table.ts            prints it
 *     node scripts/test-table.ts --write    writes it into docs/tests.md, behind the line `<!-- table: tests -->`
 */
import { existsSync, globSync, readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { hasOnlyTypes, reachedFrom, ROOT } from "./imports.ts";
import { TESTED_BY } from "./tested-by.ts";

const cwd = fileURLToPath(ROOT);

/** Paths from the root. */
export const MODULES: readonly string[] = globSync("src/**/*.ts", { cwd }).toSorted();
const TESTS = globSync("test/**/*.test.ts", { cwd }).toSorted();

/** A test's module is where its own path is in src, but for a scenario at its end: `link/duplex-reading.test.ts`. */
function moduleOf(test: string): string | undefined {
  const path = test.replace(/^test\//u, "").replace(/(?:\.property)?\.test\.ts$/u, "");
  for (let name = path; name !== ""; name = name.slice(0, Math.max(0, name.lastIndexOf("-")))) {
    if (MODULES.includes(`src/${name}.ts`)) return `src/${name}.ts`;
  }
  return undefined;
}

const byName = Map.groupBy(TESTS, moduleOf);

/** Those of its name, or else those of `testedBy`. */
export function testsOf(module: string, testedBy: typeof TESTED_BY = TESTED_BY): readonly string[] {
  return byName.get(module) ?? testedBy[module] ?? [];
}

/** A sentence for each module without a test, and for each entry of `testedBy` that cannot be true. */
export function untrue(testedBy: typeof TESTED_BY = TESTED_BY): string[] {
  const gaps = MODULES.filter((module) => !hasOnlyTypes(module)).flatMap((module) => {
    const tests = testsOf(module, testedBy);
    if (tests.length === 0) return [`${module} has no test: one of its name, or an entry in scripts/tested-by.ts`];
    return tests.flatMap((test) => {
      if (!existsSync(new URL(test, ROOT))) return [`${test}, which is to test ${module}, is not there`];
      return reachedFrom(test).has(module) ? [] : [`${test} does not reach ${module}`];
    });
  });
  const needless = Object.keys(testedBy).flatMap((module) => {
    if (!MODULES.includes(module)) return [`${module} has an entry, and is not there`];
    if (byName.has(module)) return [`${module} has an entry, and a test of its name`];
    return hasOnlyTypes(module) ? [`${module} has an entry, and nothing to test`] : [];
  });
  return [...gaps, ...needless];
}

export function table(): string {
  const rows = MODULES.map((module) => {
    const tests = testsOf(module).map((test) => `\`${test}\``);
    return `| \`${module}\` | ${hasOnlyTypes(module) ? "only types" : tests.join(", ")} |`;
  });
  return ["| module | tests |", "| --- | --- |", ...rows].join("\n");
}

/** `document` with the table behind its marker. */
export function withTable(document: string): string {
  const marker = "<!-- table: tests -->";
  if (!document.includes(marker)) throw new Error(`the document has no ${marker}`);
  return document.replace(new RegExp(`${marker}(?:\\n\\n\\|.*(?:\\n\\|.*)*)?`, "u"), () => `${marker}\n\n${table()}`);
}

if (import.meta.filename === process.argv[1]) {
  const document = new URL("docs/tests.md", ROOT);
  if (process.argv[2] === "--write") writeFileSync(document, withTable(readFileSync(document, "utf8")));
  else console.log(table());
}
