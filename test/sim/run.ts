/** One run: the faults of a schedule happen to its world, which then heals, and must come to rest with nothing wrong. */
import { checkAccounts } from "./accounts.ts";
import { draw } from "./draw.ts";
import { disturb } from "./faults.ts";
import type { Schedule } from "./schedule.ts";
import { Violation } from "./stage.ts";
import { World } from "./world.ts";

export interface RunResult {
  counts: Map<string, number>;
  trace: string[];
  /** Two runs of the same schedule have the same. */
  hash: string;
}

/** What went wrong, and what led to it. */
export class Failure extends Error {
  override readonly name = "Failure";
  readonly schedule: Schedule;
  readonly trace: readonly string[];

  constructor(schedule: Schedule, trace: readonly string[], cause: Error) {
    super(cause.message, { cause });
    this.schedule = schedule;
    this.trace = trace;
  }

  /** The same for failures that differ in numbers and names only. */
  get violation(): string {
    const [what = ""] = this.message.split(/[;\n]/);
    return what
      .replaceAll(/(client|server)-\d+( for client-\d+)?/g, "an end")
      .replaceAll(/\b[0-9a-f]{32}\b/g, "#")
      .replaceAll(/\d+(\.\d+)?(,\d+)*/g, "#");
  }
}

/** After the faults both applications hear how it ended within this, the time that they take themselves apart. */
const HEALED_WITHIN_MS = 120_000;
/** A connection that brings nothing is closed by the server after two minutes. */
const AT_REST_WITHIN_MS = 200_000;

/** Throws a `Failure` if anything is wrong. */
export function runSeed(seed: number): RunResult {
  return runSchedule(draw(seed));
}

export function runSchedule(schedule: Schedule, verbose = false): RunResult {
  const world = new World(schedule.seed, schedule.options, verbose);
  try {
    run(world, schedule);
  } catch (error) {
    throw error instanceof Error ? new Failure(schedule, world.trace, error) : error;
  }
  return { counts: world.counts, trace: world.trace, hash: world.hash };
}

/** Twice the same schedule must take the same course. */
export function runTwice(schedule: Schedule, verbose = false): RunResult {
  const [first, second] = [runSchedule(schedule, verbose), runSchedule(schedule, verbose)];
  if (first.hash === second.hash) return second;
  const at = first.trace.findIndex((line, n) => line !== second.trace[n]);
  const courses = `${first.trace[at] ?? "the end"} | ${second.trace[at] ?? "the end"}`;
  throw new Failure(schedule, second.trace, new Violation(`two runs took different courses; ${courses}`));
}

function run(world: World, { faults }: Schedule): void {
  disturb(world, faults);
  world.heal();
  const { clients, servers, options } = world;
  const { consumerMs, latencyMs, commitMs, messages, resumeForMs, handshakeMs } = options;
  // With the smallest windows each message takes a round trip or two.
  const ownMs = (2 * consumerMs + 8 * latencyMs + 4 * commitMs) * (messages.client + messages.server);
  const hasEnded = (): boolean => clients.every(({ end }) => end.outcome !== undefined);
  world.runUntil(hasEnded, ownMs + HEALED_WITHIN_MS, "ended after the faults");
  const isAtRest = (): boolean =>
    clients.every(({ core }) => core.gone) &&
    servers.every(({ core }) => core.sessions + core.handshakes + core.attached + core.forwarding === 0);
  world.runUntil(isAtRest, 2 * resumeForMs + handshakeMs + ownMs + AT_REST_WITHIN_MS, "at rest after the faults");
  checkAccounts(world, faults);
}
