import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { withDiagrams } from "../../scripts/diagrams.ts";

test("ARCHITECTURE.md shows the transitions as they are (else: npm run diagrams)", () => {
  const document = readFileSync(new URL("../../ARCHITECTURE.md", import.meta.url), "utf8");
  expect(withDiagrams(document)).toBe(document);
});
