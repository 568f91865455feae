/** The server of `restart.ts`: counts what it accepts and opens, and how long its event loop keeps others waiting. */
import { channel } from "node:diagnostics_channel";
import { monitorEventLoopDelay } from "node:perf_hooks";
import { answerCalls } from "../../bench/calls.ts";
import { LoopDelay, type LoopFigures } from "../../bench/loop-delay.ts";
import { mostWithin } from "../../bench/statistics.ts";
import { type Limits, ServerSupervisor } from "../../src/index.ts";
import type { Reported } from "./server.ts";

export type RestartCommands = {
  listen: (options: { port: number; limits: Limits }) => Promise<void>;
  /** Resolves when so many links were opened: the server has a link a moment after its client is connected. */
  opened: (links: number) => Promise<void>;
  figures: () => RestartFigures;
};

/** Since the server was told to listen. */
export interface RestartFigures {
  /** Of the event loop's delays, the 99th percentile in milliseconds. */
  p99Ms: number;
  /** The same of moments drawn at random: a long delay weighs more. */
  ofMoments: LoopFigures;
  accepts: Counted;
  opens: Counted;
  turnedAway: Record<string, number>;
  reports: Reported[];
}

export interface Counted {
  all: number;
  /** The most within any second. */
  inSecond: number;
  /** The same of any ten seconds. */
  inTenSeconds: number;
}

const RESOLUTION_MS = 10;
const NS_PER_MILLISECOND = 1e6;

const acceptsMs: number[] = [];
const opensMs: number[] = [];
const reports: Reported[] = [];
const delays = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
const moments = new LoopDelay();
let whenOpened = (): void => {};
let supervisor: ServerSupervisor | undefined;

// Counted where Node makes the sockets: all connections, those that are refused too.
channel("net.server.socket").subscribe(() => void acceptsMs.push(performance.now()));

function counted(timesMs: readonly number[]): Counted {
  return {
    all: timesMs.length,
    inSecond: mostWithin(timesMs, 1_000),
    inTenSeconds: mostWithin(timesMs, 10_000),
  };
}

answerCalls({
  listen: async ({ port, limits }) => {
    delays.enable();
    moments.start();
    supervisor = new ServerSupervisor({ port, host: "127.0.0.1", limits });
    supervisor.on("overload", (report) => void reports.push({ ...report, atMs: performance.now() }));
    supervisor.serve((link) => {
      opensMs.push(performance.now());
      whenOpened();
      link.onMessage(() => {});
    });
    await supervisor.listen();
  },
  opened: (links) =>
    new Promise((resolve) => {
      whenOpened = () => void (opensMs.length >= links && resolve());
      whenOpened();
    }),
  figures: () => ({
    // The delays include the time for which the histogram's own timer waits.
    p99Ms: Math.max(0, delays.percentile(99) / NS_PER_MILLISECOND - RESOLUTION_MS),
    ofMoments: moments.take(),
    accepts: counted(acceptsMs),
    opens: counted(opensMs),
    turnedAway: (supervisor as ServerSupervisor).stats().turnedAway,
    reports,
  }),
} satisfies RestartCommands);
