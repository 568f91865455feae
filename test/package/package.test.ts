/** What `npm pack` makes in a clean clone, installed into an empty folder. Without a network. */
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readmeProgram } from "../examples/support/readme.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
const SLOW = { timeout: 30_000 };

const folder = mkdtempSync(join(tmpdir(), "resplice-package-"));
const clone = join(folder, "clone");
const user = join(folder, "user");
afterAll(() => rmSync(folder, { recursive: true, force: true }));

beforeAll(async () => {
  await copyClean();
  await run("npm", ["pack", "--pack-destination", folder], clone);
  copyDependencies();
  const tarball = join(folder, `resplice-${version}.tgz`);
  await run("npm", ["install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", tarball], user);
}, 120_000);

test("the program in README.md runs", SLOW, async () => {
  writeFileSync(join(user, "echo.mjs"), await readmeProgram());
  expect(await run(process.execPath, ["echo.mjs"], user)).toBe("pull the cable now\n");
});

test("the command says its version, and its help", SLOW, async () => {
  const resplice = join(user, "node_modules/.bin/resplice");
  expect(await run(resplice, ["--version"], user)).toBe(`${version}\n`);
  expect(await run(resplice, ["--help"], user)).toContain("resplice demo");
});

test("resplice/testing can be imported, what is inside cannot", SLOW, async () => {
  const names = `console.log(Object.keys(await import("resplice/testing")).join(" "))`;
  expect(await evaluate(names)).toBe("faultRelay linkPair\n");
  await expect(evaluate(`await import("resplice/dist/index.js")`)).rejects.toThrow("ERR_PACKAGE_PATH_NOT_EXPORTED");
});

/** What a clone of this tree would hold, without `dist`. Its packages are the repository's. */
async function copyClean(): Promise<void> {
  const listed = await run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT);
  for (const path of listed.split("\0").filter((name) => name !== "" && existsSync(join(ROOT, name)))) {
    cpSync(join(ROOT, path), join(clone, path));
  }
  symlinkSync(join(ROOT, "node_modules"), join(clone, "node_modules"), "dir");
}

/** What a user needs beside the package, as the lock file has it: npm finds it there and fetches nothing. */
function copyDependencies(): void {
  const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
    packages: Record<string, { dev?: boolean }>;
  };
  mkdirSync(user);
  writeFileSync(join(user, "package.json"), "{}");
  for (const [path, { dev = false }] of Object.entries(lock.packages)) {
    if (path !== "" && !dev) cpSync(join(ROOT, path), join(user, path), { recursive: true });
  }
}

/** What it prints. Rejects, with what it says on stderr, when it does not exit with 0. */
async function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  const PATH = [dirname(process.execPath), process.env["PATH"]].join(delimiter);
  const { stdout } = await promisify(execFile)(command, args, { cwd, env: { ...process.env, PATH } });
  return stdout;
}

function evaluate(code: string): Promise<string> {
  return run(process.execPath, ["--input-type=module", "--eval", code], user);
}
