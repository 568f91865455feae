import { readFileSync } from "node:fs";
import { expect, test } from "vitest";
import { withTable } from "../../scripts/backoff.ts";

test("docs/reconnecting.md compares the delays that are used (else: node scripts/backoff.ts --write)", () => {
  const document = readFileSync(new URL("../../docs/reconnecting.md", import.meta.url), "utf8");
  expect(withTable(document)).toBe(document);
});
