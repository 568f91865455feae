/** Reads a command's options and their values, and says what would be valid. */
import { parseArgs, type ParseArgsOptionsConfig } from "node:util";
import { nearest } from "../link/nearest.ts";

/** The command line is invalid; the message says what would be valid. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** By the names of options. A list is the value of an option that may be given again and again. */
export type Values = Record<string, Value>;
export type Value = string | boolean | readonly string[] | undefined;

export const HELP_OPTION: ParseArgsOptionsConfig = { help: { type: "boolean", short: "h" } };
const LEAST_SECONDS = 0.001;
export const SECONDS_MAX = 86_400;

/** @throws UsageError */
export function parse(
  command: string,
  args: string[],
  options: ParseArgsOptionsConfig,
  positionalsMax: number,
): { values: Values; positionals: string[] } {
  let parsed: { values: object; positionals: string[] };
  try {
    parsed = parseArgs({ args, options, allowPositionals: true, strict: true });
  } catch (error) {
    throw new UsageError(`${inWords(error as Error, Object.keys(options))}. ${command} takes ${listed(options)}`, {
      cause: error,
    });
  }
  const count = parsed.positionals.length;
  if (count > positionalsMax) {
    // The argument is not shown: it may be the password of an option.
    throw new UsageError(`${command} takes ${MOST[positionalsMax] ?? positionalsMax}, not ${count}`);
  }
  return { values: parsed.values as Values, positionals: parsed.positionals };
}

const MOST: readonly string[] = ["no argument", "one argument", "two arguments"];

function listed(options: ParseArgsOptionsConfig): string {
  return Object.keys(options)
    .map((name) => `--${name}`)
    .join(", ");
}

function inWords(error: Error, known: readonly string[]): string {
  // The first sentence of parseArgs' error says what is wrong; the others, how to give an argument that begins with a
  // dash.
  const [what = ""] = error.message.split(". ");
  const [, unknown] = /^Unknown option '--(.+)'$/.exec(what) ?? [];
  return unknown === undefined ? what : what + didYouMean(unknown, known, "--");
}

/** Nothing, unless a name that there is not is nearly one that there is. */
export function didYouMean(unknown: string, known: readonly string[], prefix: "--" | ""): string {
  const meant = nearest(unknown, known);
  return meant === undefined ? "" : ` (did you mean ${prefix}${meant}?)`;
}

export function number(name: string, value: Value, byDefault: number, least: number, most: number): number {
  if (value === undefined) return byDefault;
  const given = typeof value === "string" && /^\d+(\.\d+)?$/.test(value) ? Number(value) : Number.NaN;
  if (!(given >= least && given <= most)) {
    throw new UsageError(`${name} ${String(value)}: a number from ${least} to ${most}`);
  }
  return given;
}

/** Seconds on the command line. */
export function milliseconds(name: string, value: Value, least: number = LEAST_SECONDS): number | undefined {
  if (value === undefined) return undefined;
  return Math.round(1_000 * number(name, value, 0, least, SECONDS_MAX));
}

export function integer(name: string, value: Value, byDefault: number, least: number, most: number): number {
  const given = number(name, value, byDefault, least, most);
  if (!Number.isInteger(given)) throw new UsageError(`${name} ${given}: a whole number`);
  return given;
}

/** The value of an option that is a text, such as the name of a file. */
export function text(name: string, value: Value): string | undefined {
  if (value === "") throw new UsageError(`${name} is empty`);
  return typeof value === "string" ? value : undefined;
}
