/**
 * The tests start hundreds of processes. Node keeps what it has compiled for all of them in one folder, and each starts
 * in a third of the time. The folder is removed after the run: files in temporary folders never have the same name
 * twice, so it would grow with each run.
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/** Before all tests, once for each project: the first makes the folder. */
export default function setup(): void {
  if (process.env["NODE_COMPILE_CACHE"] !== undefined) return;
  const folder = mkdtempSync(join(tmpdir(), "resplice-compiled-"));
  process.env["NODE_COMPILE_CACHE"] = folder;
  // The workers write into it when they are stopped, which is after the teardown of vitest.
  process.once("exit", () => rmSync(folder, { recursive: true, force: true, maxRetries: 3 }));
}
