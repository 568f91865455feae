/** `npm run bench`: what a link costs beside a raw socket. docs/performance.md tells how it is measured. */
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ProgressLine } from "../scripts/progress.ts";
import { build } from "./build.ts";
import { checkOut, commitOf, ROOT } from "./checkout.ts";
import { type Checkouts, pairsOf, toComparisonCells, toComparisons } from "./comparison.ts";
import { killAll, writeProfilesTo } from "./crew.ts";
import { machine } from "./machine.ts";
import { HELP, OptionError, type Options, readOptions } from "./options.ts";
import { topLists } from "./profile.ts";
import { toCells, toColumns, toMarkdown, toRows } from "./report.ts";
import { type Entrant, runRounds, withReference } from "./rounds.ts";
import type { Scenario } from "./scenario.ts";
import { faults, print } from "./faults/main.ts";
import { readFaultOptions } from "./faults/options.ts";
import { framing } from "./framing.ts";
import { goodput } from "./goodput.ts";
import { herd } from "./herd.ts";
import { idle } from "./idle.ts";
import { many } from "./many.ts";
import { mass } from "./mass.ts";
import { memory } from "./memory.ts";
import { measurePeers, toPeerCells } from "./peers.ts";
import { piped } from "./piped.ts";
import { plainLines } from "./plain-lines.ts";
import { recovery } from "./recovery.ts";
import { redis } from "./redis.ts";
import { roundTrip } from "./round-trip.ts";
import { sampler } from "./sampler.ts";
import { supervised } from "./supervised.ts";
import { throughput, underPolicy } from "./throughput.ts";

let progressLine: ProgressLine | undefined;
const EXIT_FAILED = 1;
const EXIT_USAGE = 64;
const ONLY_PEERS = "peers";
const ONLY_FAULTS = "faults";
const SCENARIOS: readonly Scenario[] = [
  ...throughput,
  plainLines,
  underPolicy,
  ...supervised,
  piped,
  ...roundTrip,
  idle,
  many,
  ...mass,
  ...herd,
  recovery,
  goodput,
  memory,
  framing,
  sampler,
  ...redis,
];

for (const [signal, code] of [
  ["SIGHUP", 129],
  ["SIGINT", 130],
  ["SIGTERM", 143],
] as const) {
  process.once(signal, () => {
    killAll();
    process.exit(code);
  });
}

try {
  const [word, ...rest] = process.argv.slice(2);
  process.exitCode = word === ONLY_FAULTS ? await runFaults(rest) : await runRows(process.argv.slice(2));
} catch (error) {
  if (!(error instanceof OptionError)) throw error;
  console.error(`bench: ${error.message}\nbench: --help lists the options`);
  process.exitCode = EXIT_USAGE;
}

async function runRows(args: readonly string[]): Promise<number> {
  const options = readOptions(args);
  if (options !== "help") return run(options);
  console.log(HELP);
  return 0;
}

async function runFaults(args: readonly string[]): Promise<number> {
  const options = readFaultOptions(args);
  if (options === "help") {
    console.log(HELP);
    return 0;
  }
  const figures = await faults(options, progress);
  noProgress();
  print(figures, options);
  printFailures(new Map(figures.failures.map(({ name, reason }) => [name, reason])));
  return figures.failures.length > 0 ? EXIT_FAILED : 0;
}

async function run(options: Options): Promise<number> {
  const scenarios = SCENARIOS.filter(({ rows }) => rows.some(options.wants));
  if (scenarios.length === 0 && !(options.peers && options.only.every((text) => text === ONLY_PEERS)))
    throw new OptionError(`--only: no row's name contains "${options.only.join('" or "')}"`);
  const about = { ...machine(), seconds: options.seconds, rounds: options.rounds };
  console.log(
    `${about.node} on ${about.cores} cores of ${about.cpu}, ${about.system}, load ${about.load.toFixed(2)}\n`,
  );

  build(ROOT);
  if (options.profile) {
    await profile(scenarios, options);
    return 0;
  }
  if (options.against !== undefined) return compare(scenarios, options, options.against, about);
  const rounds = ({ roundsMax = Infinity }: Scenario): number => Math.min(options.rounds, roundsMax);
  const course = { entrants: withReference, rounds, profile: false, onProgress: progress };
  const results = await runRounds(scenarios, course, { ...options, show });
  noProgress();
  const rows = toRows(results, options.wants);
  const toText = options.markdown ? toMarkdown : toColumns;
  if (rows.length > 0) console.log(toText(toCells(rows)));
  printFailures(results.failures);
  const peers = options.peers ? await peersOf(options, toText) : undefined;
  const failures = [...results.failures, ...(peers?.failures ?? [])].map(([name, reason]) => ({ name, reason }));
  if (options.json) console.log(JSON.stringify({ ...about, rows, peers: peers?.rows, failures }));
  return failures.length > 0 ? EXIT_FAILED : 0;
}

/** The rows chosen, of this tree and of another commit in turns. */
async function compare(
  scenarios: readonly Scenario[],
  options: Options,
  against: string,
  about: object,
): Promise<number> {
  const commit = commitOf(against);
  if (commit === undefined) throw new OptionError(`--against: "${against}" is no commit`);
  const workersFolder = checkOut(commit);
  console.log(`this tree against ${against}, ${commit}\n`);
  const entrants: Entrant<Checkouts>[] = [
    { name: "this tree", side: "ours" },
    { name: "before", side: "ours", workersFolder },
  ];
  const rounds = (scenario: Scenario): number => pairsOf(scenario, options.rounds);
  const course = { entrants: () => entrants, rounds, profile: false, onProgress: progress };
  const results = await runRounds(scenarios, course, { ...options, show });
  noProgress();
  const rows = toComparisons(results, options.wants);
  const toText = options.markdown ? toMarkdown : toColumns;
  if (rows.length > 0) console.log(toText(toComparisonCells(rows)));
  printFailures(results.failures);
  const failures = [...results.failures].map(([name, reason]) => ({ name, reason }));
  if (options.json) console.log(JSON.stringify({ ...about, against: commit, rows, failures }));
  return failures.length > 0 ? EXIT_FAILED : 0;
}

/** One round of the rows chosen. A process that is profiled is slower: there is no table. */
async function profile(scenarios: readonly Scenario[], options: Options): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), "resplice-profiles-"));
  writeProfilesTo(folder);
  const course = { entrants: withReference, rounds: () => 1, profile: true, onProgress: progress };
  const results = await runRounds(scenarios, course, { ...options, show });
  noProgress();
  console.log(topLists(folder));
  console.log(`The profiles, for a browser's developer tools: ${folder}`);
  printFailures(results.failures);
}

async function peersOf(options: Options, toText: typeof toColumns): ReturnType<typeof measurePeers> {
  const peers = await measurePeers(options, progress);
  noProgress();
  console.log(`\n${toText(toPeerCells(peers.rows))}`);
  printFailures(peers.failures);
  return peers;
}

function printFailures(failures: ReadonlyMap<string, string>): void {
  for (const [name, reason] of failures) console.error(`${name}: no result: ${reason}`);
}

function show(text: string): void {
  progressLine?.clear();
  console.log(text);
}

/** Of the measurements that are made now: those of peers come after the others. */
function progress(done: number, of: number, text: string): void {
  progressLine ??= new ProgressLine();
  progressLine.at(done, of, () => text);
}

function noProgress(): void {
  progressLine?.end();
  progressLine = undefined;
}
