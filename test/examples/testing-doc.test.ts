/** The service in docs/testing.md and its tests run as they stand there, and their types are right. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { beforeAll, afterAll, expect, test } from "vitest";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const RESOLVE = new URL("support/resolve.ts", import.meta.url).href;

let folder: string;
let files: Map<string, string>;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "resplice-"));
  const document = await readFile(join(ROOT, "docs/testing.md"), "utf8");
  const blocks = document.matchAll(/<!-- ([\w.-]+\.ts) -->\n```ts\n(.*?)```/gsu);
  files = new Map(Array.from(blocks, ([, name = "", code = ""]) => [name, code]));
  for (const [name, code] of files) await writeFile(join(folder, name), code);
  await writeFile(join(folder, "package.json"), '{ "type": "module" }');
});

afterAll(() => rm(folder, { recursive: true }));

test("all its code is run", async () => {
  const document = await readFile(join(ROOT, "docs/testing.md"), "utf8");
  expect([...files.keys()]).toEqual(["stock.ts", "stock-pair.test.ts", "stock-relay.test.ts"]);
  expect(document.match(/^```\w/gmu)).toHaveLength(files.size);
});

test.each([
  ["stock-pair.test.ts", 5],
  ["stock-relay.test.ts", 1],
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
