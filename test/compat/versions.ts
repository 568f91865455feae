/** The versions that were published, each as it was packed: `versions/resplice-VERSION.tgz`. */
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { afterAll } from "vitest";
import type * as resplice from "../../src/index.ts";

/** What the tests use of a version's main entry point. */
export type Version = Pick<typeof resplice, "ConnectionManager" | "ServerSupervisor">;

const TARBALLS = fileURLToPath(new URL("versions/", import.meta.url));
/** Below this repository's node_modules: there the packages are that a version depends on, and vitest changes nothing. */
const UNPACKED = fileURLToPath(new URL("../../node_modules/.cache/resplice-compat/", import.meta.url));

/** Unpacks all that there are, until the tests of the file are over. */
export async function publishedVersions(): Promise<Map<string, Version>> {
  const versions = new Map<string, Version>();
  for (const tarball of readdirSync(TARBALLS).filter((name) => name.endsWith(".tgz"))) {
    const folder = unpack(join(TARBALLS, tarball));
    const { version, exports } = JSON.parse(readFileSync(join(folder, "package.json"), "utf8")) as {
      version: string;
      exports: { ".": { default: string } };
    };
    if (tarball !== `resplice-${version}.tgz`) throw new Error(`${tarball} holds version ${version}`);
    versions.set(version, (await import(pathToFileURL(join(folder, exports["."].default)).href)) as Version);
  }
  return versions;
}

function unpack(tarball: string): string {
  mkdirSync(UNPACKED, { recursive: true });
  const folder = mkdtempSync(UNPACKED);
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  execFileSync("tar", ["-xzf", tarball, "-C", folder, "--strip-components=1"]);
  return folder;
}
