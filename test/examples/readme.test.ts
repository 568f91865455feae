import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Program } from "./support/program.ts";

test("the program in README.md runs as it stands there", { timeout: 30_000 }, async () => {
  const readme = await readFile(new URL("../../README.md", import.meta.url), "utf8");
  const code = /<!-- runs in test\/examples\/readme.test.ts -->\n```js\n(.*?)```/su.exec(readme)?.[1] ?? "";
  expect(code.split("\n").length).toBeLessThan(20);
  const folder = await mkdtemp(join(tmpdir(), "resplice-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "echo.mjs"), code);

  const program = new Program(join(folder, "echo.mjs"));
  expect([await program.exited, program.lines]).toEqual([0, ["pull the cable now"]]);
});
