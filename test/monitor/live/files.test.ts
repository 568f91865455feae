import { rmSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { BundledFiles } from "../../../src/monitor/live/files.ts";
import { bundledFolder } from "./bundled.ts";

test("a file is read once", () => {
  const folder = bundledFolder();
  const files = new BundledFiles(() => folder);
  expect([files.text("page.js"), files.text("page.css")]).toEqual(["script\n", "style\n"]);
  rmSync(join(folder, "page.js"));
  expect(files.text("page.js")).toBe("script\n");
});

test("files that are not there are looked for again", () => {
  let folder = "/nowhere";
  const files = new BundledFiles(() => folder);
  expect(() => files.text("page.js")).toThrow(/npm run build/u);
  folder = bundledFolder();
  expect(files.text("page.js")).toBe("script\n");
});

test("where the package itself cannot be found, the error says what is missing", () => {
  const files = new BundledFiles(() => {
    throw new Error("Cannot find module 'resplice/package.json'");
  });
  expect(() => files.text("page.css")).toThrow(expect.objectContaining({ code: "NOT_SUPPORTED" }));
});
