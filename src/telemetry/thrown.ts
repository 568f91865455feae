/** Other code may throw anything: makes of it an Error, or a text, that can be shown without throwing again. */
import { inspect } from "node:util";

/** How many causes in a chain are read. */
const MOST_CAUSES = 8;
const MOST_INSPECTED_CHARACTERS = 1_000;

/** The thrown error itself; or a new Error that describes the value, if it is no Error or cannot be read. */
export function errorOf(thrown: unknown): Error {
  try {
    if (isError(thrown)) {
      read(thrown);
      return thrown;
    }
    return new Error(`what was thrown is no Error: ${show(thrown)}`);
  } catch {
    return new Error("what was thrown cannot be shown");
  }
}

/** The message of a thrown error; of another value, a text that shows it. */
export function messageOf(thrown: unknown): string {
  try {
    // Node's error for a name with several addresses has a code, and no message.
    if (isError(thrown)) return thrown.message === "" && "code" in thrown ? String(thrown.code) : thrown.message;
    return show(thrown);
  } catch {
    return "what was thrown cannot be shown";
  }
}

function show(thrown: unknown): string {
  const shown = typeof thrown === "string" ? thrown : inspect(thrown, { depth: 1, breakLength: Infinity });
  return shown.slice(0, MOST_INSPECTED_CHARACTERS);
}

/**
 * Decides by the `message` property, as pino does: `instanceof` fails for errors of another realm (a test runner, a
 * vm).
 */
function isError(thrown: unknown): thrown is Error {
  return typeof thrown === "object" && thrown !== null && "message" in thrown && typeof thrown.message === "string";
}

/** Reads all properties that a serializer will read. Throws if one of the getters throws. */
function read(error: object): void {
  let at: unknown = error;
  for (let causes = 0; causes <= MOST_CAUSES && typeof at === "object" && at !== null; causes++) {
    for (const name in at) Reflect.get(at, name);
    for (const name of ["name", "message", "stack"]) String(Reflect.get(at, name));
    at = Reflect.get(at, "cause");
  }
}
