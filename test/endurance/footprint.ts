/** What a process holds, and whether that is what it held before. Needs --expose-gc. */
import { readdirSync } from "node:fs";

export interface Footprint {
  /** What is alive when the garbage is gone. */
  heapBytes: number;
  /** Buffers and the like, outside of V8's heap. */
  externalBytes: number;
  rssBytes: number;
  /** Open files, sockets included. */
  descriptors: number;
  /** By Node's own names: "Timeout", "TCPSocketWrap", ...; and whatever else was counted. */
  resources: Record<string, number>;
  /** Of `process`. */
  listeners: number;
}

/** After the garbage is gone. `counts` is asked then for what else there is. */
export async function footprint(counts: () => Record<string, number> = () => ({})): Promise<Footprint> {
  await collectGarbage();
  const { heapUsed, external, rss } = process.memoryUsage();
  const resources: Record<string, number> = {};
  for (const name of process.getActiveResourcesInfo()) {
    // The immediate that has brought us here.
    if (name !== "Immediate") resources[name] = (resources[name] ?? 0) + 1;
  }
  const listeners = process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
  return {
    heapBytes: heapUsed,
    externalBytes: external,
    rssBytes: rss,
    // One of them is the listing's own.
    descriptors: readdirSync("/proc/self/fd").length - 1,
    resources: { ...resources, ...counts() },
    listeners,
  };
}

/** What finalizers free, and what they let go of in turn, takes a round of its own each. */
async function collectGarbage(): Promise<void> {
  if (globalThis.gc === undefined) throw new Error("needs --expose-gc");
  for (let round = 0; round < 4; round++) {
    globalThis.gc({ type: "major", execution: "sync", flavor: "last-resort" });
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** By how much each may have grown. */
export interface Allowed {
  heapBytes: number;
  externalBytes: number;
  rssBytes: number;
  /** What is there at some moments and at others not: so many of it are none too many. */
  resources: Record<string, number>;
}

/** What has grown by more than is allowed, or differs where nothing may; empty if the process is back where it was. */
export function grown(before: Footprint, after: Footprint, allowed: Allowed): string[] {
  const found: string[] = [];
  for (const name of ["heapBytes", "externalBytes", "rssBytes"] as const) {
    const by = after[name] - before[name];
    if (by > allowed[name]) found.push(`${name} has grown by ${mib(by)} MiB; allowed are ${mib(allowed[name])}`);
  }
  for (const name of ["descriptors", "listeners"] as const) {
    if (after[name] > before[name]) found.push(`${name}: ${before[name]} before, ${after[name]} after`);
  }
  for (const [name, count] of Object.entries(after.resources)) {
    const was = before.resources[name] ?? 0;
    if (count > Math.max(was, allowed.resources[name] ?? 0)) found.push(`${name}: ${was} before, ${count} after`);
  }
  return found;
}

/** A table with a column for each moment. `peak`s have only what can be told without collecting garbage. */
export function table(title: string, columns: Record<string, Partial<Footprint>>): string[] {
  const moments = Object.values(columns);
  const names = [...new Set(moments.flatMap(({ resources = {} }) => Object.keys(resources)))].toSorted();
  const row = (name: string, of: (moment: Partial<Footprint>) => number | string | undefined): string =>
    `  ${name.padEnd(22)}${moments.map((moment) => String(of(moment) ?? "").padStart(12)).join("")}`;
  const bytes = (value: number | undefined): string | undefined =>
    value === undefined ? undefined : `${mib(value)} MiB`;
  return [
    `${title.padEnd(24)}${Object.keys(columns)
      .map((name) => name.padStart(12))
      .join("")}`,
    row("heap", ({ heapBytes }) => bytes(heapBytes)),
    row("external", ({ externalBytes }) => bytes(externalBytes)),
    row("RSS", ({ rssBytes }) => bytes(rssBytes)),
    row("descriptors", ({ descriptors }) => descriptors),
    row("listeners", ({ listeners }) => listeners),
    ...names.map((name) =>
      row(name, ({ resources }) => (resources === undefined ? undefined : (resources[name] ?? 0))),
    ),
  ];
}

/** The most of what can be told at any time, as often as it is looked. */
export class Peak {
  readonly most = { heapBytes: 0, externalBytes: 0, rssBytes: 0, descriptors: 0 };

  look(): void {
    const { heapUsed, external, rss } = process.memoryUsage();
    const { most } = this;
    most.heapBytes = Math.max(most.heapBytes, heapUsed);
    most.externalBytes = Math.max(most.externalBytes, external);
    most.rssBytes = Math.max(most.rssBytes, rss);
    most.descriptors = Math.max(most.descriptors, readdirSync("/proc/self/fd").length - 1);
  }
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1);
}
