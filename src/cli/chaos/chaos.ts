/** `resplice chaos`: faults from a seed or a schedule, and a report of what they did. */
import { writeFile } from "node:fs/promises";
import os from "node:os";
import type { ChaosArguments } from "../arguments.ts";
import { FaultPlan } from "../demo/faults.ts";
import { describe } from "../demo/report.ts";
import { type Done, runFaults } from "../demo/run.ts";
import { version } from "../help.ts";
import { checkFolder, read } from "../files.ts";
import { type About, type ChaosFigures, figuresOf } from "./figures.ts";
import { toHtml } from "./html.ts";
import { junit } from "./junit.ts";
import { Schedule } from "./schedule.ts";

export async function chaos(options: ChaosArguments): Promise<number> {
  const { schedule, seed, report, junit: junitFile, json } = options;
  const plan =
    schedule === undefined ? new FaultPlan(seed) : Schedule.parse(String(await read("--schedule", schedule)));
  if (report !== undefined) await checkFolder("--report", report);
  if (junitFile !== undefined) await checkFolder("--junit", junitFile);
  const drawn = schedule === undefined ? seed : null;
  let done: Done | undefined;
  const code = await runFaults({ ...options, plan, seed: drawn, messages: undefined, page: false }, (all) => {
    done = all;
  });
  if (done === undefined) return code;
  const figures = figuresOf(done, about(options), new Date());
  // The files first: they are there when the last line says so.
  if (report !== undefined) await writeFile(report, toHtml(figures, code));
  if (junitFile !== undefined) await writeFile(junitFile, junit(figures, code));
  const { result, what, startMs, endMs } = done;
  process.stdout.write(
    json ? `${JSON.stringify(figures)}\n` : describe(result, what, endMs - startMs) + written(options),
  );
  return code;
}

function about(options: ChaosArguments): About {
  const processor = os.cpus()[0]?.model.trim() ?? "an unknown processor";
  return {
    command: commandOf(options),
    machine: `${os.availableParallelism()} cores of ${processor}, ${os.platform()} ${os.arch()}`,
    resplice: version(),
    node: process.version,
  };
}

function written({ report, junit: junitFile }: ChaosArguments): string {
  return [report, junitFile].flatMap((file) => (file === undefined ? [] : [`written: ${file}\n`])).join("");
}

/** The command with which the same faults are made again. */
export function commandOf({ seconds, schedule, seed, toxiproxy }: ChaosArguments): ChaosFigures["command"] {
  const faults = schedule === undefined ? `--seed ${seed}` : `--schedule ${JSON.stringify(schedule)}`;
  return `resplice chaos --seconds ${seconds} ${faults}${toxiproxy ? " --toxiproxy" : ""}`;
}
