/**
 * `npm run mutants:stryker`: everything in the pure modules that can be changed is, and each change has to be noticed by
 * their unit tests, or to be explained in `equivalent.ts`. Files of `stryker.config.json` may be named: only those then.
 */
import { spawnSync } from "node:child_process";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { EQUIVALENT, type Equivalent } from "./equivalent.ts";

const FOLDER = fileURLToPath(new URL(".", import.meta.url));
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const STRYKER = join(FOLDER, "node_modules/@stryker-mutator/core/bin/stryker.js");

interface Place {
  line: number;
  column: number;
}

interface Report {
  files: Record<
    string,
    {
      source: string;
      mutants: Array<{ status: string; replacement: string; location: { start: Place; end: Place } }>;
    }
  >;
}

install();
process.exitCode = judge(mutate(process.argv.slice(2)));

/** A package of its own, so that the product's development dependencies stay few. Vitest is the product's. */
function install(): void {
  const installed = join(FOLDER, "node_modules/.package-lock.json");
  const lock = join(FOLDER, "package-lock.json");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  console.log("npm ci --prefix mutants/stryker");
  run("npm", ["ci", "--prefix", FOLDER, "--legacy-peer-deps", "--ignore-scripts", "--no-audit", "--no-fund"]);
}

function mutate(files: readonly string[]): Report {
  const only = files.length > 0 ? ["--mutate", files.join(",")] : [];
  run(process.execPath, [STRYKER, "run", join(FOLDER, "stryker.config.json"), ...only]);
  return JSON.parse(readFileSync(join(FOLDER, ".cache/report.json"), "utf8")) as Report;
}

function run(command: string, args: readonly string[]): void {
  const { status, error } = spawnSync(command, args, { cwd: ROOT, stdio: "inherit" });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ended with ${status}`);
}

function judge({ files }: Report): number {
  const unexplained: string[] = [];
  const used = new Set<Equivalent>();
  let mutants = 0;
  let caught = 0;
  for (const [file, { source, mutants: all }] of Object.entries(files)) {
    for (const { status, replacement, location } of all) {
      if (status === "Ignored") continue;
      mutants++;
      if (status !== "Survived" && status !== "NoCoverage") {
        caught++;
        continue;
      }
      const line = source.split("\n")[location.start.line - 1]?.trim() ?? "";
      const original = textBetween(source, location);
      const known = EQUIVALENT.find(
        (one) => one.file === file && one.line === line && one.original === original && one.replacement === replacement,
      );
      if (known !== undefined) used.add(known);
      else unexplained.push(`${file}:${location.start.line}: ${line}\n    ${original}  =>  ${replacement}`);
    }
  }
  const outdated = EQUIVALENT.filter((one) => one.file in files && !used.has(one));
  for (const what of unexplained) console.log(`survived: ${what}`);
  for (const { file, line, replacement } of outdated) {
    console.log(`explained, and not among those that survived: ${file}: ${line}  =>  ${replacement}`);
  }
  const survived = mutants - caught;
  console.log(`${mutants} mutants: ${caught} caught, ${survived} survived, ${unexplained.length} of them unexplained`);
  return unexplained.length + outdated.length > 0 ? 1 : 0;
}

function textBetween(source: string, { start, end }: { start: Place; end: Place }): string {
  const lines = source.split("\n");
  const at = ({ line, column }: Place): number =>
    lines.slice(0, line - 1).reduce((sum, text) => sum + text.length + 1, 0) + column - 1;
  return source.slice(at(start), at(end));
}
