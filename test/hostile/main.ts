/** `npm run test:hostile`: every attack that is known, with what it reaches, and a healthy link beside it. */
import { parseArgs } from "node:util";
import { EXIT_USAGE, type NumberOption, Progress, readNumbers, runCommand } from "../endurance/command-line.ts";
import { AGAINST_CLIENTS } from "./against-clients.ts";
import { AGAINST_LIMITS } from "./against-limits.ts";
import { AGAINST_SERVERS, type Scenario } from "./against-servers.ts";
import { AGAINST_STREAMS } from "./against-streams.ts";
import { type Row, table } from "./rows.ts";
import { Stage, type StageOptions } from "./stage.ts";

const SCENARIOS: readonly Scenario[] = [...AGAINST_SERVERS, ...AGAINST_LIMITS, ...AGAINST_CLIENTS, ...AGAINST_STREAMS];

const OPTIONS = {
  seconds: { least: 1, most: 600, byDefault: 8, help: "how long each attack goes on" },
} satisfies Record<string, NumberOption>;

const width = Math.max(...SCENARIOS.map(({ name }) => name.length));
const HELP = `npm run test:hostile -- [options]

  --only NAME    the attacks whose names begin so. Several: --only a,b
  --seconds N    ${OPTIONS.seconds.help}. Default ${OPTIONS.seconds.byDefault}
  --untimed      without the times of a healthy link beside each attack
  --json         the rows as a JSON object, on the last line
  --help         this

${SCENARIOS.map(({ name, about }) => `  ${name.padEnd(width)}  ${about}`).join("\n")}

Exits with 0 if each figure is within its bound, 1 if one is not, ${EXIT_USAGE} if the options make no sense.`;

await runCommand("hostile", HELP, async () => {
  const { only, rest } = takeOnly(process.argv.slice(2));
  const options = readNumbers(rest, OPTIONS, ["json", "untimed"]);
  if (options === "help") return "help";
  const chosen = SCENARIOS.filter(({ name }) => only.length === 0 || only.some((prefix) => name.startsWith(prefix)));
  if (chosen.length === 0) {
    console.error(`hostile: --only ${only.join(",")}: no attack begins so\n\n${HELP}`);
    return EXIT_USAGE;
  }
  const progress = new Progress();
  const rows: Row[] = [];
  for (const [at, { name, about, run }] of chosen.entries()) {
    progress.say(() => `${at + 1} of ${chosen.length}: ${name}, ${about}`);
    const found = await played(name, run, { seconds: options.seconds, isTimed: !options.untimed });
    rows.push(...found);
    progress.clear();
    if (!options.json) console.log(table(found).slice(1).join("\n"));
  }
  const missed = rows.filter(({ met }) => !met);
  if (options.json) console.log(JSON.stringify({ seconds: options.seconds, rows }));
  else if (missed.length > 0) console.log(`\n${table(missed).join("\n")}`);
  console.error(`${chosen.length} attacks, ${rows.length} figures: ${missed.length} missed their bound`);
  return missed.length === 0 ? 0 : 1;
});

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

/** None of its processes is left, however it ends. What cannot be played is a miss. */
async function played(name: string, run: Scenario["run"], options: StageOptions): Promise<Row[]> {
  const stage = new Stage(name, options);
  try {
    await run(stage);
  } catch (error) {
    stage.row({ what: "played to its end", figure: 0, bound: 1, is: "at least", unit: "", note: String(error) });
  } finally {
    await stage.close();
  }
  return stage.rows;
}
