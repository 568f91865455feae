/** A mutant that cannot run: what replaces refers to what is not there, or is not even code. Whoever notices, it is no catch. */
const NAMES = ["ReferenceError", "SyntaxError"];
const IN_TEXT = new RegExp(`\\b(?:${NAMES.join("|")}): .*`, "u");

/** What says so: an error, or one of its causes. */
export function brokenBy(error: unknown): Error | undefined {
  for (let each = error; each instanceof Error; each = each.cause) if (NAMES.includes(each.name)) return each;
  return undefined;
}

/** Of what a test has failed with, as text. */
export function brokenIn(text: string): string | undefined {
  return IN_TEXT.exec(text)?.[0];
}
