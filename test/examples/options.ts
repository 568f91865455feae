/** The options that there are, by the refusal of one that is not. */
import { refusal } from "../support.ts";

export function allowed(resolve: (given: object) => unknown): string[] {
  return refusal(() => resolve({ nonsense: 1 })).option?.allowed.split(", ") ?? [];
}
