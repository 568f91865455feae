/** Seeds 1 to 2,000 (`SIM_SEEDS=N` for others), or the one of `SIM_SEED`, whose trace is then printed. */
import { expect, test } from "vitest";
import { FAULT_KINDS } from "./faults.ts";
import { runSeed } from "./run.ts";

const one = process.env["SIM_SEED"];
const seeds = Number(process.env["SIM_SEEDS"] ?? 2_000);
const PER_TEST = 100;

/** What must have occurred, if all of it is to be tested: faults, and what they lead to. */
const EXPECTED: readonly string[] = [
  ...FAULT_KINDS.map((kind) => `fault ${kind}`),
  "dial primary late",
  "dial standby late",
  "client connected new opened",
  "client connected new session-lost",
  "client connected new moved",
  "client connected resumed resumed",
  "client connected resumed standby",
  "client disconnected without a fault",
  "client suspect",
  "client recovered",
  "client replaced session-lost",
  "client replaced too-large",
  "client replaced moved",
  "client leaving",
  "link leaving",
  ...["bad-frame", "cut", "handshake timed out", "session expired"].map((why) => `client attempt-failed ${why}`),
  ...["authentication-unavailable", "draining", "overloaded", "session-lost", "stale"].map(
    (code) => `client attempt-failed ${code}`,
  ),
  ...["closed", "session-lost", "aborted", "handler-failed", "close-timeout"].map((how) => `client ended ${how}`),
  ...["peer-aborted", "peer-handler-failed", "peer-close-timeout"].map((how) => `client ended ${how}`),
  "client gone",
  ...["new", "resumed", "standby"].map((why) => `link connected ${why}`),
  "link disconnected",
  ...["closed", "expired", "aborted", "handler-failed", "close-timeout"].map((how) => `link ended ${how}`),
  ...["peer-aborted", "peer-handler-failed", "peer-close-timeout"].map((how) => `link ended ${how}`),
  "link closed fenced by a newer connection",
  "link gone",
  ...["authentication", "authentication-unavailable", "draining", "mismatch", "no-standby"].map(
    (code) => `server refused ${code}`,
  ),
  ...["overloaded", "session-lost", "stale"].map((code) => `server refused ${code}`),
  ...["bad-frame", "handshake timed out", "reset before it was confirmed", "wrong-proof"].map(
    (why) => `server closed ${why}`,
  ),
  "server attached a late connection",
  "server left",
  "forgot",
  "handed",
  "reported maybe",
  "reported not-sent",
];

if (one === undefined) {
  const counts = new Map<string, number>();
  let tookMs = 0;
  for (let first = 1; first <= seeds; first += PER_TEST) {
    const last = Math.min(seeds, first + PER_TEST - 1);
    test(`seeds ${first} to ${last}`, () => {
      const beganMs = performance.now();
      for (let seed = first; seed <= last; seed++) {
        for (const [what, times] of runSeed(seed).counts) counts.set(what, (counts.get(what) ?? 0) + times);
      }
      tookMs += performance.now() - beganMs;
    });
  }
  test.runIf(seeds >= 2_000)("everything that can happen has happened", () => {
    const rows = [...counts].toSorted(([a], [b]) => a.localeCompare(b));
    console.log(rows.map(([what, times]) => `${String(times).padStart(9)} ${what}`).join("\n"));
    console.log(`${seeds} seeds, ${((1_000 * seeds) / tookMs).toFixed(0)} seeds a second`);
    expect(EXPECTED.filter((what) => !counts.has(what))).toEqual([]);
  });
} else {
  test(`seed ${one}`, () => {
    console.log(runSeed(Number(one)).trace.join("\n"));
  });
}
