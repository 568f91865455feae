/** One row of `npm run test:overload`, on a real process: an application that fills the heap, and nothing helps. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const MAIN = fileURLToPath(new URL("main.ts", import.meta.url));

test("three steps in vain, one word about it, and hardly a link shed", { timeout: 40_000 }, async () => {
  const args = ["--expose-gc", MAIN, "--percent", "1", "--only", "heap held"];
  const { stderr, stdout } = await promisify(execFile)(process.execPath, args);
  expect(stderr).toContain("1 rows, 5 figures: 0 missed their bound");
  expect(stdout).toContain("ineffective");
});
