/**
 * Packages that are not of this repository, from npm: other versions of Node, and a load generator. Kept for the next
 * time.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";

const INSTALL_MS = 300_000;
const CACHE = join(process.env["XDG_CACHE_HOME"] ?? join(homedir(), ".cache"), "resplice");

/** The folder of the package. */
function installed(name: string, version: string): string {
  const prefix = join(CACHE, `${name}-${version}`);
  const folder = join(prefix, "node_modules", name);
  if (existsSync(folder)) return folder;
  mkdirSync(prefix, { recursive: true });
  const args = ["install", "--prefix", prefix, "--no-audit", "--no-fund", `${name}@${version}`];
  const { error, status, stderr } = spawnSync("npm", args, { encoding: "utf8", timeout: INSTALL_MS });
  if (error !== undefined) throw new Error(`npm cannot be run: ${error.message}`);
  if (status !== 0) throw new Error(`npm ${args.join(" ")} ended with ${status}:\n${stderr}`);
  return folder;
}

/** The binary of the newest Node of a major version; of our own where that is the one. */
export function nodeOf(major: string): string {
  if (process.versions.node.startsWith(`${major}.`)) return process.execPath;
  const binary = join(installed("node", major), "bin/node");
  if (!existsSync(binary)) throw new Error(`npm has installed node@${major} without its binary: ${binary}`);
  return binary;
}

/** The command of autocannon, which a Node runs. */
export function autocannon(): string {
  return join(installed("autocannon", "8.0.0"), "autocannon.js");
}
