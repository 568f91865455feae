/** Paths that can be broken, in a process of their own: each is a fault relay to the same server. */
import { setTimeout as sleep } from "node:timers/promises";
import { type FaultRelay, faultRelay } from "resplice/testing";
import { answerCalls } from "./calls.ts";
import { monotonicMs } from "./worker.ts";

export type RelayCommands = {
  /** Answers the ports of so many paths to the server at `port`. */
  open(options: { port: number; paths: number; latencyMs?: number }): Promise<number[]>;
  /** From now on all paths are cut so often, until `heal`. */
  cutEvery(ms: number): void;
  heal(): void;
  /** Breaks the paths, and answers when the last one has been whole again for `settleMs`. */
  break(plan: BreakPlan): Promise<Break[]>;
};

export interface BreakPlan {
  /** "cut": a reset, and the path accepts again at once. "outage": the same, and it refuses. "black hole": it is silent. */
  fault: "cut" | "outage" | "black hole";
  /** For how long the path is broken. */
  brokenMs: number;
  /** How often each path is broken, and how long after it began to be. */
  times: number;
  everyMs: number;
  settleMs: number;
}

/** On the clock that all processes share. */
export interface Break {
  path: number;
  startMs: number;
  returnMs: number;
}

const relays: FaultRelay[] = [];
let cutting: NodeJS.Timeout | undefined;

answerCalls({
  open: async ({ port, paths, latencyMs = 0 }) => {
    for (let path = 0; path < paths; path++) {
      const relay = await faultRelay({ port });
      if (latencyMs > 0) relay.latency(latencyMs);
      relays.push(relay);
    }
    return relays.map((relay) => relay.port);
  },
  cutEvery: (ms) => {
    cutting = setInterval(() => {
      for (const relay of relays) relay.cut("rst");
    }, ms);
  },
  heal: () => {
    clearInterval(cutting);
  },
  break: async (plan) => {
    const breaks = await Promise.all(relays.map((relay, path) => breakPath(relay, path, plan)));
    await sleep(plan.settleMs);
    return breaks.flat();
  },
} satisfies RelayCommands);

async function breakPath(relay: FaultRelay, path: number, plan: BreakPlan): Promise<Break[]> {
  const breaks: Break[] = [];
  const { fault, brokenMs, times, everyMs } = plan;
  for (let time = 0; time < times; time++) {
    // At random within the interval: paths do not break together, nor at the same point of what a link does.
    const waitMs = Math.random() * (everyMs - brokenMs) * 0.5;
    await sleep(waitMs);
    const startMs = monotonicMs();
    if (fault === "black hole") relay.blackHole();
    if (fault === "outage") relay.refuse();
    if (fault !== "black hole") relay.cut("rst");
    if (fault !== "cut") {
      await sleep(brokenMs);
      relay.heal();
    }
    breaks.push({ path, startMs, returnMs: monotonicMs() });
    await sleep(everyMs - brokenMs - waitMs);
  }
  return breaks;
}
