/** A folder with files where the live page looks for its own, to the end of the test. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onTestFinished } from "vitest";

export function bundledFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "resplice-files-"));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  writeFileSync(join(folder, "page.js"), "script\n");
  writeFileSync(join(folder, "page.css"), "style\n");
  return folder;
}
