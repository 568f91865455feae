import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { Program } from "./support/program.ts";
import { readmeProgram } from "./support/readme.ts";

test("the program in README.md runs as it stands there", { timeout: 30_000 }, async () => {
  const code = await readmeProgram();
  expect(code.split("\n").length).toBeLessThan(20);
  const folder = await mkdtemp(join(tmpdir(), "resplice-"));
  onTestFinished(() => rm(folder, { recursive: true }));
  await writeFile(join(folder, "echo.mjs"), code);

  const program = new Program(join(folder, "echo.mjs"));
  expect([await program.exited, program.lines]).toEqual([0, ["pull the cable now"]]);
});
