/**
 * The table of docs/reconnecting.md: reconnect delays compared, by simulation.
 *
 *     node scripts/backoff.ts            prints it
 *     node scripts/backoff.ts --write    writes it into docs/reconnecting.md
 */
import { readFileSync, writeFileSync } from "node:fs";
import { backoffDelayMs } from "../src/core/backoff.ts";
import { seeded } from "../src/testing/random.ts";

const OUTAGES_S = [1, 20, 60, 300];
const RUNS = 2_000;

/** The delay after so many failed dials of an outage that has lasted so long, in milliseconds. */
type Policy = (failures: number, outageMs: number, random: number) => number;

const POLICIES: Record<string, Policy> = {
  "full jitter, 0.25 s doubling to 30 s": (failures, _, random) => Math.min(30_000, 250 * 2 ** failures) * random,
  "gRPC: 1 s × 1.6 to 120 s, ±20 %": (failures, _, random) =>
    Math.min(120_000, 1_000 * 1.6 ** failures) * (0.8 + 0.4 * random),
  "Socket.IO: 1 s doubling to 5 s, ±50 %": (failures, _, random) =>
    Math.min(5_000, 1_000 * 2 ** failures * (0.5 + random)),
  resplice: (failures, outageMs, random) =>
    backoffDelayMs(failures, outageMs, { minDelayMs: 500, maxDelayMs: 30_000, resetAfterMs: 10_000 }, random),
};

/** A dial during the outage fails at once. */
function simulate(policy: Policy, outageMs: number, random: () => number): { lateMs: number; dials: number } {
  let nowMs = 0;
  for (let failures = 0; ; failures++) {
    nowMs += policy(failures, nowMs, random());
    if (nowMs >= outageMs) return { lateMs: nowMs - outageMs, dials: failures };
  }
}

function cell(policy: Policy, outageS: number): string {
  const random = seeded(1);
  const runs = Array.from({ length: RUNS }, () => simulate(policy, outageS * 1_000, random));
  const lateMs = runs.map((run) => run.lateMs).toSorted((a, b) => a - b);
  const at = (share: number): string => ((lateMs[Math.floor(share * RUNS)] ?? 0) / 1_000).toFixed(1);
  const dials = runs.reduce((sum, run) => sum + run.dials, 0) / RUNS;
  return `${at(0.5)} / ${at(0.99)}, ${Math.round(dials)}`;
}

function table(): string {
  const rows = Object.entries(POLICIES).map(([name, policy]) => [name].concat(OUTAGES_S.map((s) => cell(policy, s))));
  const head = ["", ...OUTAGES_S.map((s) => `outage of ${s} s`)];
  return [head, head.map(() => "---"), ...rows]
    .map((row) => `| ${row.join(" | ")} |`.replace("|  |", "| |"))
    .join("\n");
}

/** `document` with the table behind the line `<!-- table: backoff -->`. */
export function withTable(document: string): string {
  const marker = "<!-- table: backoff -->";
  if (!document.includes(marker)) throw new Error(`the document has no ${marker}`);
  return document.replace(new RegExp(`${marker}(?:\\n\\n\\|.*(?:\\n\\|.*)*)?`, "u"), () => `${marker}\n\n${table()}`);
}

if (import.meta.filename === process.argv[1]) {
  const document = new URL("../docs/reconnecting.md", import.meta.url);
  if (process.argv[2] === "--write") writeFileSync(document, withTable(readFileSync(document, "utf8")));
  else console.log(table());
}
