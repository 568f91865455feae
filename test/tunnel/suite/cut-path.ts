/** The path between the two ends, in a process of its own: it is cut again and again, by a reset and by a black hole in turn. */
import { faultRelay, type FaultRelay } from "../../../src/testing/index.ts";
import { answerCalls } from "../../../bench/calls.ts";

export type CutPathCommands = {
  /** Answers the port of the path to `port`. */
  open(port: number): Promise<number>;
  /** The first cut is after so long, and so are all that follow. */
  cutEvery(ms: number): void;
  blackHole(): void;
  cuts(): Cuts;
};

export interface Cuts {
  /** Each has closed all connections of its moment. */
  resets: number;
  /** Each has left all connections of its moment open, and none of them brings a byte ever again. New ones do. */
  blackHoles: number;
}

const cuts: Cuts = { resets: 0, blackHoles: 0 };
let relay: FaultRelay | undefined;

answerCalls({
  open: async (port) => {
    relay = await faultRelay({ port });
    return relay.port;
  },
  cutEvery: (ms) => void setInterval(cut, ms),
  blackHole,
  cuts: () => cuts,
} satisfies CutPathCommands);

function cut(): void {
  if (cuts.resets > cuts.blackHoles) {
    blackHole();
  } else {
    relay?.cut("rst");
    cuts.resets++;
  }
}

function blackHole(): void {
  relay?.blackHole();
  // For new connections only.
  relay?.heal();
  cuts.blackHoles++;
}
