/** What is measured, in which unit, and what is to be reached. The figures of a run are put beside it by `report.ts`. */

/** What a goal is about: our figure, or our figure through the reference's. */
export type Goal = { of: "ratio" | "ours" } & ({ atLeast: number } | { atMost: number });

export interface RowDefinition {
  unit: string;
  /** null: shown beside others, to explain them. */
  goal: Goal | null;
}

const RATE = "messages/s";
const CPU = "ns/message, both ends";

/** A queue of 16 MiB (`queue.maxBytes`) and a log of what is in flight, at most the peer's window of 8 MiB. */
const SENDER_HOLDS = { of: "ours", atMost: 24 } as const;
/** A window of 8 MiB (`window.maxBytes`), and as much again for chunks that views of it keep whole. */
const RECEIVER_HOLDS = { of: "ours", atMost: 16 } as const;
/** When garbage is collected makes it go up and down by some. */
const NO_GROWTH = { of: "ours", atMost: 1.2 } as const;
/** A raw socket takes one round trip, a link one more; a tenth of one for the work. */
const FIRST_MESSAGE = { of: "ratio", atMost: 2.1 } as const;
/** 1.1 times `maxDialsPerSecond`, in any second. */
const BUSIEST = { of: "ours", atMost: 220 } as const;
/** With 200 dials a second the last of a thousand links is dialled after 5 s. */
const ALL_BACK = { of: "ours", atMost: 8 } as const;
const IN_TEN_SECONDS = { of: "ours", atMost: 10 } as const;

