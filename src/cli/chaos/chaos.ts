/** `resplice chaos`: faults from a seed or a schedule, and a report of what they did. */
import { writeFile } from "node:fs/promises";
import os from "node:os";
import type { ChaosArguments } from "../arguments.ts";
import { FaultPlan } from "../demo/faults.ts";
import { DemoProcesses } from "../demo/processes.ts";
import { describe } from "../demo/report.ts";
import { type Done, runFaults } from "../demo/run.ts";
import { formatAddress } from "../address.ts";
import { version } from "../help.ts";
import { checkFolder, read } from "../files.ts";
import { type About, type ChaosFigures, figuresOf } from "./figures.ts";
import { toHtml } from "./html.ts";
import { junit } from "./junit.ts";
import { Passing } from "./passing.ts";
import { Schedule } from "./schedule.ts";
import { formatBytes, formatCount } from "../words.ts";

export async function chaos(options: ChaosArguments): Promise<number> {
  const { schedule, seed, report, junit: junitFile, json } = options;
  const plan =
    schedule === undefined ? new FaultPlan(seed) : Schedule.parse(String(await read("--schedule", schedule)));
  if (report !== undefined) await checkFolder("--report", report);
  if (junitFile !== undefined) await checkFolder("--junit", junitFile);
  const drawn = schedule === undefined ? seed : null;
  const { to, listenPort, verbose } = options;
  const traffic = to === undefined ? new DemoProcesses({ verbose, page: false }) : new Passing(to, listenPort);
  let done: Done | undefined;
  const code = await runFaults({ ...options, plan, seed: drawn, messages: undefined, traffic }, (all) => {
    done = all;
  });
  if (done === undefined) return code;
  const figures = figuresOf(done, about(options), new Date());
  // The files first: they are there when the last line says so.
  if (report !== undefined) await writeFile(report, toHtml(figures, code));
  if (junitFile !== undefined) await writeFile(junitFile, junit(figures, code));
  process.stdout.write(
    json
      ? `${JSON.stringify(figures)}
`
      : describeAll(done, figures) + written(options),
  );
  return code;
}

function about(options: ChaosArguments): About {
  const processor = os.cpus()[0]?.model.trim() ?? "an unknown processor";
  return {
    command: commandOf(options),
    to: options.to === undefined ? null : formatAddress(options.to),
    machine: `${os.availableParallelism()} cores of ${processor}, ${os.platform()} ${os.arch()}`,
    resplice: version(),
    node: process.version,
  };
}

/** The result as text; of other programs' traffic there are no messages. */
function describeAll({ result, what, startMs, endMs }: Done, { passed }: ChaosFigures): string {
  const tookMs = endMs - startMs;
  if (passed === null) return describe(result, what, tookMs);
  const { toServer, toClient, connections } = passed;
  return describe(result, what, tookMs, [
    "Times are from the path's healing until bytes arrive in both",
    "directions, or in the one that had carried any before.",
    "",
    `${formatBytes(toServer)} to the server, ${formatBytes(toClient)} to the client`,
    `${formatCount(connections)} connections`,
  ]);
}

function written({ report, junit: junitFile }: ChaosArguments): string {
  return [report, junitFile].flatMap((file) => (file === undefined ? [] : [`written: ${file}\n`])).join("");
}

/** The command with which the same faults are made again. */
export function commandOf(options: ChaosArguments): ChaosFigures["command"] {
  const { seconds, schedule, seed, toxiproxy, to, listenPort } = options;
  return [
    `resplice chaos --seconds ${seconds}`,
    schedule === undefined ? `--seed ${seed}` : `--schedule ${quoted(schedule)}`,
    ...(to === undefined ? [] : [`--to ${quoted(formatAddress(to))}`]),
    ...(listenPort === 0 ? [] : [`--listen ${listenPort}`]),
    ...(toxiproxy ? ["--toxiproxy"] : []),
  ].join(" ");
}

/** One word for a shell. */
function quoted(word: string): string {
  return /^[\w./:@%+,-]+$/u.test(word) ? word : `'${word.replaceAll("'", String.raw`'\''`)}'`;
}
