/** Nine faults that users meet, each made several times in a row on a path of its own. */
import { setTimeout as sleep } from "node:timers/promises";
import type { Direction, FaultRelay } from "resplice/testing";

type Path = Pick<FaultRelay, "cut" | "cutAfterBytes" | "blackHole" | "stall" | "latency" | "refuse" | "heal">;

export interface FaultDefinition {
  readonly name: string;
  readonly text: string;
  /** How the report shows it. */
  readonly kind: "cut" | "hole" | "slow";
  /** How long it lasts, and from the beginning of one until the next one. */
  readonly holdMs: number;
  readonly everyMs: number;
  readonly times: number;
  /** `time` is 0 for the first one, `toReceiver` the way of the messages. */
  readonly make: (path: Path, at: { time: number; toReceiver: Direction }) => void;
}

/** Without it there is hardly anything under way when the path breaks, and losses stay hidden. */
export const LATENCY_MS = 5;
/** Different each time, and the same for all contenders: within a message, and within its framing. */
const CUT_AFTER_BYTES = [1, 137, 1_001, 4_999, 20_011];

const cuts = { kind: "cut", holdMs: 0, everyMs: 3_000, times: 5 } as const;
/** Time enough between two to notice a dead connection, with the heartbeats that all contenders have here. */
const silences = { kind: "hole", holdMs: 2_000, everyMs: 10_000, times: 2 } as const;
const other = (direction: Direction): Direction => (direction === "to-server" ? "to-client" : "to-server");

export const FAULTS: readonly FaultDefinition[] = [
  { name: "FIN", text: "the connection is closed from both sides", ...cuts, make: (path) => path.cut("fin") },
  { name: "RST", text: "the connection is reset", ...cuts, make: (path) => path.cut("rst") },
  {
    name: "RST after bytes",
    text: `the connection is reset after exactly ${CUT_AFTER_BYTES.map((bytes) => bytes.toLocaleString("en-US")).join(", ")} more bytes`,
    ...cuts,
    make: (path, { time, toReceiver: direction }) =>
      path.cutAfterBytes(CUT_AFTER_BYTES[time % CUT_AFTER_BYTES.length] as number, { direction }),
  },
  {
    name: "refused",
    text: "the connection is reset, and new ones are refused",
    kind: "cut",
    holdMs: 3_000,
    everyMs: 6_000,
    times: 3,
    make: (path) => {
      path.refuse();
      path.cut("rst");
    },
  },
  {
    name: "black hole",
    text: "bytes are dropped both ways, and the connection stays dead",
    ...silences,
    make: (path) => path.blackHole(),
  },
  {
    name: "black hole, to receiver",
    text: "the same on the way of the messages only",
    ...silences,
    make: (path, { toReceiver: direction }) => path.blackHole({ direction }),
  },
  {
    name: "black hole, to sender",
    text: "the same on the way back only",
    ...silences,
    make: (path, { toReceiver }) => path.blackHole({ direction: other(toReceiver) }),
  },
  {
    name: "stall",
    text: "bytes are held back both ways, and passed on afterwards",
    kind: "slow",
    holdMs: 6_000,
    everyMs: 10_000,
    times: 2,
    make: (path) => path.stall(),
  },
  {
    name: "latency",
    text: "each chunk takes 100 ms, and up to 200 ms more",
    kind: "slow",
    holdMs: 2_000,
    everyMs: 3_000,
    times: 5,
    make: (path) => path.latency(100, { jitterMs: 200 }),
  },
];

/** A path without a fault: as it is before the first one, and after each. */
export function makeWhole(path: Path): void {
  path.heal();
  path.latency(LATENCY_MS);
}

/** Resolves when the last one has been over for as long as it is until the next. */
export async function play(
  path: Path,
  { make, times, holdMs, everyMs }: FaultDefinition,
  toReceiver: Direction,
): Promise<void> {
  for (let time = 0; time < times; time++) {
    make(path, { time, toReceiver });
    if (holdMs > 0) {
      await sleep(holdMs);
      makeWhole(path);
    }
    await sleep(everyMs - holdMs);
  }
}
