/** The framings in docs/protocols.md and their tests run as they stand there, their types are right, and its tables too. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { lengthPrefixed, lines } from "../../src/index.ts";
import { resolvePrefix } from "../../src/plain/length-prefix.ts";
import { refusal } from "../support.ts";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const RESOLVE = new URL("support/resolve.ts", import.meta.url).href;

let folder: string;
let document: string;
let files: Map<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "resplice-"));
  document = await readFile(join(ROOT, "docs/protocols.md"), "utf8");
  const blocks = document.matchAll(/<!-- ([\w.-]+\.ts) -->\n```ts\n(.*?)```/gsu);
  files = new Map(Array.from(blocks, ([, name = "", code = ""]) => [name, code]));
  for (const [name, code] of files) await writeFile(join(folder, name), code);
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
});

afterAll(() => rm(folder, { recursive: true }));

test("all its code is run", () => {
  expect([...files.keys()]).toEqual(["content-length.ts", "content-length.test.ts", "json.ts", "json.test.ts"]);
  expect(document.match(/^```\w/gmu)).toHaveLength(files.size);
});

test.each([
  ["content-length.test.ts", 2],
  ["json.test.ts", 1],
])("%s", { timeout: 30_000 }, async (name, tests) => {
  const args = ["--import", RESOLVE, "--test", "--test-reporter=tap", join(folder, name)];
  // A test runner within a test runner says nothing where it finds that it is one.
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { stdout } = await run(process.execPath, args, { env }).catch((error: { stdout: string }) => error);
  expect(stdout).toContain(`# pass ${tests}\n`);
  expect(stdout).toContain("# fail 0\n");
});

test("types", { timeout: 30_000 }, async () => {
  const config = {
    extends: join(ROOT, "tsconfig.json"),
    compilerOptions: { typeRoots: [join(ROOT, "node_modules/@types")] },
    include: [folder],
  };
  await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
  const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
  const { stdout } = await run(process.execPath, [tsc, "-p", folder]).catch((error: { stdout: string }) => error);
  expect(stdout).toBe("");
});

/** The rows of the section's table of options: name, unit, default, what it does, danger. */
function optionRows(heading: string): string[][] {
  const [, section = ""] = new RegExp(`\n## ${heading}\n(.*?)\n## `, "su").exec(document) ?? [];
  const [, table = ""] = /\n\| option \|.*\n\|[-|]+\|\n((?:\|.*\n)+)/u.exec(section) ?? [];
  return table
    .trim()
    .split("\n")
    .map((row) =>
      row
        .split("|")
        .slice(1, -1)
        .map((cell) => cell.trim()),
    );
}

test.each([
  ["lines", (given: object) => lines(given), { ending: "\n", allowUnendedLast: false }],
  [
    "Length prefixed",
    (given: object) => lengthPrefixed(given),
    { bytes: 4, endian: "big", headerBytes: 0, counts: "rest", uncountedBytes: 0, strip: true },
  ],
])("%s: a row for every option, and for no other, with its default", (heading, make, defaults) => {
  const names = refusal(() => make({ nonsense: 1 })).option?.allowed.split(", ");
  const rows = optionRows(heading);
  expect(rows.map(([name]) => name)).toEqual(names?.map((name) => `\`${name}\``));
  expect(rows.map((row) => row[2])).toEqual(Object.values(defaults).map((value) => `\`${JSON.stringify(value)}\``));
  expect(Object.keys(defaults)).toEqual(names);
  // The defaults of the table are those of the code.
  const message = Buffer.from("message");
  expect(make(defaults).encode(message)).toEqual(make({}).encode(message));
  expect(rows.every(({ length }) => length === 5)).toBe(true);
});

test("the bounds are those of the code", () => {
  expect(document).toContain("bytes, 0 to 1,024");
  expect(() => resolvePrefix({ headerBytes: 1_024, uncountedBytes: 1_024 })).not.toThrow();
  expect(() => resolvePrefix({ headerBytes: 1_025 })).toThrow("1024");
});
