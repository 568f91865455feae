/** `npm run mutants` takes minutes; this says whether it still could, and that it notices. */
import { existsSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { describe, expect, test } from "vitest";
import { runTests, simulate } from "../../mutants/catch.ts";
import { MUTANTS } from "../../mutants/list.ts";
import { absolute, mutated } from "../../mutants/mutant.ts";

const HANDSHAKE = ["test/core/handshake.test.ts"];

test("there are many, each has a name of its own", () => {
  expect(MUTANTS.length).toBeGreaterThanOrEqual(60);
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
});

test.for(MUTANTS.map((mutant) => [mutant.name, mutant] as const))("%s: can be made", ([, mutant]) => {
  // Throws where what it replaces is not there once, or where it makes no sense.
  stripTypeScriptTypes(mutated(mutant));
  for (const file of mutant.tests ?? []) expect(existsSync(absolute(file))).toBe(true);
});

describe("the runner", { timeout: 60_000 }, () => {
  test("finds nothing in the sources as they are", async () => {
    expect((await simulate(undefined, 10)).by).toBeUndefined();
    expect((await runTests(undefined, HANDSHAKE)).by).toBeUndefined();
  });

  test("lets the simulation catch one", async () => {
    const { by, seeds } = await simulate("log released when sent", 2_000);
    expect(by).toBe("simulation");
    expect(seeds).toBeLessThan(2_000);
  });

  test("lets tests catch one, and then another of the same file, each for its own reason", async () => {
    const epochs = await runTests("two instances of one epoch", HANDSHAKE);
    const proofs = await runTests("proof without the end of the frame", HANDSHAKE);
    expect([epochs.by, proofs.by]).toEqual([...HANDSHAKE, ...HANDSHAKE]);
    expect(epochs.detail).not.toBe(proofs.detail);
  });

  test("does not take tests that could not be run for a catch", async () => {
    await expect(runTests(undefined, ["test/no-such.test.ts"])).rejects.toThrow();
  });
});
