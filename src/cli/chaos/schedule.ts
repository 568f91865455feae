/**
 * A schedule of faults, from a file:
 *
 *     { "repeat": true, "faults": [{ "after": 0.5, "kind": "rst" }, { "after": 2, "kind": "black-hole", "for": 3 }] }
 *
 * `after` is the pause before the fault, and `for` how long it lasts, both in seconds.
 */
import type { Direction } from "../../testing/index.ts";
import {
  endsConnections,
  type Fault,
  FAULT_KINDS,
  type FaultKind,
  type FaultSource,
  type Step,
} from "../demo/faults.ts";
import { UsageError } from "../usage.ts";

/** Of one schedule. */
const MOST_FAULTS = 10_000;
const MOST_SECONDS = 3_600;
/** More than a link of default options survives in one piece; what a run waits for is bounded elsewhere. */
const MOST_BYTES = 1_000_000_000;
const MOST_DELAY_MS = 60_000;
const DIRECTIONS: readonly Direction[] = ["to-server", "to-client"];

/** What else belongs to a fault of each kind. */
const FIELDS: Readonly<Record<FaultKind, readonly string[]>> = {
  fin: [],
  rst: [],
  "cut-after-bytes": ["bytes"],
  "black-hole": ["for"],
  "one-way-black-hole": ["for", "direction"],
  stall: ["for"],
  refuse: ["for"],
  latency: ["for", "delayMs", "jitterMs"],
};

export class Schedule implements FaultSource {
  readonly #steps: readonly Step[];
  readonly #isRepeated: boolean;
  #at = 0;

  /** @throws UsageError */
  static parse(text: string): Schedule {
    let given: unknown;
    try {
      given = JSON.parse(text);
    } catch (error) {
      throw new UsageError(`--schedule: this is no JSON: ${(error as Error).message}`, { cause: error });
    }
    const { faults, repeat = false, ...rest } = record(given, "the schedule");
    noMore(rest, "the schedule", ["faults", "repeat"]);
    if (typeof repeat !== "boolean") throw new UsageError('--schedule: "repeat" is true or false');
    if (!Array.isArray(faults) || faults.length === 0 || faults.length > MOST_FAULTS) {
      throw new UsageError(`--schedule: "faults" is a list of 1 to ${MOST_FAULTS} faults`);
    }
    return new Schedule(
      faults.map((fault, at) => step(fault, `fault ${at + 1}`)),
      repeat,
    );
  }

  private constructor(steps: readonly Step[], isRepeated: boolean) {
    this.#steps = steps;
    this.#isRepeated = isRepeated;
  }

  take(): Step | undefined {
    if (this.#at === this.#steps.length && this.#isRepeated) this.#at = 0;
    return this.#steps[this.#at++];
  }

  nextEnding(): Fault {
    const coming = [...this.#steps.slice(this.#at), ...(this.#isRepeated ? this.#steps : [])];
    return coming.find(({ fault }) => endsConnections(fault))?.fault ?? { kind: "rst" };
  }
}

function step(given: unknown, where: string): Step {
  const { after, kind, ...rest } = record(given, where);
  if (typeof kind !== "string" || !(FAULT_KINDS as readonly string[]).includes(kind)) {
    throw new UsageError(`--schedule: ${where}: "kind" is one of ${FAULT_KINDS.join(", ")}`);
  }
  const fields = FIELDS[kind as FaultKind];
  noMore(rest, where, ["after", "kind", ...fields]);
  const amount = (name: string, least: number, most: number): number => {
    const value = name === "after" ? after : rest[name];
    if (typeof value === "number" && value >= least && value <= most) return value;
    throw new UsageError(`--schedule: ${where}: "${name}" is a number from ${least} to ${most}`);
  };
  const calmMs = Math.round(1_000 * amount("after", 0, MOST_SECONDS));
  const holdMs = (): number => Math.round(1_000 * amount("for", 0, MOST_SECONDS));
  switch (kind as FaultKind) {
    case "fin":
    case "rst":
      return { calmMs, fault: { kind: kind as "fin" | "rst" } };
    case "cut-after-bytes":
      return { calmMs, fault: { kind: "cut-after-bytes", bytes: Math.round(amount("bytes", 0, MOST_BYTES)) } };
    case "black-hole":
    case "stall":
    case "refuse":
      return { calmMs, fault: { kind: kind as "black-hole" | "stall" | "refuse", holdMs: holdMs() } };
    case "one-way-black-hole": {
      const direction = DIRECTIONS.find((name) => name === rest["direction"]);
      if (direction === undefined) {
        throw new UsageError(`--schedule: ${where}: "direction" is one of ${DIRECTIONS.join(", ")}`);
      }
      return { calmMs, fault: { kind: "one-way-black-hole", holdMs: holdMs(), direction } };
    }
    case "latency": {
      const delayMs = Math.round(amount("delayMs", 0, MOST_DELAY_MS));
      const jitterMs = rest["jitterMs"] === undefined ? 0 : Math.round(amount("jitterMs", 0, MOST_DELAY_MS));
      return { calmMs, fault: { kind: "latency", holdMs: holdMs(), delayMs, jitterMs } };
    }
  }
}

function record(given: unknown, where: string): Record<string, unknown> {
  if (typeof given === "object" && given !== null && !Array.isArray(given)) return given as Record<string, unknown>;
  throw new UsageError(`--schedule: ${where} is an object`);
}

function noMore(rest: object, where: string, known: readonly string[]): void {
  const unknown = Object.keys(rest).find((name) => !known.includes(name));
  if (unknown !== undefined) {
    throw new UsageError(`--schedule: ${where}: ${JSON.stringify(unknown)} is none of ${known.join(", ")}`);
  }
}
