/** docs/README.md leads to every page. That its links lead somewhere is in docs.test.ts. */
import { readdirSync } from "node:fs";
import { expect, test } from "vitest";
import { read } from "./tables.ts";

const PAGES = readdirSync(new URL("../../docs/", import.meta.url)).filter((name) => name.endsWith(".md"));

test("docs/README.md answers a question with each page", () => {
  const linked = new Set([...read("docs/README.md").matchAll(/\]\(([\w.-]+\.md)(?:#[^)]*)?\)/gu)].map(([, to]) => to));
  expect(PAGES.length).toBeGreaterThan(20);
  expect(PAGES.filter((name) => name !== "README.md" && !linked.has(name))).toEqual([]);
});
