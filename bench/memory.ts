/** Memory at full speed: it stays below what the options of a link say that it may hold. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Side } from "./contenders.ts";
import type { Crew, Worker } from "./crew.ts";
import type { RowName } from "./rows.ts";
import type { Figures, Scenario } from "./scenario.ts";
import type { ThroughputCommands, Traffic } from "./throughput-worker.ts";

const NAME = "memory at full speed, 1 KiB";
const ENDS = ["sender", "receiver"] as const;
const LOOK_MS = 250;
/** Forced collections change what the system sees of a process: they come last. */
const HELD_LOOKS = 10;
/** Long enough for what is compared with. */
const REFERENCE_SECONDS_MAX = 20;
const MIB = 2 ** 20;

export const memory: Scenario = {
  name: NAME,
  rows: [
    ...ENDS.flatMap((end): RowName[] => [`${NAME}, held by the ${end}`, `${NAME}, RSS of the ${end}`]),
    `${NAME}, RSS of both, last quarter through the second`,
  ],
  sides: ["ours", "reference"],
  roundsMax: 1,
  async measure(side, crew, { memorySeconds }) {
    const { sender, receiver } = await watch(
      side,
      crew,
      side === "ours" ? memorySeconds : Math.min(memorySeconds, REFERENCE_SECONDS_MAX),
    );
    const rss = {
      [`${NAME}, RSS of the sender`]: Math.max(...sender.rss) / MIB,
      [`${NAME}, RSS of the receiver`]: Math.max(...receiver.rss) / MIB,
    };
    // A raw socket holds nothing. Its RSS is there to compare with: Node itself, garbage, the sockets' buffers.
    if (side === "reference") return rss;
    const both = sender.rss.map((bytes, at) => bytes + (receiver.rss[at] as number));
    return {
      ...rss,
      [`${NAME}, held by the sender`]: Math.max(...sender.held) / MIB,
      [`${NAME}, held by the receiver`]: Math.max(...receiver.held) / MIB,
      [`${NAME}, RSS of both, last quarter through the second`]: mostIn(both, 0.75, 1) / mostIn(both, 0.25, 0.5),
    } satisfies Figures;
  },
};

/** Of one process: what it held beyond what it had before there was a conversation, and what the system gave it. */
type Seen = { held: number[]; rss: number[] };

async function watch(side: Side, crew: Crew, seconds: number): Promise<Record<(typeof ENDS)[number], Seen>> {
  const traffic: Traffic = { side, bytes: 1_024, send: "copy", receive: "handler", bothWays: false };
  const start = (role: string): Worker<ThroughputCommands> =>
    crew.start<ThroughputCommands>("throughput-worker.ts", role, traffic, { exposeGc: true });
  const workers = { sender: start("sender"), receiver: start("receiver") };
  const before = { sender: await workers.sender.call("heldBytes"), receiver: await workers.receiver.call("heldBytes") };
  const seen = { sender: { held: [], rss: [] } as Seen, receiver: { held: [], rss: [] } as Seen };
  await workers.sender.call("connect", await workers.receiver.call("listen"));
  for (const endMs = performance.now() + 1_000 * seconds; performance.now() < endMs; await sleep(LOOK_MS)) {
    for (const end of ENDS) seen[end].rss.push((await workers[end].call("sample")).rssBytes);
  }
  for (let look = 0; look < HELD_LOOKS; look++, await sleep(LOOK_MS)) {
    for (const end of ENDS) seen[end].held.push((await workers[end].call("heldBytes")) - before[end]);
  }
  await workers.receiver.call("received", await workers.sender.call("stop"));
  return seen;
}

function mostIn(values: readonly number[], from: number, to: number): number {
  return Math.max(...values.slice(Math.floor(from * values.length), Math.ceil(to * values.length)));
}
