/** Answers of the application's functions, checked: one of another kind is not silently taken for "no". */
import type { MessageId } from "./options.ts";

/** Throws a TypeError for anything but true and false. */
export function yesOrNo(name: string, answer: unknown): boolean {
  if (typeof answer === "boolean") return answer;
  throw new TypeError(`${name}() has given neither true nor false`);
}

/** The id of a message, or undefined if it has none. Throws a TypeError for anything else. */
export function idOrNone(answer: unknown): MessageId | undefined {
  switch (typeof answer) {
    case "string":
    case "number":
    case "bigint":
    case "undefined":
      return answer;
    default:
      throw new TypeError("idOf() has given neither a string, a number or a bigint, nor undefined");
  }
}
