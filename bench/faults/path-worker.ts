/** The paths that break, in a process of their own: one for each fault. */
import { type Direction, type FaultRelay, faultRelay } from "resplice/testing";
import { answerCalls } from "../calls.ts";
import { FAULTS, makeWhole, play } from "./plan.ts";

export type PathCommands = {
  /** Answers the port of a new path, on which the fault of that name will be made. */
  open(path: { fault: string; toPort: number }): Promise<number>;
  /** Resolves when that fault has been made as often as it is to be. */
  play(what: { fault: string; toReceiver: Direction }): Promise<void>;
};

const paths = new Map<string, FaultRelay>();

answerCalls({
  open: async ({ fault, toPort }) => {
    const path = await faultRelay({ port: toPort });
    makeWhole(path);
    paths.set(fault, path);
    return path.port;
  },
  play: async ({ fault, toReceiver }) => {
    const path = paths.get(fault);
    const definition = FAULTS.find(({ name }) => name === fault);
    if (path === undefined || definition === undefined) throw new Error(`no path, or no fault "${fault}"`);
    await play(path, definition, toReceiver);
  },
} satisfies PathCommands);
