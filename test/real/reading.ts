/** Whether the files of a process are kept waiting. */
import { readFile } from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { percentile } from "../../bench/statistics.ts";

export interface Reading {
  path: string;
  /** For so long a file is read every 10 ms. */
  ms: number;
}

const EVERY_MS = 10;

/** The 99th percentile of the time that it took. */
export async function readingMs({ path, ms }: Reading): Promise<number> {
  const tookMs: Promise<number>[] = [];
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs) {
    tookMs.push(readOnce(path));
    await sleep(EVERY_MS);
  }
  return percentile(await Promise.all(tookMs), 0.99);
}

async function readOnce(path: string): Promise<number> {
  const beganMs = performance.now();
  await readFile(path);
  return performance.now() - beganMs;
}
