/**
 * docs/api: the reference of all public names, from their declarations.
 *
 *     npm run api                writes it
 *     npm run api -- --check     only says whether it is current
 *
 * Fails where a public name says nothing about itself, and where an example in a comment does not compile. TypeDoc and the
 * TypeScript that it needs are packages of this folder, which are installed when they are missing. `npm test` has no
 * TypeDoc: it compares the stamp of docs/api/README.md with the declarations.
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { stampOf } from "../declarations.ts";

const ROOT = fileURLToPath(new URL("../../", import.meta.url));
const HERE = fileURLToPath(new URL("./", import.meta.url));
const PAGES = join(ROOT, "docs/api");
/** typedoc.json and tsconfig.json name it, too. */
const CACHE = join(ROOT, ".cache/api");
const DECLARATIONS = join(CACHE, "declarations");
const WRITTEN = join(CACHE, "pages");
const TSC = join(ROOT, "node_modules/typescript/bin/tsc");

/** Parts of an object that its own comment describes, and a method of EventEmitter under its other name. */
const NEEDS_NO_COMMENT = /\.__type\.|\.addListener /u;

rmSync(CACHE, { recursive: true, force: true });
mkdirSync(CACHE, { recursive: true });
install();
node(TSC, "-p", "tsconfig.build.json", "--emitDeclarationOnly", "--outDir", DECLARATIONS);
writePages();
checkExamples();
if (process.argv[2] === "--check") {
  if (!isCurrent()) throw new Error("docs/api is not current: npm run api");
} else {
  rmSync(PAGES, { recursive: true, force: true });
  mkdirSync(PAGES);
  for (const name of readdirSync(WRITTEN)) writeFileSync(join(PAGES, name), readFileSync(join(WRITTEN, name)));
}

function install(): void {
  const installed = join(HERE, "node_modules/.package-lock.json");
  const lock = join(HERE, "package-lock.json");
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return;
  run("npm", "ci", "--prefix", HERE, "--ignore-scripts", "--no-audit", "--no-fund");
}

function writePages(): void {
  const said = node(join(HERE, "node_modules/typedoc/bin/typedoc"), "--options", join(HERE, "typedoc.json"));
  const missing = said.split("\n").filter((line) => line.includes("does not have any documentation"));
  const wrong = missing.filter((line) => !NEEDS_NO_COMMENT.test(line));
  if (wrong.length > 0) throw new Error(`public names that say nothing about themselves:\n${wrong.join("\n")}`);
  const readme = [
    "# API reference",
    "",
    "Written by `npm run api` from the comments of the declarations. [docs/README.md](../README.md) finds pages by question.",
    "",
    "- [resplice](resplice.md)",
    "- [resplice/testing](testing.md)",
    "",
    stampOf(DECLARATIONS),
    "",
  ];
  writeFileSync(join(WRITTEN, "README.md"), readme.join("\n"));
}

/** Each one in a function of its own, which knows all exports, and what the examples call `link`, `manager`, …. */
function checkExamples(): void {
  const examples = ["resplice.md", "testing.md"].flatMap((name) => {
    const page = readFileSync(join(WRITTEN, name), "utf8");
    return Array.from(page.matchAll(/^#+ Example\n\n```\w*\n(.*?)^```/gmsu), ([, code = ""]) => code);
  });
  if (examples.length < 15) throw new Error(`only ${examples.length} examples were found`);
  const exported = (path: string): string => {
    const lists = readFileSync(join(DECLARATIONS, path), "utf8").matchAll(/export \{([^}]*)\}/gu);
    const names = [...lists].flatMap(([, list = ""]) => list.split(","));
    return names.filter((name) => name.trim() !== "").join();
  };
  const program = [
    'import http from "node:http";',
    `import { ${exported("index.d.ts")}, type Link, type PlainLink } from "resplice";`,
    `import { ${exported("testing/index.d.ts")} } from "resplice/testing";`,
    "declare const manager: ConnectionManager;",
    "declare const supervisor: ServerSupervisor;",
    "declare const link: Link;",
    "declare const plainLink: PlainLink;",
    ...examples.map((code, at) => `export async function example${at}(): Promise<void> {\n${code}}`),
  ];
  writeFileSync(join(CACHE, "examples.ts"), program.join("\n"));
  const config = { extends: join(ROOT, "tsconfig.json"), include: [], files: [join(CACHE, "examples.ts")] };
  writeFileSync(join(CACHE, "tsconfig.json"), JSON.stringify(config));
  node(TSC, "-p", CACHE);
}

function isCurrent(): boolean {
  const names = readdirSync(WRITTEN);
  if (!existsSync(PAGES) || readdirSync(PAGES).join() !== names.join()) return false;
  return names.every((name) => readFileSync(join(PAGES, name)).equals(readFileSync(join(WRITTEN, name))));
}

function node(...args: string[]): string {
  return run(process.execPath, ...args);
}

/** What it prints. Throws, with that, when it does not exit with 0. */
function run(command: string, ...args: string[]): string {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: ROOT, encoding: "utf8" });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} ended with ${status}:\n${stdout}${stderr}`);
  return stdout + stderr;
}
