/** Checks of the options of framings. The errors have no value in their text: a delimiter may be a secret. */
import { FramingError } from "./framing.ts";

export function invalidOption(name: string, value: unknown, allowed: string): FramingError {
  return new FramingError("INVALID_OPTION", `option ${name} is not what is allowed: ${allowed}`, {
    name,
    value,
    allowed,
  });
}

/** An object with options of these names and no others. A misspelled name would otherwise do nothing, silently. */
export function group<T extends object>(
  name: string,
  given: T | undefined,
  known: ReadonlyArray<keyof T & string>,
): Partial<T> {
  if (given === undefined) return {};
  if (typeof given !== "object" || given === null)
    throw invalidOption(name, given, `an object with ${known.join(", ")}`);
  for (const [key, value] of Object.entries(given)) {
    if (!(known as readonly string[]).includes(key)) throw invalidOption(`${name}.${key}`, value, known.join(", "));
  }
  return given;
}

export function integer(name: string, value: unknown, least: number, most: number): number {
  if (typeof value === "number" && Number.isInteger(value) && value >= least && value <= most) return value;
  throw invalidOption(name, value, `an integer from ${least} to ${most}`);
}

export function boolean(name: string, value: unknown): boolean {
  if (typeof value === "boolean") return value;
  throw invalidOption(name, value, "true or false");
}

export function oneOf<T>(name: string, value: T, allowed: readonly T[]): T {
  if (allowed.includes(value)) return value;
  throw invalidOption(name, value, allowed.map((each) => JSON.stringify(each)).join(", "));
}
