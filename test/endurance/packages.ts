/** Packages that only one suite needs: they stand in a package.json of its own, and are installed when it is run. */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";

const INSTALL_MS = 600_000;

/** The path of a file in the folder's node_modules. They are installed where they are missing or others. */
export function packageFile(folder: string, path: string): string {
  const file = join(folder, "node_modules", path);
  const wanted = readFileSync(join(folder, "package-lock.json"), "utf8");
  const mark = join(folder, "node_modules/.installed-lock.json");
  if (existsSync(file) && existsSync(mark) && readFileSync(mark, "utf8") === wanted) return file;
  const { error, status, stderr } = spawnSync("npm", ["ci", "--no-audit", "--no-fund"], {
    cwd: folder,
    encoding: "utf8",
    timeout: INSTALL_MS,
  });
  if (error !== undefined || status !== 0) throw new Error(`npm ci in ${folder}: ${error?.message ?? stderr}`);
  writeFileSync(mark, wanted);
  if (!existsSync(file)) throw new Error(`npm has not installed ${file}`);
  return file;
}
