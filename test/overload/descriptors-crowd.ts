/** Many clients in a process of their own, which want to be let in. */
import { answerCalls } from "../../bench/calls.ts";
import { ConnectionManager, type Link } from "../../src/index.ts";

export type CrowdCommands = {
  dial: (to: { port: number; number: number }) => void;
  /** How attempts have ended, by the code of the error; "without a time": a refusal that names none. */
  failures: () => Record<string, number>;
  connected: () => number;
  /** Ends all that are connected, and all others but so many. Answers how many are left. */
  thin: (keep: number) => number;
  /** When each of those that are left was connected, from now on, and what it was told last, in milliseconds. */
  back: () => Promise<Array<{ tookMs: number; toldMs: number }>>;
};

// A client that has not said HELLO takes a descriptor, and can be told nothing: all at once would be too many.
const manager = new ConnectionManager({ maxDialsPerSecond: 150, maxDialsInFlight: 100 });
const failures: Record<string, number> = {};
const told = new Map<Link, number>();
let links: Link[] = [];

function count(what: string): void {
  failures[what] = (failures[what] ?? 0) + 1;
}

answerCalls({
  dial: ({ port, number }) => {
    links = Array.from({ length: number }, () => manager.open({ port, host: "127.0.0.1" }));
    for (const link of links) {
      link.on("state", (change) => {
        if (change.to !== "reconnecting" || change.error === undefined) return;
        const { from, error } = change;
        // One that was let in may have been shed.
        told.set(link, error.retryAfterMs ?? 0);
        if (from !== "connecting") return;
        count(error.code);
        if (error.code === "OVERLOADED" && error.retryAfterMs === undefined) count("without a time");
      });
    }
  },
  failures: () => failures,
  connected: () => links.filter(({ state }) => state === "connected").length,
  thin: (keep) => {
    const refused = links.filter(({ state }) => state !== "connected");
    const left = refused.slice(0, keep);
    for (const link of links) if (!left.includes(link)) link.abort();
    links = left;
    return left.length;
  },
  back: () => {
    const fromMs = performance.now();
    const back = async (link: Link): Promise<{ tookMs: number; toldMs: number }> => {
      await link.connected();
      return { tookMs: performance.now() - fromMs, toldMs: told.get(link) ?? 0 };
    };
    return Promise.all(links.map((link) => back(link)));
  },
} satisfies CrowdCommands);
