/** `npm run mutants`: every rule of the protocol is taken out in turn, and the simulation or a test has to notice. */
import { parseArgs } from "node:util";
import { ProgressLine } from "../scripts/progress.ts";
import { type Outcome, runTests, simulate } from "./catch.ts";
import { MUTANTS } from "./list.ts";
import type { Mutant } from "./mutant.ts";

const HELP = `npm run mutants -- [options]
  --only NAME   only this one; again for more
  --from NAME   only this one and those behind it in the list, to go on with a run that was ended
  --seeds N     how far the simulation is run (2000, as npm test does)
  --workers N   how many at a time (2)
  --list        what there is`;

const { values: options } = parseArgs({
  options: {
    only: { type: "string", multiple: true, default: [] },
    from: { type: "string" },
    seeds: { type: "string", default: "2000" },
    workers: { type: "string", default: "2" },
    list: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});
const names = options.from === undefined ? options.only : [...options.only, options.from];
const unknown = names.find((name) => MUTANTS.every((mutant) => mutant.name !== name));
const first = MUTANTS.findIndex(({ name }) => name === options.from);
const chosen = MUTANTS.filter(
  ({ name }, at) => at >= first && (options.only.length === 0 || options.only.includes(name)),
);

if (options.help) console.log(HELP);
else if (unknown !== undefined) throw new Error(`no mutant is called ${unknown}`);
else if (chosen.length === 0) throw new Error(`--only: none of them is behind "${options.from}"`);
else if (options.list) for (const mutant of chosen) console.log(`${mutant.name.padEnd(52)} ${mutant.rule}`);
else process.exitCode = await run(chosen, Number(options.seeds), Number(options.workers));

async function run(mutants: readonly Mutant[], seeds: number, workers: number): Promise<number> {
  console.log("first the sources as they are: nothing may fail");
  const files = [...new Set(mutants.flatMap(({ tests = [] }) => tests))];
  const simulates = mutants.some(({ tests }) => tests === undefined);
  const sound = await Promise.all([
    simulates ? simulate(undefined, seeds) : undefined,
    files.length > 0 ? runTests(undefined, files) : undefined,
  ]);
  for (const outcome of sound) {
    if (outcome?.by === undefined) continue;
    console.error(`${outcome.by}: ${outcome.detail}`);
    return 1;
  }
  let survived = 0;
  let done = 0;
  const waiting = [...mutants];
  const progress = new ProgressLine();
  const say = (): void =>
    progress.at(done, mutants.length, () => `${done} of ${mutants.length} mutants, ${survived} survived`);
  say();
  const work = async (): Promise<void> => {
    for (let mutant = waiting.shift(); mutant !== undefined; mutant = waiting.shift()) {
      const beganMs = performance.now();
      const outcome = await examine(mutant, seeds);
      if (outcome.by === undefined) survived++;
      progress.clear();
      console.log(toRow(mutant, outcome, `${++done}/${mutants.length}`, performance.now() - beganMs));
      say();
    }
  };
  await Promise.all(Array.from({ length: workers }, work));
  progress.end();
  console.log(`${mutants.length} mutants: ${mutants.length - survived} caught, ${survived} survived`);
  return survived > 0 ? 1 : 0;
}

/** One that cannot be run was not caught by anything. */
async function examine({ name, tests }: Mutant, seeds: number): Promise<Outcome> {
  try {
    return tests === undefined ? await simulate(name, seeds) : await runTests(name, tests);
  } catch (error) {
    return { by: undefined, detail: (error as Error).message };
  }
}

function toRow({ name, rule }: Mutant, { by, seeds, detail }: Outcome, count: string, tookMs: number): string {
  const cost = seeds === undefined ? "" : `${seeds} seeds`;
  const took = `${(tookMs / 1_000).toFixed(1)} s`;
  const head = `${count.padStart(7)}  ${name.padEnd(50)} ${(by ?? "SURVIVED").padEnd(38)} ${cost.padStart(10)} ${took.padStart(7)}`;
  return `${head}\n         ${by === undefined ? `${rule}; ${detail}` : `${rule}: ${detail}`}`;
}
