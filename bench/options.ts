/** The options of `npm run bench`. */
import { parseArgs, type ParseArgsOptionsConfig } from "node:util";

import { PAIRS } from "./comparison.ts";
import { GUARDED, ONLY_BY_NAME } from "./rows.ts";
import type { Settings } from "./scenario.ts";
import { PAIRS_MIN } from "./statistics.ts";

export const HELP = `npm run bench -- [options]          what a link costs beside a raw socket
npm run bench -- faults [options]   what a link and a raw socket lose, double and reorder under nine faults, and their
                                    longest gaps

  --only TEXT           rows whose name contains TEXT; may be given several times. --only Redis: beside ioredis, which is
                        installed the first time; needs redis-server
  --rounds N            how often each row is measured, default 5, with --against ${PAIRS}
  --seconds N           how long a measurement at full speed takes, default 1
  --memory-seconds N    how long memory is watched under load, default 20
  --peers               beside it what users would pick instead: installs packages and a NATS server the first time.
                        With --only peers, nothing else
  --against REF         this tree and commit REF in turns, and the interval of their ratio. Without --only: the rows
                        that no change may make worse
  --json                one object as the last line of stdout
  --markdown            tables as docs/performance.md has them
  --profile             one round, and the functions that took the most time in each process
  --help                this

with faults:
  --peers               beside them what users would pick instead: installs packages and a NATS server the first time;
                        needs mosquitto and redis-server. About a quarter of an hour
  --only TEXT           contenders whose name contains TEXT; may be given several times
  --report FILE         a report as one HTML file
  --json, --markdown    as above`;

export class OptionError extends Error {}

export interface Options extends Omit<Settings, "show"> {
  /** Of `wants`, for messages. */
  only: readonly string[];
  /** Another commit to compare with. */
  against: string | undefined;
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
  const { only = [], against } = values;
  if (against !== undefined && (values.peers || values.profile)) {
    throw new OptionError("--against compares two checkouts: neither --peers nor --profile go with it");
  }
  const rounds = positive("--rounds", values.rounds ?? (against === undefined ? "5" : `${PAIRS}`), Number.isInteger);
  if (against !== undefined && rounds < PAIRS_MIN) {
    throw new OptionError(`--rounds: ${rounds} are too few for an interval: ${PAIRS_MIN} at least with --against`);
  }
  return {
    only,
    wants: (row) => {
      if (only.length > 0) return only.some((text) => row.includes(text));
      return against === undefined ? !ONLY_BY_NAME.has(row) : GUARDED.has(row);
    },
    against,
    rounds,
    seconds: positive("--seconds", values.seconds),
    memorySeconds: positive("--memory-seconds", values["memory-seconds"]),
    json: values.json,
    markdown: values.markdown,
    profile: values.profile,
    peers: values.peers,
  };
}

function parse(args: readonly string[]) {
  return parsed(args, {
    only: { type: "string", multiple: true },
    against: { type: "string" },
    rounds: { type: "string" },
    seconds: { type: "string", default: "1" },
    "memory-seconds": { type: "string", default: "20" },
    markdown: { type: "boolean", default: false },
    json: { type: "boolean", default: false },
    profile: { type: "boolean", default: false },
    peers: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  });
}

/** Throws OptionError. */
export function parsed<const Known extends ParseArgsOptionsConfig>(args: readonly string[], options: Known) {
  try {
    return parseArgs({ args: [...args], options }).values;
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
