/** Unit tests and scenarios with one file of the sources replaced: the mutant whose name is in MUTANT, if any. */
import { defineConfig, type Plugin } from "vitest/config";
import base from "../vitest.config.ts";
import { MUTANTS } from "./list.ts";
import { absolute, mutated } from "./mutant.ts";

const name = process.env["MUTANT"];

function substitute(): Plugin {
  const mutant = MUTANTS.find((one) => one.name === name);
  if (mutant === undefined) throw new Error(`no mutant is called ${name}`);
  const path = absolute(mutant.file);
  const source = mutated(mutant);
  return { name: "mutant", enforce: "pre", load: (id) => (id === path ? source : undefined) };
}

export default defineConfig({
  root: absolute(""),
  resolve: base.resolve ?? {},
  plugins: name === undefined ? [] : [substitute()],
  test: {
    include: ["test/**/*.test.ts"],
    setupFiles: ["test/properties.ts"],
    maxWorkers: 1,
    // One process, so that whoever gives up on it ends all of it.
    pool: "threads",
    bail: 1,
    testTimeout: 10_000,
    // It would answer with what another mutant has made of the file.
    fsModuleCache: false,
  },
});
