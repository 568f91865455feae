/** The options of `npm run bench`. */
import { parseArgs } from "node:util";

import type { Settings } from "./scenario.ts";

export const HELP = `npm run bench -- [options]

  --only TEXT           rows whose name contains TEXT
  --rounds N            how often each row is measured, default 5
  --seconds N           how long a measurement at full speed takes, default 1
  --memory-seconds N    how long memory is watched under load, default 20
  --peers               beside it what users would pick instead: installs packages and a NATS server the first time.
                        With --only peers, nothing else
  --json                one object as the last line of stdout
  --markdown            tables as docs/performance.md has them
  --profile             one round, and the functions that took the most time in each process
  --help                this`;

export class OptionError extends Error {}

export interface Options extends Settings {
  /** Of `wants`, for messages. */
  only: string;
  rounds: number;
  json: boolean;
  markdown: boolean;
  profile: boolean;
  peers: boolean;
}

/** Throws OptionError. */
export function readOptions(args: readonly string[]): Options | "help" {
  const values = parse(args);
  if (values.help) return "help";
  return {
    only: values.only,
    wants: (row) => row.includes(values.only),
    rounds: positive("--rounds", values.rounds, Number.isInteger),
    seconds: positive("--seconds", values.seconds),
    memorySeconds: positive("--memory-seconds", values["memory-seconds"]),
    json: values.json,
    markdown: values.markdown,
    profile: values.profile,
    peers: values.peers,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        only: { type: "string", default: "" },
        rounds: { type: "string", default: "5" },
        seconds: { type: "string", default: "1" },
        "memory-seconds": { type: "string", default: "20" },
        markdown: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        profile: { type: "boolean", default: false },
        peers: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new OptionError((error as Error).message);
  }
}

function positive(name: string, text: string, also: (value: number) => boolean = Number.isFinite): number {
  const value = Number(text);
  if (!(value > 0) || !also(value)) {
    throw new OptionError(`${name}: "${text}" is not a ${also === Number.isInteger ? "whole " : ""}number above 0`);
  }
  return value;
}
