/**
 * For who calls `require()` and cannot load ES modules by it: jest, TypeScript with `module: commonjs` or `node16`, old
 * bundlers. Node itself can, and never loads what is made here, so that a process has the package once.
 *
 * The code is bundled, since a dependency (p-retry) is an ES module only. The declarations say of each export that it is
 * the one of the ES module: a class is the same type however it was imported.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";
import { licensesOf } from "./bundle.ts";

const ROOT = new URL("../", import.meta.url);
const ENTRIES = ["index", "testing/index"];
/** ES modules only: they become part of the bundle, with what they import, and with all licenses. */
const BUNDLED = new Set(["p-retry"]);
const { dependencies } = JSON.parse(readFileSync(new URL("package.json", ROOT), "utf8")) as {
  dependencies: Record<string, string>;
};

const path = (of: string): string => fileURLToPath(new URL(of, ROOT));
const bundle = await rolldown({
  input: Object.fromEntries(ENTRIES.map((entry) => [entry, path(`dist/${entry}.js`)])),
  external: [/^node:/u, ...Object.keys(dependencies).filter((name) => !BUNDLED.has(name))],
  platform: "node",
  onLog: (_, log) => {
    throw new Error(log.message);
  },
});
await bundle.write({
  dir: path("dist"),
  format: "cjs",
  exports: "named",
  entryFileNames: "[name].cjs",
  chunkFileNames: "shared-[hash].cjs",
  postBanner: ({ moduleIds }) => licensesOf(moduleIds),
});

for (const entry of ENTRIES) {
  const exported = (await import(new URL(`dist/${entry}.js`, ROOT).href)) as Record<string, unknown>;
  writeFileSync(path(`dist/${entry}.d.cts`), declarations(entry, exported));
}

function declarations(entry: string, exported: Record<string, unknown>): string {
  const esm = `"./${entry.replace(/.*\//u, "")}.js"`;
  const lines = Object.entries(exported).flatMap(([name, value]) => {
    const from = `import(${esm}, { with: { "resolution-mode": "import" } }).${name}`;
    const declared = `export declare const ${name}: typeof ${from};`;
    return isClass(value) ? [declared, `export type ${name} = ${from};`] : [declared];
  });
  return `export type * from ${esm} with { "resolution-mode": "import" };\n${lines.join("\n")}\n`;
}

function isClass(value: unknown): boolean {
  return typeof value === "function" && Function.prototype.toString.call(value).startsWith("class");
}
