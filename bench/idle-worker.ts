/** Either end of many conversations on which nothing happens. It keeps nothing for each of them but what that takes. */
import { setTimeout as sleep } from "node:timers/promises";
import { connector, listen, type Side } from "./contenders.ts";
import { answerCalls } from "./calls.ts";
import { collectGarbage, given, type Sample, sample } from "./worker.ts";

export type IdleCommands = {
  listen(): Promise<number>;
  /** Resolves when so many conversations more are connected. */
  open(options: { port: number; conversations: number }): Promise<void>;
  /** For a process that was started with exposeGc: what is left when the garbage is gone. */
  settle(): Promise<Sample>;
  sample(): Sample;
};

/** Openings under way at once. */
const BATCH = 250;
/** The limits on how fast links are opened are lifted: it is about what they take when they are. */
const LIFTED = 1_000_000;

const side = given() as Side;
const open = connector(side, { maxDialsInFlight: LIFTED, maxDialsPerSecond: LIFTED });
let messages = 0;

answerCalls({
  listen: () => listen(side, (accepted) => accepted.onMessage(count), { limits: { opensPerSecond: LIFTED } }),
  open: async ({ port, conversations }) => {
    for (let opened = 0; opened < conversations; opened += BATCH) {
      await Promise.all(Array.from({ length: Math.min(BATCH, conversations - opened) }, () => open(port).connected()));
    }
  },
  settle: async () => {
    for (let time = 0; time < 4; time++) {
      collectGarbage();
      await sleep(250);
    }
    return sample(messages);
  },
  sample: () => sample(messages),
} satisfies IdleCommands);

function count(): void {
  messages += 1;
}
