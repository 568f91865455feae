/** What `npm run bench -- faults` is asked to do. */
import { execFile } from "node:child_process";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { contendersOf } from "../../../bench/faults/main.ts";
import { CONTENDERS } from "../../../bench/faults/list.ts";
import { readFaultOptions } from "../../../bench/faults/options.ts";

const MAIN = fileURLToPath(new URL("../../../bench/main.ts", import.meta.url));

test("without options a link and a raw socket, which need nothing", () => {
  expect(readFaultOptions([])).toEqual({ peers: false, only: [], report: undefined, json: false, markdown: false });
  expect(contendersOf({ peers: false, only: [] }).map(({ name }) => name)).toEqual(["resplice", "raw socket"]);
});

test("--peers has all of them, and --only chooses by a part of the name", () => {
  expect(contendersOf({ peers: true, only: [] })).toEqual(CONTENDERS);
  const chosen = contendersOf({ peers: true, only: ["Redis", "raw"] }).map(({ name }) => name);
  expect(chosen).toEqual(["raw socket", "Redis streams", "Redis streams, to subscriber"]);
});

test("a name that nobody has is a wrong option, and says what --peers would have", () => {
  expect(() => contendersOf({ peers: false, only: ["ws"] })).toThrow('"ws"; --peers has more');
  expect(() => readFaultOptions(["--rounds", "3"])).toThrow("'--rounds'");
});

test("a report that cannot be written is told before the run, as a wrong option", async () => {
  const args = [MAIN, "faults", "--report", "/no-such-folder/report.html"];
  const [error, stderr] = await new Promise<[{ code?: unknown } | null, string]>((resolve) => {
    execFile(process.execPath, args, (failed, _, text) => resolve([failed, text]));
  });
  expect(error?.code).toBe(64);
  expect(stderr).toContain("--report: ENOENT");
});

test("each contender has a name of its own, and says how it is used", () => {
  expect(new Set(CONTENDERS.map(({ name }) => name)).size).toBe(CONTENDERS.length);
  for (const { used, guarantee, broker, breaks } of CONTENDERS) {
    expect(Math.min(used.length, guarantee.length)).toBeGreaterThan(10);
    expect(broker === null).toBe(breaks === "the only path");
  }
});
