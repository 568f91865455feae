/** What something beside us has thrown, which may be anything, as what can be shown without throwing again. */
import { inspect } from "node:util";

/** A cause of a cause of a cause is read so far. */
const MOST_CAUSES = 8;
const MOST_INSPECTED_CHARACTERS = 1_000;

/** The error itself, for a logger to show; one that tells of it where it is no Error, or cannot be read. */
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

/** What it says of itself. */
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

/** By its looks, as pino tells them: one of another realm (a test runner's, a vm's) is none by its class. */
function isError(thrown: unknown): thrown is Error {
  return typeof thrown === "object" && thrown !== null && "message" in thrown && typeof thrown.message === "string";
}

/** Reads what a serializer will read. Throws what a getter throws. */
function read(error: object): void {
  let at: unknown = error;
  for (let causes = 0; causes <= MOST_CAUSES && typeof at === "object" && at !== null; causes++) {
    for (const name in at) Reflect.get(at, name);
    for (const name of ["name", "message", "stack"]) String(Reflect.get(at, name));
    at = Reflect.get(at, "cause");
  }
}
