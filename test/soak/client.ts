/** The clients' end of a soak, in a process of its own: so many links at any time, each for a while, then another. */
import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionManager, type OpenOptions } from "../../src/index.ts";
import { answerCalls } from "../../bench/calls.ts";
import { footprint, type Footprint, Peak } from "../endurance/footprint.ts";
import { Draw } from "../fuzz/draw.ts";
import { converse } from "./conversation.ts";
import { type Account, type Kind, KINDS, MANUAL } from "./kinds.ts";
import { Watch } from "./watch.ts";

export type ClientCommands = {
  /** `ports`: where to dial for each kind, one after the other. */
  begin: (plan: { links: number; seed: number; ports: Record<Kind, number[]> }) => void;
  /** No new links: those that are there say what they have to say and end. */
  finish: () => Promise<void>;
  /** Of the links that have ended since it was last asked. */
  take: () => { accounts: Account[]; open: number };
  /** Since the last time it was asked for. */
  peak: () => Partial<Footprint>;
  footprint: () => Promise<Footprint>;
  close: () => Promise<Footprint>;
};

const LIFETIME_MS = [3_000, 40_000] as const;
/** Short enough for a black hole to be noticed while it lasts. */
const QUICK: OpenOptions = {
  keepalive: { pingAfterMs: 500, suspectAfterMs: 500 },
  reconnect: { minDelayMs: 50, maxDelayMs: 1_000 },
  allowHalfOpen: true,
};
const OPTIONS: Record<Kind, OpenOptions> = {
  "trySend, onMessage": {},
  "send, for await": {},
  "until accepted, receive": {},
  "manual acceptance": { manualAcceptance: MANUAL },
  duplex: { mode: "bytes" },
  TLS: { tls: { rejectUnauthorized: false } },
};

const watch = new Watch();
const manager = new ConnectionManager();
let accounts: Account[] = [];
let peak = new Peak();
let ids = 0;
let open = 0;
let stop = new AbortController();
let slots: Promise<void>[] = [];

/** One link after the other, of one kind. */
async function keepOne(kind: Kind, port: number, draw: Draw): Promise<void> {
  const { signal } = stop;
  while (!signal.aborted) {
    const id = ++ids;
    const openPayload = JSON.stringify({ id, kind });
    const link = manager.open({ host: "127.0.0.1", port, ...QUICK, ...OPTIONS[kind], openPayload });
    watch.made(link);
    open++;
    // A signal of its own, so that nothing holds on to the link when it has ended.
    const its = new AbortController();
    const lifetime = new AbortController();
    const lived = sleep(draw.between(...LIFETIME_MS), undefined, { signal: AbortSignal.any([signal, lifetime.signal]) })
      .catch(() => {})
      .finally(() => its.abort());
    const account = await converse({ id, kind, side: "client", link, stop: its.signal, never: watch.never });
    accounts.push(account);
    lifetime.abort();
    await lived;
    open--;
  }
}

answerCalls({
  begin: ({ links, seed, ports }) => {
    stop = new AbortController();
    setInterval(() => peak.look(), 200).unref();
    slots = Array.from({ length: links }, (_, slot) => {
      const kind = KINDS[slot % KINDS.length] as Kind;
      const places = ports[kind];
      const port = places[Math.floor(slot / KINDS.length) % places.length] as number;
      return keepOne(kind, port, new Draw(seed + slot));
    });
  },
  finish: async () => {
    stop.abort();
    await Promise.all(slots);
    slots = [];
  },
  take: () => {
    const taken = accounts;
    accounts = [];
    return { accounts: taken, open };
  },
  peak: () => {
    const { most } = peak;
    peak = new Peak();
    return most;
  },
  footprint: () => footprint(watch.counts),
  close: async () => {
    await manager.close();
    return footprint(watch.counts);
  },
} satisfies ClientCommands);
