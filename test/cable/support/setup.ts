/**
 * Before all cable tests: the tools, and a cable, to see whether this kernel lets us have one. Where it does not, every
 * test fails and says why, unless CABLE_UNAVAILABLE=ok says that this is expected: then every test is skipped.
 */
import { execFile } from "node:child_process";
import { delimiter, join } from "node:path";
import { access, constants } from "node:fs/promises";
import { promisify } from "node:util";
import type { TestProject } from "vitest/node";

import { layCable, SEARCH_PATH } from "./hosts.ts";

declare module "vitest" {
  export interface ProvidedContext {
    /** Why there can be no cable here; undefined where there can. */
    noCable: { reason: string; isExpected: boolean } | undefined;
  }
}

const PACKAGES: Record<string, string> = {
  unshare: "util-linux",
  nsenter: "util-linux",
  setpriv: "util-linux",
  ip: "iproute2",
  nft: "nftables",
};
const INSTALL_MS = 300_000;

export default async function setup(project: TestProject): Promise<void> {
  project.provide("noCable", await whyNot());
}

async function whyNot(): Promise<{ reason: string; isExpected: boolean } | undefined> {
  try {
    await haveTools();
    await tryCable();
    return undefined;
  } catch (error) {
    const reason = `no cable can be had here: ${(error as Error).message}`;
    const isExpected = process.env["CABLE_UNAVAILABLE"] === "ok";
    const hint = isExpected
      ? "Nothing is tested, as CABLE_UNAVAILABLE=ok expects."
      : "Where that is expected, CABLE_UNAVAILABLE=ok skips all tests.";
    console.log(`cable: ${reason}\ncable: ${hint}`);
    return { reason, isExpected };
  }
}

async function haveTools(): Promise<void> {
  const missing = await missingPackages();
  if (missing.length === 0) return;
  const packages = missing.join(" ");
  if (process.getuid?.() !== 0 || !(await isThere("apt-get"))) {
    throw new Error(`${packages} missing. On Debian: apt-get update && apt-get install -y ${packages}`);
  }
  console.log(`cable: installing ${packages}`);
  await apt("update");
  await apt("install", "-y", "--no-install-recommends", ...missing);
  const still = await missingPackages();
  if (still.length > 0) throw new Error(`apt-get has installed ${packages}, and ${still.join(" ")} is still missing`);
}

async function missingPackages(): Promise<string[]> {
  const missing = new Set<string>();
  for (const [tool, name] of Object.entries(PACKAGES)) if (!(await isThere(tool))) missing.add(name);
  return [...missing];
}

async function isThere(tool: string): Promise<boolean> {
  for (const directory of SEARCH_PATH.split(delimiter)) {
    const found = await access(join(directory, tool), constants.X_OK).then(
      () => true,
      () => false,
    );
    if (found) return true;
  }
  return false;
}

async function apt(...args: string[]): Promise<void> {
  const options = { timeout: INSTALL_MS, env: { ...process.env, DEBIAN_FRONTEND: "noninteractive" } };
  // Another apt-get may be at work.
  await promisify(execFile)("apt-get", ["-qq", "-o", "DPkg::Lock::Timeout=120", ...args], options);
}

/** All that the tests need of the kernel. */
async function tryCable(): Promise<void> {
  await using cable = await layCable();
  await cable.client.filter({
    in: "meta l4proto tcp numgen random mod 100 < 20 counter drop\ntcp flags & (fin|syn|rst|ack) != syn reject with tcp reset",
    out: "ct state new,invalid counter drop",
  });
  if ((await cable.client.struck()) !== 0) throw new Error("nftables counts packets that nobody sent");
}
