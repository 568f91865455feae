/** A command that plays scenarios one after another: each reaches figures, and each figure has a bound. */
import { parseArgs } from "node:util";
import { EXIT_USAGE, type NumberOption, Progress, readNumbers, runCommand } from "./command-line.ts";
import { type Row, table } from "./rows.ts";

/** Each scenario has one: the figures that it has reached, and the processes and files that end with it. */
export interface Stage {
  readonly rows: Row[];
  row(draft: { what: string; figure: number; bound: number; is: "at least"; unit: string; note: string }): void;
  close(): Promise<void>;
}

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
    const { only, rest } = takeOnly(process.argv.slice(2));
    const options = readNumbers(rest, numbers, ["json", ...(Object.keys(flags) as Flag[])]);
    if (options === "help") return "help";
    const chosen = scenarios.filter(({ name }) => only.length === 0 || only.some((prefix) => name.startsWith(prefix)));
    if (chosen.length === 0) {
      console.error(`${suiteName}: --only ${only.join(",")}: no ${noun} begins so\n\n${help}`);
      return EXIT_USAGE;
    }
    const progress = new Progress();
    const rows: Row[] = [];
    for (const [at, { name, about, run }] of chosen.entries()) {
      progress.say(() => `${at + 1} of ${chosen.length}: ${name}, ${about}`);
      const found = await played(run, suite.stage(name, options));
      rows.push(...found);
      progress.clear();
      if (!options.json) console.log(table(found).slice(1).join("\n"));
    }
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

function takeOnly(args: readonly string[]): { only: string[]; rest: string[] } {
  const { tokens } = parseArgs({ args: [...args], strict: false, tokens: true, options: { only: { type: "string" } } });
  const rest = [...args];
  const only: string[] = [];
  for (const token of tokens.toReversed()) {
    if (token.kind !== "option" || token.name !== "only") continue;
    only.unshift(...(token.value ?? "").split(",").filter((name) => name !== ""));
    rest.splice(token.index, token.inlineValue === true || token.value === undefined ? 1 : 2);
  }
  return { only, rest };
}

/** Nothing of the scenario is left, however it ends. What cannot be played is a miss. */
async function played<S extends Stage>(run: Scenario<S>["run"], stage: S): Promise<Row[]> {
  try {
    await run(stage);
  } catch (error) {
    stage.row({ what: "played to its end", figure: 0, bound: 1, is: "at least", unit: "", note: String(error) });
  } finally {
    await stage.close();
  }
  return stage.rows;
}
