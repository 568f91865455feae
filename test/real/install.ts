/** Real servers: found on this machine, or installed with apt. */
import { spawnSync } from "node:child_process";
import { accessSync, constants, globSync } from "node:fs";
import { delimiter, join } from "node:path";

const INSTALL_MS = 300_000;
/** Debian puts servers where only root looks for programs, or nobody. */
const MORE_FOLDERS = ["/usr/sbin", "/sbin", "/usr/local/sbin", "/usr/lib/postgresql/*/bin"];

/**
 * The path of the program. Installs the Debian package that has it where it is missing, without starting its service.
 * Throws with what to do where it can't be installed.
 */
export function installed(program: string, debianPackage: string): string {
  const there = found(program);
  if (there !== undefined) return there;
  const problem = aptGet("install", debianPackage);
  // The list of packages may be older than the archive.
  if (problem !== undefined && aptGet("update") === undefined) aptGet("install", debianPackage);
  const now = found(program);
  if (now !== undefined) return now;
  throw new Error(`there is no ${program} here: install it (apt-get install ${debianPackage}). ${problem ?? ""}`);
}

function found(program: string): string | undefined {
  const folders = [...(process.env["PATH"] ?? "").split(delimiter), ...globSync(MORE_FOLDERS)];
  return folders.map((folder) => join(folder, program)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Answers with the problem, if there is one. */
function aptGet(...what: string[]): string | undefined {
  // In run level 1 no package starts its service.
  const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive", RUNLEVEL: "1" };
  const options = ["-y", "--no-install-recommends", "-o", `DPkg::Lock::Timeout=${INSTALL_MS / 1_000}`];
  const { error, status, stderr } = spawnSync("apt-get", [...options, ...what], {
    env,
    encoding: "utf8",
    timeout: INSTALL_MS,
  });
  if (error !== undefined) return `apt-get cannot be run: ${error.message}`;
  return status === 0 ? undefined : `apt-get ${what.join(" ")} ended with ${status}: ${stderr.trim()}`;
}
