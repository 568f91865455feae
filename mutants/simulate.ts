/**
 * Runs the simulation, seed after seed, with one file of the sources replaced in this process: `simulate.ts NAME SEEDS`.
 * An empty name leaves the sources as they are. Started by `run.ts`, which it tells how far it has come.
 */
import { registerHooks } from "node:module";
import { pathToFileURL } from "node:url";
import { brokenBy } from "./broken.ts";
import { MUTANTS } from "./list.ts";
import { absolute, mutated } from "./mutant.ts";

/** What is told after each seed; `violation` comes last. */
export interface Progress {
  seed: number;
  violation: string | undefined;
}

const [name = "", seeds = "0"] = process.argv.slice(2);
if (name !== "") substitute(name);
// Not before: what is loaded already cannot be replaced.
const { runSeed } = await import("../test/sim/run.ts");
for (let seed = 1; seed <= Number(seeds); seed++) {
  const violation = violationOf(seed);
  await tell({ seed, violation });
  if (violation !== undefined) break;
}
process.disconnect();

function substitute(mutantName: string): void {
  const mutant = MUTANTS.find((one) => one.name === mutantName);
  if (mutant === undefined) throw new Error(`no mutant is called ${mutantName}`);
  const url = pathToFileURL(absolute(mutant.file)).href;
  const source = mutated(mutant);
  registerHooks({
    load: (loaded, context, nextLoad) =>
      loaded === url ? { format: "module-typescript", source, shortCircuit: true } : nextLoad(loaded, context),
  });
}

function violationOf(seed: number): string | undefined {
  try {
    runSeed(seed);
    return undefined;
  } catch (error) {
    const broken = brokenBy(error);
    if (broken !== undefined) throw broken;
    return error instanceof Error ? error.message : String(error);
  }
}

function tell(progress: Progress): Promise<void> {
  return new Promise((resolve) => {
    process.send?.(progress, undefined, undefined, () => resolve());
  });
}
