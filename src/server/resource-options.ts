/** Which resources a server watches for overload, and by which rules. */
import { OVERLOAD_ACTIONS, type OverloadAction } from "../core/overload/actions.ts";
import {
  CUSTOM_ACTIONS,
  DWELL_MS,
  type GivenRule,
  LEAVE_MS,
  RESOURCES,
  type ResourceName,
  type ResourceRule,
  ruleOf,
} from "../core/overload/rules.ts";
import { group, integer, MOST_MS } from "../link/check.ts";
import { invalidOption, invalidWord } from "../link/errors.ts";

/** When a resource is overloaded, and what is done then. */
export interface Thresholds {
  /** Below it for `leaveMs`, everything is taken back. Below `high`. Danger if close to `high`: actions come and go. */
  low?: number;
  /** At or above it for `dwellMs`, an action is taken, and one more each `dwellMs`. */
  high?: number;
  /** At or above it, an action is taken at each sample, four a second. At least `high`. */
  critical?: number;
  /** Default 1,000. Danger if small: a peak of a moment turns clients away. */
  dwellMs?: number;
  /** Default 5,000. */
  leaveMs?: number;
  /** In this order. The last one that can be repeated is repeated. */
  actions?: readonly OverloadAction[];
}

/** A resource of the application's own: jobs that wait, connections to a database. */
export interface CustomResource extends Thresholds {
  low: number;
  high: number;
  /** Called four times a second. Its answer is in the unit of `low` and `high`. */
  read: () => number;
  /** Default: new sessions are refused. */
  actions?: readonly OverloadAction[];
}

/**
 * Thresholds are parts of the resource's limit, above 0 and at most 1; those of `lag` are milliseconds, those of
 * `custom` are of any unit. false: not watched. Each resource has default actions of its own: docs/overload.md.
 */
export interface Resources {
  /** Descriptors that are open. Default 0.8 and 0.9; critical when four are left. */
  descriptors?: Thresholds | false;
  /** The old generation of V8's heap. Default 0.6, 0.75, critical 0.8. */
  heap?: Thresholds | false;
  /** Memory of the control group, or of the process. Default 0.75, 0.85, critical 0.93. */
  memory?: Thresholds | false;
  /** `limits.bufferBytes`. Default 0.7 and 0.9. */
  bufferBytes?: Thresholds | false;
  /** How long an event waits for the event loop, in milliseconds. Default 15 and 40. */
  lag?: Thresholds | false;
  /** The kernel's memory for TCP sockets. Default 0.7 and 0.9. */
  tcpMemory?: Thresholds | false;
  /** By names of the application's own; at most 32. */
  custom?: Readonly<Record<string, CustomResource>>;
}

export interface ResolvedResources {
  /** The resources that are watched, each with what replaces the defaults of `ruleOf()`. */
  watched: ReadonlyMap<ResourceName, GivenRule>;
  custom: ReadonlyMap<string, { rule: ResourceRule; read: () => number }>;
}

/** Actions that a server of links does not have, each with the reason. */
export const NOT_OF_LINKS: Harmful = { "close-idle": "the links of a server keep their connections" };
const NAMES = Object.keys(RESOURCES) as ResourceName[];
const THRESHOLD_NAMES = ["low", "high", "critical", "dwellMs", "leaveMs", "actions"] as const;
const CUSTOM_NAMES = [...THRESHOLD_NAMES, "read"] as const;
const MOST_CUSTOM = 32;
/** A custom resource's name stands in each of its events and log lines. */
const MOST_NAME = 100;

type Harmful = (typeof RESOURCES)[ResourceName]["harmful"];

/** `missing`: actions that the server does not have, each with the reason. By default they are passed over. */
export function resolveResources(given: Resources | undefined, missing: Harmful = {}): ResolvedResources {
  const { custom, ...resources } = group("resources", given, [...NAMES, "custom"]);
  const watched = new Map<ResourceName, GivenRule>();
  for (const name of NAMES) {
    const thresholds = resources[name];
    if (thresholds !== false) watched.set(name, resolveThresholds(name, thresholds, missing));
  }
  return { watched, custom: resolveCustom(custom, missing) };
}

