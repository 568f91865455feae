/** Folders in which a test has the files of a system. */
import { execFile } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { onTestFinished } from "vitest";
import type { System } from "../../../src/io/resources/reader.ts";

export interface Fixture extends System {
  /** Writes a file as the kernel does: who holds it open reads the new content. */
  write(path: string, content: string): void;
}

export function systemOf(files: Readonly<Record<string, string>>): Fixture {
  const root = mkdtempSync(join(tmpdir(), "resplice-system-"));
  onTestFinished(() => rmSync(root, { recursive: true }));
  const write = (path: string, content: string): void => {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), content);
  };
  for (const [path, content] of Object.entries(files)) write(path, content);
  return { root, platform: "linux", write };
}

/** Runs a module, which can import `#resources/NAME.ts`, in a Node of its own, after `shell`; answers its output. */
export function runModule(
  code: string,
  { shell = "true", options = [] }: { shell?: string; options?: readonly string[] } = {},
): Promise<{ output: string; signal: string | null }> {
  const folder = new URL("../../../src/io/resources/", import.meta.url).href;
  const module = code.replaceAll("#resources/", folder);
  const node = [process.execPath, "--no-warnings", ...options, "--input-type=module", "--eval", module];
  return new Promise((resolve) => {
    execFile("sh", ["-c", `${shell} && exec "$0" "$@"`, ...node], { timeout: 20_000 }, (error, output) => {
      resolve({ output, signal: (error?.signal as string | undefined) ?? null });
    });
  });
}
