/** The settings of a tunnel in a JSON file, by the names that its options have. */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import type { ParseArgsOptionsConfig } from "node:util";
import { didYouMean, UsageError, type Value, type Values } from "../usage.ts";

/** What a file says. `values`: as the command line would have them. `more`: of names that are no options. */
export interface Config {
  readonly path: string;
  readonly values: Values;
  readonly more: Readonly<Record<string, unknown>>;
}

const MOST_BYTES = 1_048_576;
/** Options that name files. A relative name is looked for beside the file of settings. */
const FILES: ReadonlySet<string> = new Set(["tls-cert", "tls-key", "tls-ca", "tokens", "token-file"]);
/** What is said on the command line alone. */
const NOT_IN_FILES: ReadonlySet<string> = new Set(["config", "help"]);

/** `more`: names that a file may have besides the options. Throws a UsageError, which names the file and shows no value. */
export function readConfig(path: string, options: ParseArgsOptionsConfig, more: readonly string[]): Config {
  const settings = parseObject(path);
  const known = [...Object.keys(options).filter((name) => !NOT_IN_FILES.has(name)), ...more];
  const config = { path, values: {} as Values, more: {} as Record<string, unknown> };
  for (const [name, value] of Object.entries(settings)) {
    if (!known.includes(name)) {
      const hint = didYouMean(name, known, "");
      throw new UsageError(`${path}: there is no ${JSON.stringify(name)}${hint}; there are: ${known.join(", ")}`);
    }
    const option = options[name];
    if (more.includes(name)) config.more[name] = value;
    else if (option !== undefined) config.values[name] = asValue(path, name, option, value);
  }
  return config;
}

/** Of `more`. */
export function textIn({ path, more }: Config, name: string): string | undefined {
  const value = more[name];
  if (value === undefined || typeof value === "string") return value;
  if (typeof value === "number") return String(value);
  throw new UsageError(`${path}: ${name} is a text`);
}

function parseObject(path: string): object {
  let text: string;
  try {
    text = readFileSync(path, "utf8");
  } catch (error) {
    throw new UsageError(`--config ${path} cannot be read: ${(error as NodeJS.ErrnoException).code ?? String(error)}`, {
      cause: error,
    });
  }
  if (text.length > MOST_BYTES) throw new UsageError(`--config ${path} is longer than 1 MiB`);
  let settings: unknown;
  try {
    settings = JSON.parse(text.replace(/^\uFEFF/, ""));
  } catch (error) {
    // The text of the error may quote the file.
    const [where = "somewhere"] = /line \d+ column \d+/.exec((error as Error).message) ?? [];
    throw new UsageError(`--config ${path} is no JSON: ${where}`, { cause: error });
  }
  if (typeof settings === "object" && settings !== null && !Array.isArray(settings)) return settings;
  throw new UsageError(`--config ${path} has no object`);
}

function asValue(path: string, name: string, option: ParseArgsOptionsConfig[string], value: unknown): Value {
  if (option.multiple === true) {
    if (Array.isArray(value) && value.every((each) => typeof each === "string")) return value;
    throw new UsageError(`${path}: ${name} is a list of texts`);
  }
  if (option.type === "boolean") {
    if (typeof value === "boolean") return value;
    throw new UsageError(`${path}: ${name} is true or false`);
  }
  if (typeof value === "number") return String(value);
  if (typeof value !== "string") throw new UsageError(`${path}: ${name} is a text or a number`);
  return FILES.has(name) && value !== "" ? resolve(dirname(path), value) : value;
}
