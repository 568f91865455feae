import { expect, test } from "vitest";
import { command } from "../endurance/support.ts";

const fuzz = command("../fuzz/main.ts");

test("neither the decoder nor a server is impressed by garbage, and neither keeps anything of it", async () => {
  const { code, stdout, stderr } = await fuzz(["--inputs", "200000", "--connections", "2000", "--seed", "1"], 60_000);
  expect(stderr).not.toContain("fuzz:");
  expect(stdout.trim().split("\n").at(-1)).toMatch(/^200000 inputs in .* s, 2000 connections in .* s: 0 problems/u);
  expect(code).toBe(0);
}, 60_000);

test("options that make no sense are refused, and nothing is begun", async () => {
  const { code, stdout, stderr } = await fuzz(["--inputs", "1e6"], 10_000);
  expect([code, stdout]).toEqual([64, ""]);
  expect(stderr).toContain("fuzz: --inputs 1e6: a whole number from 0 to");
  expect(stderr).toContain("npm run fuzz -- [options]");
});
