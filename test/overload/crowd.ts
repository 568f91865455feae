/** Many clients in a process of their own, which want to be let in. */
import { answerCalls } from "../../bench/calls.ts";
import { ConnectionManager, type ConnectionManagerOptions, type Link } from "../../src/index.ts";

export type CrowdCommands = {
  /** So many links in all, shared out evenly among so many managers. */
  dial: (to: { port: number; number: number; managers: number; options: ConnectionManagerOptions }) => void;
  /**
   * How attempts have ended since the last call, by the code of the error; "without a time": a refusal that names none.
   */
  failures: () => Record<string, number>;
  connected: () => number;
  /** Resolves when all are connected. */
  allConnected: () => Promise<void>;
  /** Resolves when all have got over the loss of their session: see `Recovered`. */
  recovered: () => Promise<Recovered>;
  /** Ends all that are connected, and all others but so many. Answers how many are left. */
  thin: (keep: number) => number;
  /** When each of those that are left was connected, from now on, and what it was told last, in milliseconds. */
  back: () => Promise<Array<{ tookMs: number; toldMs: number }>>;
};

/** Numbers of links. */
export interface Recovered {
  connected: number;
  /** They were told that their session is lost. */
  told: number;
  ended: number;
}

const failures = new Map<string, number>();
const told = new Map<Link, number>();
/** Each resolves when its link is connected in a new session since the old one was lost, or has ended. */
let losses: Array<Promise<"told" | "ended">> = [];
let managers: ConnectionManager[] = [];
let links: Link[] = [];

function count(what: string): void {
  failures.set(what, (failures.get(what) ?? 0) + 1);
}

function watch(link: Link): Promise<"told" | "ended"> {
  return new Promise((resolve) => {
    link.on("state", (change) => {
      if (change.to === "closed") resolve("ended");
      if (change.to === "connected" && change.session === "new" && change.reason === "session-lost") resolve("told");
      if (change.to !== "reconnecting" || change.error === undefined) return;
      const { from, error } = change;
      // One that was let in may have been shed.
      told.set(link, error.retryAfterMs ?? 0);
      if (from !== "connecting") return;
      count(error.code);
      if (error.code === "OVERLOADED" && error.retryAfterMs === undefined) count("without a time");
    });
  });
}

answerCalls({
  dial: ({ port, number, managers: many, options }) => {
    managers = Array.from({ length: many }, () => new ConnectionManager(options));
    links = Array.from({ length: number }, (_, n) =>
      (managers[n % many] as ConnectionManager).open({ port, host: "127.0.0.1" }),
    );
    losses = links.map(watch);
  },
  failures: () => {
    const before = Object.fromEntries(failures);
    failures.clear();
    return before;
  },
  connected: () => links.filter(({ state }) => state === "connected").length,
  allConnected: async () => {
    await Promise.all(managers.map((manager) => manager.connected()));
  },
  recovered: async () => {
    const ways = await Promise.all(losses);
    // One that was connected may have been shed since, or may end now.
    await Promise.allSettled(managers.map((manager) => manager.connected()));
    return {
      connected: links.filter(({ state }) => state === "connected").length,
      told: ways.filter((way) => way === "told").length,
      ended: links.filter(({ state }) => state === "closed").length,
    };
  },
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
