/** Whole numbers on a command line, each with its bounds: what makes no sense is refused before anything is begun. */
import { randomInt } from "node:crypto";
import { parseArgs } from "node:util";

export interface NumberOption {
  least: number;
  most: number;
  /** Undefined: it must be given. */
  byDefault: number | undefined;
  help: string;
}

class UsageError extends Error {
  override readonly name = "UsageError";
}

export const EXIT_USAGE = 64;
const SEED_MAX = 2 ** 32 - 1;

/** Drawn where none is given: a run always says which one it had. */
export const seedOption = (help: string): NumberOption => ({
  least: 0,
  most: SEED_MAX,
  byDefault: randomInt(SEED_MAX + 1),
  help,
});

/** Throws where it makes no sense. */
export function readNumbers<Name extends string, Flag extends string>(
  args: readonly string[],
  numbers: Record<Name, NumberOption>,
  flags: readonly Flag[] = [],
): (Record<Name, number> & Record<Flag, boolean>) | "help" {
  const names = Object.keys(numbers) as Name[];
  const values = parse(args, names, flags);
  if (values["help"] === true) return "help";
  const read = names.map((name) => [name, numberOf(name, values[name], numbers[name])]);
  const said = flags.map((flag) => [flag, values[flag] === true]);
  return Object.fromEntries([...read, ...said]) as Record<Name, number> & Record<Flag, boolean>;
}

function parse(
  args: readonly string[],
  names: readonly string[],
  flags: readonly string[],
): Record<string, string | boolean | undefined> {
  const options = Object.fromEntries([
    ...names.map((name) => [name, { type: "string" as const }]),
    ...[...flags, "help"].map((flag) => [flag, { type: "boolean" as const }]),
  ]) as Record<string, { type: "string" | "boolean" }>;
  try {
    return parseArgs({ args: [...args], options, strict: true }).values;
  } catch (error) {
    const known = [...names, ...flags].map((name) => `--${name}`).join(", ");
    throw new UsageError(`${(error as Error).message.split(". ")[0]}. There are ${known}`, { cause: error });
  }
}

function numberOf(name: string, given: string | boolean | undefined, option: NumberOption): number {
  const { least, most, byDefault } = option;
  if (given === undefined && byDefault !== undefined) return byDefault;
  const value = typeof given === "string" && /^\d{1,15}$/u.test(given) ? Number(given) : Number.NaN;
  if (value >= least && value <= most) return value;
  throw new UsageError(`--${name}${given === undefined ? "" : ` ${given}`}: a whole number from ${least} to ${most}`);
}

/** Runs a command to its exit code. */
export async function runCommand(name: string, help: string, run: () => Promise<number | "help">): Promise<void> {
  try {
    const code = await run();
    if (code === "help") console.log(help);
    else process.exitCode = code;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    console.error(`${name}: ${error.message}\n\n${help}`);
    process.exitCode = EXIT_USAGE;
  }
}
