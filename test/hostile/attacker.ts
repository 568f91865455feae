/** The attackers of a server, in a process of their own: raw connections that say what no client of ours would. */
import { setTimeout as sleep } from "node:timers/promises";
import os from "node:os";
import { answerCalls } from "../../bench/calls.ts";
import { ATTACKS, type Attack, type AttackName, type Plan } from "./attacks.ts";

export type AttackerCommands = {
  /** Resolves when the attack is where it wants to be, or has done all that it wanted. */
  press: (options: { attack: AttackName; plan: Plan }) => Promise<void>;
  /** What it has counted until now. */
  counts: () => Record<string, number>;
  /** Ends it. */
  release: () => Promise<Record<string, number>>;
};

/** In truth they are other machines: they get what the server leaves, and take nothing of what it needs. */
const NICE = 5;
const RELEASE_MS = 5_000;

let stop = new AbortController();
let counts: Record<string, number> = {};
let running: Promise<void> = Promise.resolve();

os.setPriority(NICE);

answerCalls({
  press: async ({ attack, plan }) => {
    stop = new AbortController();
    counts = {};
    let ready = (): void => {};
    const inPosition = new Promise<void>((resolve) => {
      ready = resolve;
    });
    const count: Attack["count"] = (name, by = 1) => {
      counts[name] = (counts[name] ?? 0) + by;
    };
    const most: Attack["most"] = (name, value) => {
      counts[name] = Math.max(counts[name] ?? 0, value);
    };
    running = ATTACKS[attack]({ plan, signal: stop.signal, count, most, ready });
    await Promise.race([running, inPosition]);
  },
  counts: () => counts,
  release: async () => {
    stop.abort();
    await Promise.race([running, sleep(RELEASE_MS)]);
    return counts;
  },
} satisfies AttackerCommands);
