/** Which file brings which other to run, read from the sources. */
import { existsSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { parseSync } from "vite";

export const ROOT: URL = new URL("../", import.meta.url);

const PACKAGE: Readonly<Record<string, string>> = {
  resplice: "src/index.ts",
  "resplice/testing": "src/testing/index.ts",
};

/** A program that is started as a process or a worker, as in `fork(new URL("server.ts", import.meta.url))`. */
const STARTED = /new URL\(\s*"([^"]+\.ts)",\s*import\.meta\.url,?\s*\)/gu;

interface Source {
  /** The files that it imports to run, or starts; not those of which it takes only types. Paths from the root. */
  readonly runs: readonly string[];
  readonly hasOnlyTypes: boolean;
}

const sources = new Map<string, Source>();
const reaches = new Map<string, ReadonlySet<string>>();

/** All files that run when `file` does, itself included. */
export function reachedFrom(file: string): ReadonlySet<string> {
  const before = reaches.get(file);
  if (before !== undefined) return before;
  const reached = new Set([file]);
  for (const one of reached) for (const next of sourceOf(one).runs) reached.add(next);
  reaches.set(file, reached);
  return reached;
}

/** A file of types alone has no code that runs, so there is nothing to test in it. */
export function hasOnlyTypes(file: string): boolean {
  return sourceOf(file).hasOnlyTypes;
}

function sourceOf(file: string): Source {
  const before = sources.get(file);
  if (before !== undefined) return before;
  const text = readFileSync(new URL(file, ROOT), "utf8");
  const { module, program } = parseSync(file, text);
  const names = [
    ...module.staticImports
      .filter(({ entries }) => entries.length === 0 || entries.some(({ isType }) => !isType))
      .map(({ moduleRequest }) => moduleRequest.value),
    ...module.staticExports
      .flatMap(({ entries }) => entries)
      .flatMap(({ isType, moduleRequest }) => (isType || moduleRequest === null ? [] : [moduleRequest.value])),
    ...module.dynamicImports.map(({ moduleRequest: { start, end } }) => text.slice(start + 1, end - 1)),
    ...[...text.matchAll(STARTED)].map(([, path = ""]) => (path.startsWith(".") ? path : `./${path}`)),
  ];
  const runs = [...new Set(names.flatMap((name) => toFile(name, file)))];
  const source = { runs, hasOnlyTypes: program.body.every(isOfTypes) };
  sources.set(file, source);
  return source;
}

/** Answers no path for a package, nor for a file that is not in the tree. */
function toFile(name: string, from: string): string[] {
  const inPackage = PACKAGE[name];
  if (inPackage !== undefined) return [inPackage];
  if (!name.startsWith(".")) return [];
  const url = new URL(name, new URL(from, ROOT));
  return name.endsWith(".ts") && existsSync(url) ? [fileURLToPath(url).slice(fileURLToPath(ROOT).length)] : [];
}

function isOfTypes(statement: ReturnType<typeof parseSync>["program"]["body"][number]): boolean {
  switch (statement.type) {
    case "ImportDeclaration":
      return statement.importKind === "type";
    case "ExportNamedDeclaration":
    case "ExportAllDeclaration":
      return statement.exportKind === "type";
    default:
      return statement.type === "TSInterfaceDeclaration" || statement.type === "TSTypeAliasDeclaration";
  }
}
