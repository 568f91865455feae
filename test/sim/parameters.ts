/** What a fault can be given: how each parameter is drawn, which values are legal, and which would be simpler. */
import type { Direction } from "../../src/testing/faults.ts";
import { pick, type Random } from "./random.ts";

export interface Parameter<T> {
  draw(random: Random): T;
  isLegal(value: unknown): boolean;
  /** What to try instead, the simplest first. */
  simpler(value: T): T[];
}

export type Side = "client" | "server";
/** Connections of one client, or of everybody. */
export type Whose = number | "everybody";

export const DIRECTIONS: readonly Direction[] = ["to-server", "to-client"];

/** Mostly little: the `power` of a number between 0 and 1, times `most`, on top of `least`. */
export function amount(least: number, most: number, power = 1): Parameter<number> {
  return {
    draw: (random) => round(least + (most - least) * random() ** power),
    isLegal: (value) => typeof value === "number" && value >= 0 && Number.isFinite(value),
    simpler: (value) => [least, round(least + (value - least) / 2)].filter((simpler) => simpler < value),
  };
}

/** As `usual`, or one of what nobody in his senses would say. */
export function odd(usual: Parameter<number>, ...odds: readonly number[]): Parameter<number> {
  return { ...usual, draw: (random) => (random() < 0.5 ? usual.draw(random) : pick(random, odds)) };
}

export function count(most: number): Parameter<number> {
  return {
    draw: (random) => 1 + Math.floor(most * random()),
    isLegal: isIndex,
    simpler: (value) => [1, value >> 1].filter((simpler) => simpler >= 1 && simpler < value),
  };
}

export function choice<const T extends readonly (string | boolean)[]>(...choices: T): Parameter<T[number]> {
  return {
    draw: (random) => pick<T[number]>(random, choices),
    isLegal: (value) => choices.some((each) => each === value),
    simpler: (value) => choices.slice(0, choices.indexOf(value)),
  };
}

/** Which client, or server: taken modulo how many there are. */
export const which: Parameter<number> = {
  draw: (random) => Math.floor(12 * random()),
  isLegal: isIndex,
  simpler: (value) => [0, 1].filter((simpler) => simpler < value),
};

export const whose: Parameter<Whose> = {
  draw: (random) => (random() < 0.5 ? "everybody" : which.draw(random)),
  isLegal: (value) => value === "everybody" || isIndex(value),
  simpler: (value) => (value === "everybody" ? [] : ["everybody", ...which.simpler(value)]),
};

export const side: Parameter<Side> = choice("client", "server");
export const yesOrNo: Parameter<boolean> = choice(false, true);
export const direction: Parameter<Direction> = choice("to-server", "to-client");

function isIndex(value: unknown): boolean {
  return typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
}

/** To a tenth, so that a schedule can be read. */
export function round(value: number): number {
  return Math.round(10 * value) / 10;
}
