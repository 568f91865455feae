/** `npm run bench -- faults`, from its options to its results. */
import { accessSync, constants, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { build } from "../build.ts";
import { ROOT } from "../checkout.ts";
import { machine } from "../machine.ts";
import { OptionError } from "../options.ts";
import { startBroker } from "../peers.ts";
import { toColumns, toMarkdown } from "../report.ts";
import {
  type ContenderFigures,
  type FaultFigures,
  faultsMade,
  gapInWords,
  inWords,
  SETTINGS,
  toFaultCells,
} from "./figures.ts";
import { brokerOf, install, versionOf } from "./install.ts";
import { CONTENDERS, type ContenderDefinition } from "./list.ts";
import type { FaultOptions } from "./options.ts";
import { toHtml } from "./report.ts";
import { measureUnderFaults } from "./run.ts";

/** Resolves with what has no result, and why. Throws OptionError. */
export async function faults(
  options: FaultOptions,
  onProgress: (done: number, of: number, text: string) => void,
): Promise<FaultFigures> {
  const wanted = contendersOf(options);
  if (options.report !== undefined) mustBeWritable(options.report);
  build(ROOT);
  const contenders: ContenderFigures[] = [];
  const failures: { name: string; reason: string }[] = [];
  const { cpu, cores, system, node, load } = machine();
  for (const [at, contender] of wanted.entries()) {
    const { name, breaks, guarantee, used, broker } = contender;
    onProgress(at, wanted.length, name);
    try {
      install(contender, (text) => onProgress(at, wanted.length, text));
      const outcome = await measureUnderFaults(contender, (crew) =>
        broker === null ? Promise.resolve(0) : startBroker(crew, brokerOf(broker)),
      );
      contenders.push({ name, version: versionOf(contender), breaks, guarantee, used, counts: outcome.counts });
      for (const [fault, reason] of outcome.failures) failures.push({ name: `${name}, ${fault}`, reason });
    } catch (error) {
      failures.push({ name, reason: (error as Error).message });
    }
  }
  const { version } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { version: string };
  return {
    madeAt: new Date().toISOString(),
    command: `npm run bench -- ${["faults", ...process.argv.slice(3)].join(" ")}`,
    cpu,
    cores,
    system,
    node,
    load,
    resplice: version,
    settings: SETTINGS,
    faults: faultsMade(),
    contenders,
    failures,
  };
}

export function print(figures: FaultFigures, { report, json, markdown }: FaultOptions): void {
  const toText = markdown ? toMarkdown : toColumns;
  console.log(`What became of the messages\n\n${toText(toFaultCells(figures, inWords))}\n`);
  console.log(`The longest gap that the receiver saw\n\n${toText(toFaultCells(figures, gapInWords))}`);
  if (report !== undefined) {
    writeFileSync(report, toHtml(figures));
    console.log(`\nwritten: ${report}`);
  }
  if (json) console.log(JSON.stringify(figures));
}

/** Throws OptionError. */
export function contendersOf({ only, peers }: Pick<FaultOptions, "only" | "peers">): readonly ContenderDefinition[] {
  const among = CONTENDERS.filter(({ packages }) => peers || packages.length === 0);
  const wanted = only.length === 0 ? among : among.filter(({ name }) => only.some((text) => name.includes(text)));
  if (wanted.length > 0) return wanted;
  throw new OptionError(
    `--only: no contender's name contains "${only.join('" or "')}"${peers ? "" : "; --peers has more"}`,
  );
}

/** Before the run, which takes minutes. */
function mustBeWritable(file: string): void {
  try {
    accessSync(dirname(file), constants.W_OK);
  } catch (error) {
    throw new OptionError(`--report: ${(error as Error).message}`);
  }
}
