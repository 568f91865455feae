/** Managers and servers that are to be seen from outside, each with a name. */
import { invalidOption, invalidWord } from "../link/errors.ts";
import type { CloseOptions, Health } from "../link/types.ts";
import { type Observed, observedOf } from "../telemetry/observed.ts";

/** A ConnectionManager, a ServerSupervisor, or the answer of supervise(). */
export interface MonitoredSource {
  /** As of a manager or a supervisor. */
  health(): Health;
  /** The numbers, as of a manager or a supervisor. */
  stats(): object;
  /** As of a manager or a supervisor. */
  close(options?: CloseOptions): Promise<unknown>;
}

/** A list; or, where there are several of one kind, an object with a name for each: 1 to 100 characters. */
export type MonitoredSources = readonly MonitoredSource[] | Readonly<Record<string, MonitoredSource>>;

export interface NamedSource {
  /** Empty: it has none. */
  readonly name: string;
  readonly observed: Observed;
}

export const MOST_SOURCES = 100;
const MOST_NAME = 100;

/** Throws INVALID_OPTION. */
export function namedSources(given: unknown): NamedSource[] {
  if (typeof given !== "object" || given === null)
    throw invalidOption("sources", given, "a list, or an object with names");
  const isList = Array.isArray(given);
  const entries = Object.entries(given as Record<string, unknown>);
  if (entries.length === 0 || entries.length > MOST_SOURCES) {
    throw invalidOption("sources", given, `1 to ${MOST_SOURCES} managers and servers`);
  }
  const named = entries.map(([key, source]): NamedSource => {
    if (!isList && (key === "" || key.length > MOST_NAME)) {
      throw invalidWord("sources: a name", key, `1 to ${MOST_NAME} characters`);
    }
    const observed = observedOf(source);
    if (observed === undefined) {
      throw invalidOption(
        `sources.${key}`,
        source,
        "a ConnectionManager, a ServerSupervisor or a supervised server of this package",
      );
    }
    return { name: isList ? "" : key, observed };
  });
  checkDistinct(named);
  return named;
}

/** Two of one kind and one name could not be told apart. */
export function checkDistinct(sources: readonly NamedSource[]): void {
  const seen = new Set<string>();
  for (const { name, observed } of sources) {
    const identity = `${observed.kind} ${name}`;
    if (seen.has(identity)) {
      const which = name === "" ? `one ${observed.kind}` : `one ${observed.kind} of this name`;
      throw invalidWord("sources", name, `${which}; of several each needs a name: { first: …, second: … }`);
    }
    seen.add(identity);
  }
}
