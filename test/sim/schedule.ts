/** A run as data: the world, and what happens to it when. It can be printed, shrunk, and run again from a file. */
import { type Fault, type FaultKind, FAULT_KINDS, parametersOf } from "./fault-kinds.ts";
import { isLegal, SIMPLE, type WorldOptions } from "./options.ts";

export interface Schedule {
  /** Everybody in the world draws from it, each a stream of its own. */
  seed: number;
  options: WorldOptions;
  faults: Fault[];
}

/** Throws an error that says what is wrong with it. */
export function parseSchedule(text: string): Schedule {
  const value: unknown = JSON.parse(text);
  if (!isRecord(value)) throw new TypeError("a schedule is an object");
  const { seed, options, faults } = value;
  if (!isWhole(seed)) throw new TypeError("seed: a whole number is wanted");
  checkLike(options, SIMPLE, "options");
  if (!isLegal(options as WorldOptions)) throw new TypeError("options: they don't go together");
  if (!Array.isArray(faults)) throw new TypeError("faults: a list is wanted");
  for (const [n, each] of faults.entries()) checkFault(each, `faults[${n}]`);
  return { seed, options: options as WorldOptions, faults: faults as Fault[] };
}

function checkLike(value: unknown, like: unknown, name: string): void {
  if (isRecord(like)) {
    if (!isRecord(value)) throw new TypeError(`${name}: an object is wanted`);
    const names = new Set([...Object.keys(value), ...Object.keys(like)]);
    for (const each of names) {
      if (!(each in like)) throw new TypeError(`${name}.${each}: there is no such option`);
      checkLike(value[each], like[each], `${name}.${each}`);
    }
  } else if (typeof value !== typeof like || (typeof value === "number" && !(value >= 0))) {
    throw new TypeError(`${name}: a ${typeof like} is wanted`);
  }
}

function checkFault(fault: unknown, name: string): void {
  if (!isRecord(fault)) throw new TypeError(`${name}: an object is wanted`);
  const { atMs, kind, seed, ...rest } = fault;
  if (!FAULT_KINDS.some((each) => each === kind)) throw new TypeError(`${name}.kind: there is no such fault`);
  if (typeof atMs !== "number" || !(atMs >= 0)) throw new TypeError(`${name}.atMs: a time is wanted`);
  if (!isWhole(seed)) throw new TypeError(`${name}.seed: a whole number is wanted`);
  const parameters = parametersOf(kind as FaultKind);
  for (const [each, parameter] of parameters) {
    if (!parameter.isLegal(rest[each])) throw new TypeError(`${name}.${each}: ${JSON.stringify(rest[each])} is none`);
    delete rest[each];
  }
  const [surplus] = Object.keys(rest);
  if (surplus !== undefined) throw new TypeError(`${name}.${surplus}: there is no such parameter`);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isWhole(value: unknown): value is number {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}