function resolveThresholds(name: ResourceName, given: Thresholds | undefined, missing: Harmful): GivenRule {
  const path = `resources.${name}`;
  const { unit, harmful } = RESOURCES[name];
  const isShare = unit === "limit";
  const refused = { ...harmful, ...missing };
  const rule = givenRule(path, group(path, given, THRESHOLD_NAMES), refused, (each, value) =>
    isShare
      ? numberIn(each, value, 1, "a part of the limit, above 0 and at most 1")
      : numberIn(each, value, MOST_MS, "milliseconds, above 0"),
  );
  checkOrder(path, ruleOf(name, rule));
  return rule;
}

function resolveCustom(given: Resources["custom"], missing: Harmful): ResolvedResources["custom"] {
  const resolved = new Map<string, { rule: ResourceRule; read: () => number }>();
  if (given === undefined) return resolved;
  if (typeof given !== "object" || given === null) throw invalidOption("resources.custom", given, "an object");
  const names = Object.keys(given);
  if (names.length > MOST_CUSTOM) throw invalidOption("resources.custom", names, `at most ${MOST_CUSTOM} resources`);
  for (const name of names) {
    if (name === "" || name.length > MOST_NAME || Object.hasOwn(RESOURCES, name)) {
      const allowed = `1 to ${MOST_NAME} characters, and none of ${NAMES.join(", ")}`;
      throw invalidWord("resources.custom: a name", name, allowed);
    }
    const path = `resources.custom.${name}`;
    const options: Partial<CustomResource> = group(path, given[name], CUSTOM_NAMES);
    const { read } = options;
    if (typeof read !== "function") throw invalidOption(`${path}.read`, read, "a function that answers a number");
    const { low, high, ...others } = givenRule(path, options, missing, finite);
    const rule: ResourceRule = {
      name,
      low: finite(`${path}.low`, low),
      high: finite(`${path}.high`, high),
      dwellMs: DWELL_MS,
      leaveMs: LEAVE_MS,
      actions: CUSTOM_ACTIONS,
      ...others,
    };
    checkOrder(path, rule);
    resolved.set(name, { rule, read });
  }
  return resolved;
}

/** The thresholds that are given, checked one by one. */
function givenRule(
  path: string,
  { low, high, critical, dwellMs, leaveMs, actions }: Thresholds,
  harmful: Harmful,
  threshold: (name: string, value: unknown) => number,
): GivenRule {
  return {
    ...(low !== undefined && { low: threshold(`${path}.low`, low) }),
    ...(high !== undefined && { high: threshold(`${path}.high`, high) }),
    ...(critical !== undefined && { critical: threshold(`${path}.critical`, critical) }),
    ...(dwellMs !== undefined && { dwellMs: integer(`${path}.dwellMs`, dwellMs, 0, MOST_MS) }),
    ...(leaveMs !== undefined && { leaveMs: integer(`${path}.leaveMs`, leaveMs, 0, MOST_MS) }),
    ...(actions !== undefined && { actions: checkedActions(`${path}.actions`, actions, harmful) }),
  };
}

function numberIn(name: string, value: unknown, most: number, allowed: string): number {
  if (typeof value !== "number" || !(value > 0 && value <= most)) throw invalidWord(name, value, allowed);
  return value;
}

function finite(name: string, value: unknown): number {
  if (typeof value !== "number" || !Number.isFinite(value)) throw invalidWord(name, value, "a finite number");
  return value;
}

function checkOrder(path: string, { low, high, critical }: ResourceRule): void {
  if (low >= high) throw invalidWord(`${path}.low`, low, `less than high, which is ${high}`);
  if (critical !== undefined && critical < high) {
    throw invalidWord(`${path}.critical`, critical, `at least high, which is ${high}`);
  }
}

function checkedActions(name: string, given: unknown, harmful: Harmful): readonly OverloadAction[] {
  const helpful = (Object.keys(OVERLOAD_ACTIONS) as OverloadAction[]).filter((action) => harmful[action] === undefined);
  const allowed = helpful.join(", ");
  if (!Array.isArray(given) || given.length === 0) {
    throw invalidOption(
      name,
      given,
      `a list of one or more of ${allowed}. false instead of the resource's options: not watched`,
    );
  }
  for (const action of given as unknown[]) {
    const why = typeof action === "string" && Object.hasOwn(harmful, action) && harmful[action as OverloadAction];
    if (why) throw invalidWord(name, action, `${allowed}. Not this one, as ${why}`);
    if (!helpful.includes(action as OverloadAction)) throw invalidWord(name, action, allowed);
  }
  if (new Set(given).size < given.length) throw invalidOption(name, given, "each action once");
  return [...(given as OverloadAction[])];
}
