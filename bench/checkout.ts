/** Another commit of this repository in a folder of its own, to be measured with what measures this tree. */
import { execFileSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

import { build } from "./build.ts";

export const ROOT: string = fileURLToPath(new URL("../", import.meta.url));
/** Packages of their own, and no part of a comparison. */
const PEERS = join(ROOT, "bench/peers");
const TAR_BYTES_MAX = 2 ** 30;
const INSTALL_MS = 300_000;

/** The commit's id; undefined if there is none of that name. */
export function commitOf(ref: string): string | undefined {
  try {
    const args = ["rev-parse", "--verify", "--quiet", "--end-of-options", `${ref}^{commit}`];
    return execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).trim();
  } catch (error) {
    if ((error as { status?: number }).status === 1) return undefined;
    throw error;
  }
}

/** Answers where its workers are: those of this tree, beside what that commit's sources are compiled to. It is removed when the process ends. */
export function checkOut(commit: string): URL {
  const folder = mkdtempSync(join(tmpdir(), "resplice-against-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const input = execFileSync("git", ["archive", commit], { cwd: ROOT, maxBuffer: TAR_BYTES_MAX });
  execFileSync("tar", ["-x", "-C", folder], { input });
  rmSync(join(folder, "bench"), { recursive: true, force: true });
  cpSync(join(ROOT, "bench"), join(folder, "bench"), { recursive: true, filter: (path) => path !== PEERS });
  installPackages(folder);
  build(folder);
  return pathToFileURL(join(folder, "bench/"));
}

/** This tree's, where the commit needs the same ones at run time. */
function installPackages(folder: string): void {
  if (needed(folder) === needed(ROOT)) {
    symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"), "dir");
    return;
  }
  const args = ["ci", "--ignore-scripts", "--prefer-offline", "--no-audit", "--no-fund"];
  execFileSync("npm", args, { cwd: folder, stdio: ["ignore", "ignore", "inherit"], timeout: INSTALL_MS });
}

/** What the lock file has beside packages for development, to be compared. */
function needed(folder: string): string {
  const { packages } = JSON.parse(readFileSync(join(folder, "package-lock.json"), "utf8")) as {
    packages: Record<string, { dev?: boolean }>;
  };
  return JSON.stringify(Object.entries(packages).filter(([path, { dev = false }]) => path !== "" && !dev));
}
