/** What `npm run sim` is told. */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";

export interface Arguments {
  /** Seeds `from` to `from + seeds - 1`. Undefined: what the file to resume says, or the default. */
  seeds: number | undefined;
  from: number | undefined;
  /** Only this one, or the schedule in a file. */
  seed: number | undefined;
  schedule: string | undefined;
  trace: boolean;
  twice: boolean;
  resume: string | undefined;
  /** Where failing schedules are written. */
  out: string;
  workers: number;
}

export const USAGE = `usage: npm run sim -- [options]

  --seeds N         so many seeds (5000)
  --from S          beginning with this one (1)
  --seed S          only this one
  --schedule FILE   only the schedule in the file, as a failing seed leaves it
  --trace           with one seed or schedule: everything that happened, frame by frame
  --twice           each one is run twice, and must take the same course
  --resume FILE     keeps what is done and what occurred in the file, and goes on from there
  --workers N       threads (as many as there are processors)
  --out DIR         where failing schedules are written, shrunk (.cache/sim)
  --help

Exits 0 if all passed, and with 5,000 seeds or more if all occurred that is to be tested; 1 if not; 64 if it was called
wrongly; 130 if it was interrupted, in which case --resume goes on.`;

export class UsageError extends Error {}

const ONE = ["seed", "schedule"] as const;
const MANY = ["seeds", "from", "resume", "workers"] as const;

/** Undefined: help is wanted. */
export function parseArguments(args: readonly string[]): Arguments | undefined {
  const values = parse(args);
  if (values.help === true) return undefined;
  const [one, another] = ONE.filter((name) => values[name] !== undefined);
  const many = MANY.find((name) => values[name] !== undefined);
  if (another !== undefined) throw new UsageError(`--${one} and --${another} don't go together`);
  if (one !== undefined && many !== undefined) throw new UsageError(`--${one} and --${many} don't go together`);
  if (one === "schedule" && values.out !== undefined) {
    throw new UsageError("--out is for what is shrunk, and a --schedule is run as it is");
  }
  if (one === undefined && values.trace === true) throw new UsageError("--trace is for one --seed or --schedule");
  return {
    seeds: whole("seeds", values.seeds, 1),
    from: whole("from", values.from, 0),
    seed: whole("seed", values.seed, 0),
    schedule: values.schedule,
    trace: values.trace ?? false,
    twice: values.twice ?? false,
    resume: values.resume,
    out: values.out ?? ".cache/sim",
    workers: whole("workers", values.workers, 1) ?? availableParallelism(),
  };
}

function parse(args: readonly string[]) {
  const text = { type: "string" } as const;
  const flag = { type: "boolean" } as const;
  try {
    return parseArgs({
      args: [...args],
      strict: true,
      options: {
        seeds: text,
        from: text,
        seed: text,
        schedule: text,
        trace: flag,
        twice: flag,
        resume: text,
        workers: text,
        out: text,
        help: flag,
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function whole(name: string, text: string | undefined, least: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(value) || value < least) {
    throw new UsageError(`--${name} takes a whole number, ${least} or more: ${text}`);
  }
  return value;
}
