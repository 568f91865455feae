/** The TypeScript files of a document, which run as they stand there. */
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect } from "vitest";

const run = promisify(execFile);
const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const RESOLVE = new URL("resolve.ts", import.meta.url).href;

export class Document {
  readonly text: string;
  /** The code of each file, by name: blocks of TypeScript below a comment with a file's name. */
  readonly files: ReadonlyMap<string, string>;
  readonly #folder: string;

  private constructor(text: string, files: ReadonlyMap<string, string>, folder: string) {
    this.text = text;
    this.files = files;
    this.#folder = folder;
  }

  /** Writes the files of `path`, from the root of the repository, into a folder of their own. */
  static async read(path: string): Promise<Document> {
    const folder = await mkdtemp(join(tmpdir(), "resplice-"));
    const text = await readFile(join(ROOT, path), "utf8");
    const blocks = text.matchAll(/<!-- ([\w.-]+\.ts) -->\n```ts\n(.*?)```/gsu);
    const files = new Map(Array.from(blocks, ([, name = "", code = ""]) => [name, code]));
    for (const [name, code] of files) await writeFile(join(folder, name), code);
    await writeFile(join(folder, "package.json"), '{ "type": "module" }');
    return new Document(text, files, folder);
  }

  /** All blocks of code in the document are files with these names. */
  expectFiles(names: readonly string[]): void {
    expect([...this.files.keys()]).toEqual(names);
    expect(this.text.match(/^```\w/gmu)).toHaveLength(this.files.size);
  }

  /** The file is a test of node:test with so many tests, which all pass. */
  async expectToPass(name: string, tests: number): Promise<void> {
    const args = ["--import", RESOLVE, "--test", "--test-reporter=tap", join(this.#folder, name)];
    // A test runner within a test runner says nothing where it finds that it is one.
    const { NODE_TEST_CONTEXT: _, ...env } = process.env;
    const { stdout } = await run(process.execPath, args, { env }).catch((error: { stdout: string }) => error);
    expect(stdout).toContain(`# pass ${tests}\n`);
    expect(stdout).toContain("# fail 0\n");
  }

  async expectRightTypes(): Promise<void> {
    const folder = this.#folder;
    const config = {
      extends: join(ROOT, "tsconfig.json"),
      compilerOptions: { typeRoots: [join(ROOT, "node_modules/@types")] },
      include: [folder],
    };
    await writeFile(join(folder, "tsconfig.json"), JSON.stringify(config));
    const tsc = join(ROOT, "node_modules/typescript/bin/tsc");
    const { stdout } = await run(process.execPath, [tsc, "-p", folder]).catch((error: { stdout: string }) => error);
    expect(stdout).toBe("");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.#folder, { recursive: true });
  }
}
