/** Checks of single options: each answers the value as its type, or throws INVALID_OPTION with what is allowed. */
import { ownCopy } from "../core/wire/bytes.ts";
import { ContainedLogger, LEVELS, type Logger } from "../telemetry/logger.ts";
import { invalidOption, invalidWord } from "./errors.ts";

/** Node's timers take no more. */
export const MOST_MS = 2_147_483_647;

export function integer(name: string, value: unknown, least: number, most: number): number {
  if (typeof value !== "number" || !Number.isInteger(value) || value < least || value > most) {
    const range =
      most === Number.MAX_SAFE_INTEGER ? `an integer of at least ${least}` : `an integer from ${least} to ${most}`;
    throw invalidWord(name, value, range);
  }
  return value;
}

/** As `integer`, or Infinity. */
export function integerOrInfinity(name: string, value: unknown, least: number): number {
  return value === Infinity ? value : integer(name, value, least, Number.MAX_SAFE_INTEGER);
}

/** A group of options: an object with these names and no others. */
export function group<T extends object>(
  name: string,
  given: T | undefined,
  known: ReadonlyArray<keyof T & string>,
): Partial<T> {
  if (given === undefined) return {};
  if (typeof given !== "object" || given === null)
    throw invalidOption(name, given, `an object with ${known.join(", ")}`);
  checkNames(given, known, `${name}.`);
  return given;
}

/** A payload that the application gives, as a copy: a string or bytes. */
export function payload(name: string, given: unknown, mostBytes: number): Buffer {
  if (typeof given !== "string" && !(given instanceof Uint8Array))
    throw invalidOption(name, given, "a string or bytes");
  const bytes = ownCopy(typeof given === "string" ? Buffer.from(given) : given);
  if (bytes.length > mostBytes) throw invalidOption(name, bytes, `at most ${mostBytes} bytes`);
  return bytes;
}

export function text(name: string, given: unknown): string {
  if (typeof given !== "string" || given === "") throw invalidOption(name, given, "a string");
  return given;
}

export function logger(given: Logger | undefined): ContainedLogger | undefined {
  if (given === undefined) return undefined;
  if (isLogger(given)) return new ContainedLogger(given);
  throw invalidOption("logger", given, `an object with the methods ${LEVELS.join(", ")}, as pino and console have`);
}

function isLogger(given: unknown): given is Logger {
  try {
    return (
      typeof given === "object" &&
      given !== null &&
      LEVELS.every((name) => typeof (given as Partial<Logger>)[name] === "function")
    );
  } catch {
    return false;
  }
}

export function boolean(name: string, value: unknown): boolean {
  if (typeof value !== "boolean") throw invalidOption(name, value, "true or false");
  return value;
}

export function oneOf<T extends string | number>(name: string, value: T, allowed: readonly T[]): T {
  if (!allowed.includes(value)) throw invalidWord(name, value, allowed.map(shown).join(", "));
  return value;
}

/** A word as it is; a control character as an escape. */
function shown(allowed: string | number): string {
  return typeof allowed === "string" && /[^ -~]/.test(allowed) ? JSON.stringify(allowed) : String(allowed);
}

/** Throws for an option that does not exist: a misspelled one would otherwise do nothing, silently. */
export function checkNames(options: object, known: readonly string[], prefix = ""): void {
  for (const name of Object.keys(options)) {
    if (!known.includes(name))
      throw invalidOption(prefix + name, (options as Record<string, unknown>)[name], known.join(", "));
  }
}

export function isThenable(value: unknown): value is PromiseLike<void> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
