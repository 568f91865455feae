/** A command that plays scenarios one after another: each reaches figures, and each figure has a bound. */
import { parseArgs } from "node:util";
import { ProgressLine } from "../../scripts/progress.ts";
import { EXIT_USAGE, type NumberOption, readNumbers, runCommand } from "./command-line.ts";
import { type Row, table } from "./rows.ts";

/** Each scenario has one: the figures that it has reached, and the processes and files that end with it. */
export interface Stage {
  readonly rows: Row[];
  row(draft: { what: string; figure: number; bound: number; is: "at least"; unit: string; note: string }): void;
  close(): Promise<void>;
}

/** What this machine, or this user, does not have. A scenario that throws it fails, unless that is expected. */
export class Missing extends Error {
  override readonly name = "Missing";
}

/** A scenario that takes longer hangs. */
const MOST_MS = 900_000;

export interface Scenario<S> {
  name: string;
  /** The events of the scenario, in one line. */
  about: string;
  run(stage: S): Promise<void>;
}

export interface Suite<S extends Stage, Name extends string, Flag extends string> {
  /** `npm run test:<name>` */
  name: string;
  /** The word for one scenario. */
  noun: string;
  scenarios: readonly Scenario<S>[];
  numbers: Record<Name, NumberOption>;
  flags: Record<Flag, string>;
  stage(scenario: string, options: Record<Name, number> & Record<Flag, boolean>): S;
}

export async function runSuite<S extends Stage, Name extends string, Flag extends string>(
  suite: Suite<S, Name, Flag>,
): Promise<void> {
  const { name: suiteName, noun, scenarios, numbers, flags } = suite;
  const help = helpOf(suite);
  await runCommand(suiteName, help, async () => {
    const { lists, rest } = takeLists(process.argv.slice(2));
    const { only, "expect-missing": absent } = lists;
    const options = readNumbers(rest, numbers, ["json", ...(Object.keys(flags) as Flag[])]);
    if (options === "help") return "help";
    for (const [option, prefixes] of Object.entries(lists)) {
      const unknown = prefixes.filter((prefix) => !scenarios.some(({ name }) => name.startsWith(prefix)));
      if (unknown.length === 0) continue;
      console.error(`${suiteName}: --${option} ${unknown.join(",")}: no ${noun} begins so\n\n${help}`);
      return EXIT_USAGE;
    }
    const begins = (name: string, prefixes: readonly string[]): boolean =>
      prefixes.some((each) => name.startsWith(each));
    const chosen = scenarios.filter(({ name }) => only.length === 0 || begins(name, only));
    const progress = new ProgressLine();
    const rows: Row[] = [];
    for (const [at, { name, run }] of chosen.entries()) {
      progress.at(at, chosen.length, () => `${at + 1} of ${chosen.length} ${noun}s: ${name}`);
      const found = await played(run, suite.stage(name, options), begins(name, absent));
      rows.push(...found);
      progress.clear();
      if (!options.json) console.log(table(found).slice(1).join("\n"));
    }
    progress.end();
    const missed = rows.filter(({ met }) => !met);
    if (options.json) console.log(JSON.stringify({ ...options, rows }));
    else if (missed.length > 0) console.log(`\n${table(missed).join("\n")}`);
    console.error(`${chosen.length} ${noun}s, ${rows.length} figures: ${missed.length} missed their bound`);
    return missed.length === 0 ? 0 : 1;
  });
}

function helpOf<S extends Stage, Name extends string, Flag extends string>(suite: Suite<S, Name, Flag>): string {
  const { name, noun, scenarios, numbers, flags } = suite;
  const options = [
    ["only NAME", `the ${noun}s whose names begin so. Several: --only a,b`],
    ["expect-missing NAME", `these may need what the machine does not have. Several as above`],
    ...Object.entries<NumberOption>(numbers).map(([option, { help, byDefault }]) => [
      `${option} N`,
      `${help}. Default ${byDefault}`,
    ]),
    ...Object.entries<string>(flags),
    ["json", "the rows as a JSON object, on the last line"],
    ["help", "this"],
  ];
  const width = Math.max(...scenarios.map((scenario) => scenario.name.length));
  return `npm run test:${name} -- [options]

${options.map(([option = "", text]) => `  --${option.padEnd(12)} ${text}`).join("\n")}

${scenarios.map((scenario) => `  ${scenario.name.padEnd(width)}  ${scenario.about}`).join("\n")}

Exits with 0 if each figure is within its bound, 1 if one is not, ${EXIT_USAGE} if the options make no sense.`;
}

type Lists = Record<"only" | "expect-missing", string[]>;

function takeLists(args: readonly string[]): { lists: Lists; rest: string[] } {
  const lists: Lists = { only: [], "expect-missing": [] };
  const options = { only: { type: "string" }, "expect-missing": { type: "string" } } as const;
  const { tokens } = parseArgs({ args: [...args], strict: false, tokens: true, options });
  const rest = [...args];
  for (const token of tokens.toReversed()) {
    if (token.kind !== "option" || !Object.hasOwn(lists, token.name)) continue;
    lists[token.name as keyof Lists].unshift(...(token.value ?? "").split(",").filter((name) => name !== ""));
    rest.splice(token.index, token.inlineValue === true || token.value === undefined ? 1 : 2);
  }
  return { lists, rest };
}

/** Nothing of the scenario is left, however it ends. What cannot be played is a miss, unless it was expected to be. */
async function played<S extends Stage>(run: Scenario<S>["run"], stage: S, mayBeMissing: boolean): Promise<Row[]> {
  const late = timedOut();
  try {
    await Promise.race([run(stage), late.promise]);
  } catch (error) {
    const bound = mayBeMissing && error instanceof Missing ? 0 : 1;
    stage.row({ what: "played to its end", figure: 0, bound, is: "at least", unit: "", note: String(error) });
  } finally {
    late.clear();
    await stage.close();
  }
  return stage.rows;
}

function timedOut(): { promise: Promise<never>; clear(): void } {
  const { promise, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(new Error(`not over after ${MOST_MS / 1_000} s`)), MOST_MS);
  return { promise, clear: () => clearTimeout(timer) };
}
