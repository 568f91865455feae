/** What `npm pack` makes in a clean clone, installed into an empty folder. Without a network. */
import { execFile } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

export const ROOT: string = fileURLToPath(new URL("../../", import.meta.url));

export interface Installed {
  /** The clone. It has been built. */
  readonly clone: string;
  /** The folder of a user, who has installed the package, and prom-client beside it. */
  readonly user: string;
  /** The files of the package. */
  readonly files: readonly string[];
}

/** Everything is made in the folder, which is empty. */
export async function installed(folder: string): Promise<Installed> {
  const clone = join(folder, "clone");
  const user = join(folder, "user");
  await copyClean(clone);
  const packed = await run("npm", ["pack", "--json", "--pack-destination", folder], clone);
  const [{ filename, files }] = JSON.parse(packed.slice(packed.indexOf("[\n"))) as [
    { filename: string; files: { path: string }[] },
  ];
  copyDependencies(user);
  const args = ["install", "--offline", "--ignore-scripts", "--no-audit", "--no-fund", join(folder, filename)];
  await run("npm", args, user);
  copyWithDependencies("prom-client", user);
  return { clone, user, files: files.map(({ path }) => path) };
}

/** What a clone of this tree would hold, without `dist`. Its packages are the repository's. */
async function copyClean(clone: string): Promise<void> {
  const listed = await run("git", ["ls-files", "-z", "--cached", "--others", "--exclude-standard"], ROOT);
  for (const path of listed.split("\0").filter((name) => name !== "" && existsSync(join(ROOT, name)))) {
    cpSync(join(ROOT, path), join(clone, path));
  }
  symlinkSync(join(ROOT, "node_modules"), join(clone, "node_modules"), "dir");
}

/** What a user needs beside the package, as the lock file has it: npm finds it there and fetches nothing. */
function copyDependencies(user: string): void {
  const lock = JSON.parse(readFileSync(join(ROOT, "package-lock.json"), "utf8")) as {
    packages: Record<string, { dev?: boolean }>;
  };
  mkdirSync(user);
  writeFileSync(join(user, "package.json"), "{}");
  for (const [path, { dev = false }] of Object.entries(lock.packages)) {
    if (path !== "" && !dev) cpSync(join(ROOT, path), join(user, path), { recursive: true });
  }
}

/** As `npm install` would do, from the packages of this repository. */
function copyWithDependencies(name: string, user: string): void {
  const from = join(ROOT, "node_modules", name);
  cpSync(from, join(user, "node_modules", name), { recursive: true });
  const { dependencies = {} } = JSON.parse(readFileSync(join(from, "package.json"), "utf8")) as {
    dependencies?: Record<string, string>;
  };
  for (const dependency of Object.keys(dependencies)) copyWithDependencies(dependency, user);
}

/** What it prints. Rejects, with what it says on stdout and stderr, when it does not exit with 0. */
export async function run(command: string, args: readonly string[], cwd: string): Promise<string> {
  const PATH = [dirname(process.execPath), process.env["PATH"]].join(delimiter);
  try {
    const { stdout } = await promisify(execFile)(command, args, { cwd, env: { ...process.env, PATH } });
    return stdout;
  } catch (error) {
    const { stdout = "" } = error as { stdout?: string };
    throw new Error(`${(error as Error).message}\n${stdout}`, { cause: error });
  }
}
