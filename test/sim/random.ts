/** What the simulation draws with: for each who draws a stream of its own, all of them from one seed. */
import { seeded } from "../../src/testing/random.ts";

export type Random = () => number;

/** How often one stream is drawn from changes nothing for the others. */
export function streamOf(seed: number, name: string): Random {
  return seeded(mix(seed >>> 0, name));
}

/** FNV-1a, carried on from `hash`. */
export function mix(hash: number, text: string): number {
  let mixed = hash ^ 0x811c9dc5;
  for (let at = 0; at < text.length; at++) mixed = Math.imul(mixed ^ text.charCodeAt(at), 0x01000193);
  return mixed >>> 0;
}

export function pick<T>(random: Random, choices: readonly T[]): T {
  return choices[Math.floor(random() * choices.length)] as T;
}
