/** `npm run sim`: seeds by the thousand, or one of them, or a schedule from a file. */
import { readFileSync } from "node:fs";
import { type Arguments, parseArguments, USAGE, UsageError } from "./arguments.ts";
import { Campaign, writeSchedule } from "./campaign.ts";
import { coverageTable, missing } from "./coverage.ts";
import { draw } from "./draw.ts";
import { fingerprint, Progress } from "./progress.ts";
import { Failure, runSchedule, runTwice } from "./run.ts";
import { parseSchedule, type Schedule } from "./schedule.ts";
import { shrink } from "./shrink.ts";

/** The rarest occurs five times in 2,000: with fewer than these something may be missing by chance. */
const SEEDS_TO_COVER_ALL = 5_000;

const print = (text: string): void => void process.stdout.write(text);

try {
  const given = parseArguments(process.argv.slice(2));
  if (given === undefined) print(`${USAGE}\n`);
  else
    process.exitCode = given.seed === undefined && given.schedule === undefined ? await runMany(given) : runOne(given);
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  process.stderr.write(`sim: ${error.message}\n\n${USAGE}\n`);
  process.exitCode = 64;
}

async function runMany(given: Arguments): Promise<number> {
  const { resume, workers, out } = given;
  const progress = begin(given);
  if (!progress.notes(fingerprint())) print(`the code has changed since ${resume} was begun\n`);
  const campaign = new Campaign(progress, {
    workers,
    out,
    save: () => resume !== undefined && progress.save(resume),
    print,
  });
  const stop = (): void => {
    if (campaign.isStopped) process.exit(130);
    campaign.stop();
    print("\nstopping; again for at once\n");
  };
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  const beganMs = performance.now();
  const before = progress.doneSeeds;
  await campaign.run();
  const { doneSeeds, failed, counts, seeds } = progress;
  const tookS = (performance.now() - beganMs) / 1_000;
  print(`${coverageTable(counts)}\n`);
  const isAll = doneSeeds === seeds;
  const never = isAll && seeds >= SEEDS_TO_COVER_ALL ? missing(counts) : [];
  for (const what of never) print(`never occurred: ${what}\n`);
  for (const { seed, violation, file } of failed)
    print(`seed ${seed} failed: ${violation}${file ? `, ${file}` : ""}\n`);
  if (!isAll && resume !== undefined) print(`to go on: npm run sim -- --resume ${resume}\n`);
  print(
    `${doneSeeds - before} seeds in ${tookS.toFixed(1)} s, ${((doneSeeds - before) / tookS).toFixed(0)} a second\n`,
  );
  print(`${doneSeeds - failed.length} seeds passed, ${failed.length} failed\n`);
  if (failed.length > 0 || never.length > 0) return 1;
  return isAll ? 0 : 130;
}

function begin({ resume, from, seeds, twice }: Arguments): Progress {
  if (resume === undefined) return new Progress(from ?? 1, seeds ?? SEEDS_TO_COVER_ALL, twice);
  try {
    return Progress.load(resume, { from, seeds, twice });
  } catch (error) {
    throw new UsageError(`--resume ${resume}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function runOne({ seed, schedule: file, trace, twice, out }: Arguments): number {
  const schedule = file === undefined ? draw(seed ?? 0) : read(file);
  try {
    const result = twice ? runTwice(schedule, trace) : runSchedule(schedule, trace);
    if (trace) print(`${JSON.stringify(schedule, undefined, 1)}\n${result.trace.join("\n")}\n`);
    print(`hash ${result.hash}\n1 seeds passed, 0 failed\n`);
    return 0;
  } catch (error) {
    if (!(error instanceof Failure)) throw error;
    tell(error, trace);
    if (file === undefined) {
      const shrunk = shrink(error);
      const written = writeSchedule(out, `seed-${seed}`, shrunk.failure.schedule);
      print(`shrunk in ${shrunk.runs} runs: npm run sim -- --schedule ${written} --trace\n`);
    }
    print("0 seeds passed, 1 failed\n");
    return 1;
  }
}

function tell(failure: Failure, whole: boolean): void {
  if (whole) print(`${JSON.stringify(failure.schedule, undefined, 1)}\n`);
  print(`${failure.trace.slice(whole ? 0 : -60).join("\n")}\nfails: ${failure.message}\n`);
  const { cause } = failure;
  if (cause instanceof Error && cause.constructor.name !== "Violation") print(`${cause.stack}\n`);
}

function read(file: string): Schedule {
  try {
    return parseSchedule(readFileSync(file, "utf8"));
  } catch (error) {
    throw new UsageError(`--schedule ${file}: ${error instanceof Error ? error.message : String(error)}`);
  }
}
