/** What a measured process says of itself. */
import { writeSync } from "node:fs";

/** What the parent has given to `start()`. */
export function given(): unknown {
  return JSON.parse(process.argv[2] ?? "null");
}

/** How far this process has come. */
export interface Sample {
  /** Received until now. */
  messages: number;
  atMs: number;
  cpuUs: number;
  rssBytes: number;
}

export function sample(messages: number): Sample {
  const { user, system } = process.cpuUsage();
  return { messages, atMs: performance.now(), cpuUs: user + system, rssBytes: process.memoryUsage.rss() };
}

/**
 * What JavaScript holds when the garbage is gone, buffers included. Until it is collected garbage counts as memory of the
 * process, and how much there is of it says more about Node than about who made it.
 */
export function heldBytes(): number {
  collectGarbage();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** As thoroughly as V8 can: it gives back pages, too. */
export function collectGarbage(): void {
  if (globalThis.gc === undefined) throw new Error("needs exposeGc");
  globalThis.gc({ type: "major", execution: "sync", flavor: "last-resort" });
}

/** Ends the process, and with it the measurement: a run that lost something is no result. */
export function fail(reason: unknown): never {
  writeSync(2, `${process.argv[1] ?? ""} ${process.argv[2] ?? ""}: ${String(reason)}\n`);
  process.exit(1);
}

/** On a clock that all processes of the machine share. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
