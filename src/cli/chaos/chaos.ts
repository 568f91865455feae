/** `resplice chaos`: faults from a seed or a schedule, and a report of what they did. */
import os from "node:os";
import type { ChaosArguments } from "../arguments.ts";
import { FaultPlan } from "../demo/faults.ts";
import { DemoProcesses } from "../demo/processes.ts";
import { describe } from "../demo/report.ts";
import { type Done, runFaults } from "../demo/run.ts";
import { formatAddress } from "../address.ts";
import { version } from "../help.ts";
import { checkWritable, read, write } from "../files.ts";
import { type About, type ChaosFigures, figuresOf } from "./figures.ts";
import { toHtml } from "./html.ts";
import { junit } from "./junit.ts";
import { Passing } from "./passing.ts";
import { Schedule } from "./schedule.ts";
import { formatBytes, formatCount } from "../words.ts";

export async function chaos(options: ChaosArguments): Promise<number> {
  const { schedule, seed, report, junit: junitFile, json } = options;
  const plan =
    schedule === undefined ? new FaultPlan(seed) : Schedule.parse((await read("--schedule", schedule)).toString());
  if (report !== undefined) await checkWritable("--report", report);
  if (junitFile !== undefined) await checkWritable("--junit", junitFile);
  const drawn = schedule === undefined ? seed : null;
  const { to, listenPort, verbose } = options;
  const traffic = to === undefined ? new DemoProcesses({ verbose, page: false }) : new Passing(to, listenPort);
  let done: Done | undefined;
  const code = await runFaults({ ...options, plan, seed: drawn, messages: undefined, traffic }, (all) => {
    done = all;
  });
  if (done === undefined) return code;
  const figures = figuresOf(done, about(options), new Date());
  // The files first: they are there when the last line says so. One that cannot be written leaves the rest.
  const files = [
    ...(report === undefined ? [] : [write("--report", report, toHtml(figures, code))]),
    ...(junitFile === undefined ? [] : [write("--junit", junitFile, junit(figures, code))]),
  ];
  const unwritten = (await Promise.allSettled(files)).find((file) => file.status === "rejected");
  process.stdout.write(json ? `${JSON.stringify(figures)}\n` : describeAll(done, figures));
  if (unwritten !== undefined) throw unwritten.reason;
  for (const file of [report, junitFile]) if (file !== undefined && !json) process.stdout.write(`written: ${file}\n`);
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
