/** Checks of single options: each answers the value as its type, or throws INVALID_OPTION with what is allowed. */
import { isBytes } from "../core/foreign.ts";
import { ownCopy } from "../core/wire/bytes.ts";
import { ContainedLogger, LEVELS, type Logger } from "../telemetry/logger.ts";
import { invalidArgument, invalidOption, invalidWord, unknownOption } from "./errors.ts";
import type { CloseOptions, WaitOptions } from "./types.ts";

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
  if (!holdsOptions(given)) throw invalidOption(name, given, `an object with ${known.join(", ")}`);
  checkNames(given, known, `${name}.`);
  return given;
}

/** A payload that the application gives, as a copy: a string or bytes. */
export function payload(name: string, given: unknown, mostBytes: number): Buffer {
  if (typeof given !== "string" && !isBytes(given)) throw invalidOption(name, given, "a string or bytes");
  const bytes = ownCopy(typeof given === "string" ? Buffer.from(given) : given);
  if (bytes.length > mostBytes) throw invalidOption(name, bytes, `at most ${mostBytes} bytes`);
  return bytes;
}

export function text(name: string, given: unknown): string {
  if (typeof given !== "string" || given === "") throw invalidOption(name, given, "a string");
  return given;
}

/**
 * A host: a name or an IP address, an IPv6 address also in brackets. A port or a scheme with it would be looked up as a
 * part of the name, in vain, again and again.
 */
export function hostName(name: string, given: unknown): string {
  const value = text(name, given);
  if (!/[:/@\s]/.test(value) || IPV6.test(value)) return value;
  const allowed = "a name or an IP address alone";
  // A URL may hold a password.
  if (value.includes("@")) throw invalidOption(name, value, allowed);
  const [, alone = "", port = ""] = HOST_AND_PORT.exec(value) ?? [];
  throw invalidWord(name, value, port === "" ? allowed : `${allowed}, as in { host: "${alone}", port: ${port} }`);
}

const IPV6 = /^(?:[\da-f.]*:){2,}[\da-f.]*(?:%[^\s/\]]+)?$|^\[(?:[\da-f.]*:){2,}[\da-f.]*(?:%[^\s/\]]+)?\]$/i;
/** The parts that were meant, of a text that begins with a scheme or without. */
const HOST_AND_PORT = /^(?:[a-z][\w+.-]*:\/\/)?(\[[\da-f:.]+\]|[\w.-]+):(\d{1,5})\/?$/i;

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

/** Can be an object with options: neither a list, bytes, a promise that was not awaited, nor a signal by itself. */
function holdsOptions(given: unknown): given is object {
  if (typeof given !== "object" || given === null || Array.isArray(given)) return false;
  return !ArrayBuffer.isView(given) && !("then" in given) && !isSignal(given);
}

/** A group of options whose names the caller checks. */
export function checkGroup(name: string, given: unknown): void {
  if (given !== undefined && !holdsOptions(given)) throw invalidOption(name, given, "an object with options");
}

/**
 * What a call or a constructor is given as its options. Throws INVALID_ARGUMENT if it is none, and shows an example;
 * INVALID_OPTION for a name that is not among `known`. Without `known` the caller checks the names.
 */
export function checkOptions(
  call: string,
  given: unknown,
  example: string,
  known?: readonly string[],
  prefix = "",
): void {
  if (!holdsOptions(given)) throw invalidArgument(`${call} takes an object with options, such as ${example}`, given);
  if (known !== undefined) checkNames(given, known, prefix);
}

/** The options of a call that waits. Throws INVALID_ARGUMENT, INVALID_OPTION. */
export function checkWait(call: string, options: WaitOptions | undefined): void {
  if (options === undefined) return;
  checkOptions(call, options, "{ signal }", ["signal"]);
  checkSignal(options.signal);
}

/** Node's, of a library, or of jsdom: whatever can be listened to as an AbortSignal. */
export function isSignal(given: unknown): given is AbortSignal {
  if (typeof given !== "object" || given === null) return false;
  const { aborted, addEventListener, removeEventListener } = given as Partial<AbortSignal>;
  const isHeard = typeof addEventListener === "function" && typeof removeEventListener === "function";
  return isHeard && typeof aborted === "boolean";
}

function checkSignal(signal: unknown): void {
  if (signal !== undefined && !isSignal(signal)) throw invalidOption("signal", signal, "an AbortSignal");
}

/** The options of a link's close(). */
export function checkClose(options: CloseOptions): void {
  checkCloseOf(options, ["deadlineMs", "signal"]);
}

/**
 * The options of a close() of a server or a manager. `readyDelayMs` is among them as closeOnSignal() gives the same
 * options to both; a manager has nothing to do with it.
 */
export function checkCloseAll(options: CloseOptions & { readyDelayMs?: number }): void {
  checkCloseOf(options, ["deadlineMs", "signal", "readyDelayMs"]);
  if (options.readyDelayMs !== undefined) integer("readyDelayMs", options.readyDelayMs, 0, MOST_MS);
}

function checkCloseOf(options: CloseOptions, names: readonly string[]): void {
  checkOptions("close()", options, "{ deadlineMs: 5_000 }", names);
  const { deadlineMs, signal } = options;
  if (deadlineMs !== undefined && deadlineMs !== Infinity) integer("deadlineMs", deadlineMs, 0, MOST_MS);
  checkSignal(signal);
}

/** Throws for an option that does not exist: a misspelled one would otherwise do nothing, silently. */
export function checkNames(options: object, known: readonly string[], prefix = ""): void {
  for (const name of Object.keys(options)) {
    if (!known.includes(name)) throw unknownOption(prefix, name, (options as Record<string, unknown>)[name], known);
  }
}

export function isThenable(value: unknown): value is PromiseLike<void> {
  return typeof value === "object" && value !== null && "then" in value && typeof value.then === "function";
}
