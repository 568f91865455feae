import { readFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { TESTED_BY } from "../../scripts/tested-by.ts";
import { MODULES, testsOf, untrue, withTable } from "../../scripts/test-table.ts";

test("each module has a test, which reaches it (else: write one, or name it in scripts/tested-by.ts)", () => {
  expect(untrue()).toEqual([]);
});

test("docs/tests.md has the tests of each module (else: npm run test:table)", () => {
  const document = readFileSync(new URL("../../docs/tests.md", import.meta.url), "utf8");
  expect(withTable(document)).toBe(document);
});

test("a test is found by the path of its module, with a scenario or without", () => {
  expect(MODULES.length).toBeGreaterThan(100);
  expect(testsOf("src/link/duplex.ts")).toEqual([
    "test/link/duplex-cut-short.test.ts",
    "test/link/duplex-reading.test.ts",
    "test/link/duplex.test.ts",
  ]);
  expect(testsOf("src/core/log/window.ts")).toEqual([
    "test/core/log/window.property.test.ts",
    "test/core/log/window.test.ts",
  ]);
});

describe("noticed is", () => {
  const ENGINE = "src/link/engine.ts";
  const { [ENGINE]: _, ...others } = TESTED_BY;

  test("a module without a test", () => {
    expect(untrue(others)).toEqual([expect.stringContaining(`${ENGINE} has no test`)]);
  });

  test.each<[string, string[], string]>([
    ["that is not there", ["test/link/engine-gone.test.ts"], "engine-gone.test.ts, which is to test"],
    ["that never runs the module", ["test/core/states.test.ts"], `test/core/states.test.ts does not reach ${ENGINE}`],
  ])("a test %s", (__, tests, said) => {
    expect(untrue({ ...others, [ENGINE]: tests })).toEqual([expect.stringContaining(said)]);
  });

  test.each([
    ["src/link/gone.ts", "has an entry, and is not there"],
    ["src/link/duplex.ts", "has an entry, and a test of its name"],
    ["src/link/ports.ts", "has an entry, and nothing to test"],
  ])("an entry for %s: %s", (module, said) => {
    expect(untrue({ ...TESTED_BY, [module]: ["test/link/link.test.ts"] })).toEqual([expect.stringContaining(said)]);
  });
});
