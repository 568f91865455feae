/** `npm run mutants` takes minutes; this says whether it still could, and that it notices. */
import { existsSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { describe, expect, test } from "vitest";
import { brokenBy } from "../../mutants/broken.ts";
import { judge, type Report, runTests, simulate } from "../../mutants/catch.ts";
import { MUTANTS } from "../../mutants/list.ts";
import { absolute, mutated } from "../../mutants/mutant.ts";

const PROOF = ["test/core/session/proof.test.ts"];

test("there are many, each has a name of its own", () => {
  expect(MUTANTS.length).toBeGreaterThanOrEqual(60);
  expect(new Set(MUTANTS.map(({ name }) => name)).size).toBe(MUTANTS.length);
});

test.for(MUTANTS.map((mutant) => [mutant.name, mutant] as const))("%s: can be made", ([, mutant]) => {
  // Throws where what it replaces is not there once, or where it makes no sense.
  stripTypeScriptTypes(mutated(mutant));
  for (const file of mutant.tests ?? []) expect(existsSync(absolute(file))).toBe(true);
});

describe("what is noticed is no catch", () => {
  const failing = (...failureMessages: string[]): Report => ({
    numTotalTests: 1,
    testResults: [
      {
        name: absolute("test/a.test.ts"),
        message: "",
        status: "failed",
        assertionResults: [{ status: "failed", fullName: "a test", failureMessages }],
      },
    ],
  });

  test("where the simulation fails by a name that is not there, however deep", () => {
    const broken = new ReferenceError("gone is not defined");
    expect(brokenBy(broken)).toBe(broken);
    expect(brokenBy(new Error(broken.message, { cause: new Error("", { cause: broken }) }))).toBe(broken);
    expect(brokenBy(new SyntaxError("unexpected"))).toBeInstanceOf(SyntaxError);
    expect(brokenBy(new Error("a violation", { cause: new TypeError("of undefined") }))).toBeUndefined();
    expect(brokenBy("a violation")).toBeUndefined();
  });

  test("where a test does", () => {
    expect(() => judge(failing("ReferenceError: gone is not defined\n    at take"))).toThrow(
      "a test: ReferenceError: gone",
    );
    expect(() => judge(failing("Error: Property failed\nGot SyntaxError: unexpected"))).toThrow(
      "SyntaxError: unexpected",
    );
    expect(judge(failing("AssertionError: expected 1 to be 2"))).toEqual({ by: "test/a.test.ts", detail: "a test" });
  });
});

describe("the runner", { timeout: 60_000 }, () => {
  test("finds nothing in the sources as they are", async () => {
    expect((await simulate(undefined, 10)).by).toBeUndefined();
    expect((await runTests(undefined, PROOF)).by).toBeUndefined();
  });

  test("lets the simulation catch one", async () => {
    const { by, seeds } = await simulate("log released when sent", 2_000);
    expect(by).toBe("simulation");
    expect(seeds).toBeLessThan(2_000);
  });

  test("lets tests catch one, and then another of the same file, each for its own reason", async () => {
    const epochs = await runTests("two instances of one epoch", PROOF);
    const proofs = await runTests("proof without the end of the frame", PROOF);
    expect([epochs.by, proofs.by]).toEqual([...PROOF, ...PROOF]);
    expect(epochs.detail).not.toBe(proofs.detail);
  });

  test("does not take tests that could not be run for a catch", async () => {
    await expect(runTests(undefined, ["test/no-such.test.ts"])).rejects.toThrow();
  });
});
