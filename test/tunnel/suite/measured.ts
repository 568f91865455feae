/** Loaded into each process that is measured, before its own program: it says what the process uses. */
import { statSync } from "node:fs";
import { answerCalls } from "../../../bench/calls.ts";
import { collectGarbage } from "../../../bench/worker.ts";

export type MeasuredCommands = {
  /** Since it began, in microseconds. */
  cpuUs(): number;
  /** Its resident memory without garbage. */
  restingBytes(): number;
  /** How many are open. */
  descriptors(): number;
};

answerCalls({
  cpuUs: () => {
    const { user, system } = process.cpuUsage();
    return user + system;
  },
  restingBytes: () => {
    collectGarbage();
    return process.memoryUsage.rss();
  },
  descriptors: () => statSync("/proc/self/fd").size,
} satisfies MeasuredCommands);
// The program ends as it does without us.
process.channel?.unref();