export const ROWS = {
  "one way, 64 B": { unit: RATE, goal: { of: "ratio", atLeast: 0.75 } },
  "one way, 1 KiB": { unit: RATE, goal: { of: "ratio", atLeast: 0.85 } },
  "one way, 64 KiB copied": { unit: RATE, goal: { of: "ratio", atLeast: 0.85 } },
  "one way, 64 KiB transferred": { unit: RATE, goal: { of: "ratio", atLeast: 1 } },
  "one way, 64 KiB transferred, raw uncopied too": { unit: RATE, goal: null },
  "one way, 64 B, CPU": { unit: CPU, goal: { of: "ratio", atMost: 1.35 } },
  "one way, 1 KiB, CPU": { unit: CPU, goal: null },
  "one way, 64 KiB copied, CPU": { unit: CPU, goal: null },
  "one way, 64 KiB transferred, CPU": { unit: CPU, goal: null },
  "one way, 64 KiB transferred, raw uncopied too, CPU": { unit: CPU, goal: null },
  "both directions busy, 64 B": { unit: RATE, goal: { of: "ratio", atLeast: 0.75 } },
  "both directions busy, 64 B, CPU": { unit: CPU, goal: null },
  "received by for await, 64 B": { unit: RATE, goal: { of: "ours", atLeast: 2_500_000 } },
  "received by for await, 64 B, CPU": { unit: CPU, goal: null },
  "await send(), 64 B": { unit: RATE, goal: { of: "ours", atLeast: 1_500_000 } },
  "await send(), 64 B, CPU": { unit: CPU, goal: null },
  "until accepted, 1,000 in flight, 64 B": { unit: RATE, goal: { of: "ours", atLeast: 500_000 } },
  "until accepted, 1,000 in flight, 64 B, CPU": { unit: CPU, goal: null },
  "one way, plain lines of 100 B": { unit: RATE, goal: { of: "ratio", atLeast: 0.75 } },
  "one way, plain lines of 100 B, CPU": { unit: CPU, goal: null },
  "one way, 64 B, a queue with a policy beside one without": { unit: RATE, goal: { of: "ratio", atLeast: 0.9 } },
  "supervised beside not, one way, 64 B": { unit: RATE, goal: { of: "ratio", atLeast: 0.97 } },
  "supervised beside not, round trip, 64 B, p50": { unit: "us", goal: { of: "ratio", atMost: 1.03 } },
  "duplex() piped, 64 KiB chunks": { unit: "chunks/s", goal: { of: "ratio", atLeast: 0.9 } },
  "duplex() piped, 64 KiB chunks, CPU": { unit: CPU, goal: null },
  "round trip, 64 B, one in flight, p50": { unit: "us", goal: { of: "ratio", atMost: 1.15 } },
  "round trip, 64 B, one in flight, p99": { unit: "us", goal: { of: "ratio", atMost: 1.3 } },
  "first message on a new link, 100 ms away, answered after": { unit: "ms", goal: FIRST_MESSAGE },
  "5,000 idle links, RSS a link on the server": { unit: "bytes", goal: { of: "ours", atMost: 6_000 } },
  "5,000 idle links, CPU of the server": { unit: "%", goal: { of: "ours", atMost: 1 } },
  "1,000 links with 20 messages/s each, server's loop delay, p99": { unit: "ms", goal: { of: "ratio", atMost: 1.5 } },
  "1,000 links with 20 messages/s each, slowest link through the mean": {
    unit: "",
    goal: { of: "ours", atLeast: 0.5 },
  },
  "10,000 links cut at once, dial limits lifted, all resumed after": { unit: "s", goal: null },
  "10,000 links cut at once, dial limits lifted, server's loop delay, p99": {
    unit: "ms",
    goal: { of: "ours", atMost: 100 },
  },
  "10,000 links cut at once, default limits, all resumed after": { unit: "s", goal: null },
  "10,000 links cut at once, default limits, server's loop delay, p99": { unit: "ms", goal: null },
  "herd, 1,000 durable links, server away for 2 s, dials in the busiest second": { unit: "dials", goal: BUSIEST },
  "herd, 1,000 durable links, server away for 2 s, all back after": { unit: "s", goal: ALL_BACK },
  "herd, 100 durable links, dial limits lifted, server accepts and closes, dials a link from 10 to 20 s": {
    unit: "dials",
    goal: IN_TEN_SECONDS,
  },
  "herd, 1,000 plain links, server away for 2 s, dials in the busiest second": { unit: "dials", goal: BUSIEST },
  "herd, 1,000 plain links, server away for 2 s, all back after": { unit: "s", goal: ALL_BACK },
  "herd, 100 plain links, dial limits lifted, server accepts and closes, dials a link from 10 to 20 s": {
    unit: "dials",
    goal: IN_TEN_SECONDS,
  },
  "recovery, cut and the path accepts at once, p50": { unit: "ms", goal: { of: "ours", atMost: 150 } },
  "recovery, cut and the path accepts at once, p99": { unit: "ms", goal: { of: "ours", atMost: 500 } },
  "recovery, outage of 20 s, p99 from the path's return": { unit: "ms", goal: { of: "ours", atMost: 2_000 } },
  "recovery, black hole of 1 s, p99 from its start": { unit: "ms", goal: { of: "ours", atMost: 5_000 } },
  "recovery, black hole of 300 ms, suspectAfterMs 250, p99 from its start": {
    unit: "ms",
    goal: { of: "ours", atMost: 1_000 },
  },
  "goodput with a cut every second, 1 KiB, beside none": { unit: RATE, goal: { of: "ratio", atLeast: 0.8 } },
  "memory at full speed, 1 KiB, held by the sender": { unit: "MiB", goal: SENDER_HOLDS },
  "memory at full speed, 1 KiB, held by the receiver": { unit: "MiB", goal: RECEIVER_HOLDS },
  "memory at full speed, 1 KiB, RSS of the sender": { unit: "MiB", goal: null },
  "memory at full speed, 1 KiB, RSS of the receiver": { unit: "MiB", goal: null },
  "memory at full speed, 1 KiB, RSS of both, last quarter through the second": { unit: "", goal: NO_GROWTH },
  "line of 8 MiB in chunks of 1,460 B, decoded in": { unit: "ms", goal: { of: "ours", atMost: 50 } },
  "sampler, all resources read once": { unit: "us", goal: null },
  "sampler, share of a core": { unit: "%", goal: { of: "ours", atMost: 1 } },
  "Redis, SET and GET, 1,000 in flight": { unit: "requests/s", goal: { of: "ratio", atLeast: 1.5 } },
  "Redis, SET and GET, 1,000 in flight, CPU": { unit: "ns/request, the client", goal: null },
  "Redis, SET and GET, one in flight, p50": { unit: "us", goal: { of: "ratio", atMost: 1.1 } },
} as const satisfies Record<string, RowDefinition>;

export type RowName = keyof typeof ROWS;

/** Whether more of it is better: rates and shares, not what something takes. */
export function isMoreBetter(name: RowName): boolean {
  const { unit, goal }: RowDefinition = ROWS[name];
  return goal === null ? unit.endsWith("/s") : "atLeast" in goal;
}

/** These rows need a Redis server and ioredis, and are measured only where `--only` names them. */
export const ONLY_BY_NAME: ReadonlySet<RowName> = new Set<RowName>([
  "Redis, SET and GET, 1,000 in flight",
  "Redis, SET and GET, 1,000 in flight, CPU",
  "Redis, SET and GET, one in flight, p50",
]);

/** What no change may make worse unless it says so. */
export const GUARDED: ReadonlySet<RowName> = new Set<RowName>([
  "one way, 64 B",
  "one way, 64 B, CPU",
  "one way, 1 KiB",
  "one way, 1 KiB, CPU",
  "one way, 64 KiB copied",
  "one way, 64 KiB copied, CPU",
  "one way, 64 KiB transferred",
  "one way, 64 KiB transferred, CPU",
  "round trip, 64 B, one in flight, p50",
  "round trip, 64 B, one in flight, p99",
  "5,000 idle links, RSS a link on the server",
]);
