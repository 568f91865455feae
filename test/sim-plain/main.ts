/** `npm run sim:plain`: seeds by the thousand, or one of them with its trace. */
import { parseArgs } from "node:util";
import { ProgressLine } from "../../scripts/progress.ts";
import { runSeed, shrink } from "./run.ts";

const { values } = parseArgs({
  options: { seeds: { type: "string" }, from: { type: "string" }, seed: { type: "string" } },
});
const from = Number(values.seed ?? values.from ?? 1);
const seeds = values.seed === undefined ? Number(values.seeds ?? 1_000) : 1;
if (!Number.isSafeInteger(from) || !Number.isSafeInteger(seeds)) {
  process.stderr.write("usage: npm run sim:plain -- [--seeds N] [--from S] | [--seed S]\n");
  process.exit(64);
}
const beganMs = performance.now();
const progress = new ProgressLine();
let failed = 0;
for (let seed = from; seed < from + seeds && failed < 5; seed++) {
  progress.at(seed - from, seeds, () => `${seed - from} of ${seeds} seeds, ${failed} failed`);
  const failure = runSeed(seed);
  if (failure === undefined) continue;
  failed++;
  const { schedule, message, trace } = shrink(failure);
  progress.clear();
  process.stdout.write(
    `${trace.slice(-60).join("\n")}\n${JSON.stringify(schedule)}\nseed ${seed} failed: ${message}\n\n`,
  );
}
progress.end();
const tookS = (performance.now() - beganMs) / 1_000;
process.stdout.write(`${seeds} seeds in ${tookS.toFixed(1)} s, ${failed} failed\n`);
process.exitCode = failed > 0 ? 1 : 0;
