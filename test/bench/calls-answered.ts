/** A process that answers calls, for calls.test.ts. */
import { answerCalls } from "../../bench/calls.ts";

const commands = {
  double: async (number: number) => 2 * number,
  never: () => new Promise(() => {}),
  leave: () => process.exit(3),
};
export type Answered = typeof commands;

answerCalls(commands);
