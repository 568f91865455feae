/** `npm run bench -- --against` as a process: what it refuses, and what it leaves behind. */
import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { readOptions } from "../../bench/options.ts";

const MAIN = fileURLToPath(new URL("../../bench/main.ts", import.meta.url));
const SLOW = { timeout: 30_000 };

test("without --only the rows that no change may make worse, twenty times", () => {
  const options = readOptions(["--against", "HEAD"]);
  if (options === "help") throw new Error("no help was asked for");
  expect(options).toMatchObject({ against: "HEAD", rounds: 20 });
  expect(options.wants("one way, 64 B")).toBe(true);
  expect(options.wants("recovery, outage of 20 s, p99 from the path's return")).toBe(false);
});

test("--only may be given several times", () => {
  const options = readOptions(["--only", "round trip", "--only", "RSS a link"]);
  if (options === "help") throw new Error("no help was asked for");
  expect(options).toMatchObject({ against: undefined, rounds: 5 });
  expect(options.wants("5,000 idle links, RSS a link on the server")).toBe(true);
  expect(options.wants("round trip, 64 B, one in flight, p50")).toBe(true);
  expect(options.wants("one way, 64 B")).toBe(false);
});

test("rows that need more than this repository are measured only where --only names them", () => {
  const redis = "Redis, SET and GET, one in flight, p50";
  const [all, named] = [readOptions([]), readOptions(["--only", "Redis"])];
  if (all === "help" || named === "help") throw new Error("no help was asked for");
  expect([all.wants(redis), all.wants("round trip, 64 B, one in flight, p50")]).toEqual([false, true]);
  expect(named.wants(redis)).toBe(true);
});

test.each([
  ["5 are too few for an interval: 6 at least", ["--rounds", "5"]],
  ["neither --peers nor --profile", ["--peers"]],
  ["neither --peers nor --profile", ["--profile"]],
])("with --against: %s", (message, args) => {
  expect(() => readOptions(["--against", "HEAD", ...args])).toThrow(message);
});

test("what is no commit is a wrong option", SLOW, async () => {
  const [error, stderr] = await new Promise<[{ code?: unknown } | null, string]>((resolve) => {
    execFile(process.execPath, [MAIN, "--against", "no-such-commit"], (failed, _, text) => resolve([failed, text]));
  });
  expect(error?.code).toBe(64);
  expect(stderr).toContain('--against: "no-such-commit" is no commit');
});

test("when it is interrupted nothing is left of the other checkout", SLOW, async () => {
  const TMPDIR = mkdtempSync(join(tmpdir(), "resplice-"));
  onTestFinished(() => rmSync(TMPDIR, { recursive: true, force: true }));
  const bench = spawn(process.execPath, [MAIN, "--against", "HEAD", "--only", "one way, 64 B"], {
    env: { ...process.env, TMPDIR },
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void bench.kill("SIGKILL"));
  for await (const line of createInterface({ input: bench.stdout })) {
    if (line.startsWith("this tree against HEAD")) break;
  }
  expect(readdirSync(TMPDIR)).toHaveLength(1);
  const exit = once(bench, "exit");
  bench.kill("SIGTERM");
  expect(await exit).toEqual([143, null]);
  expect(readdirSync(TMPDIR)).toEqual([]);
});
