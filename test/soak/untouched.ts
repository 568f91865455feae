/** Whether a soak did to the path, and with links, what it is there for: one that did nothing proves nothing. */
import { type Kind, KINDS } from "./kinds.ts";
import { BREAKS, SHAPES } from "./schedule.ts";

export interface Done {
  /** How often a fault of that kind was made, on all paths. */
  faults(kind: string): number;
  /** Links that have ended. */
  kinds: ReadonlyMap<Kind, number>;
  reconnects: number;
}

/** What has not occurred. */
export function untouched({ faults, kinds, reconnects }: Done): string[] {
  return [
    ...[...BREAKS, ...SHAPES].filter((kind) => faults(kind) === 0).map((kind) => `no ${kind} was made`),
    ...KINDS.filter((kind) => (kinds.get(kind) ?? 0) === 0).map((kind) => `no link was of the kind "${kind}"`),
    ...(reconnects === 0 ? ["no link has reconnected"] : []),
  ];
}
