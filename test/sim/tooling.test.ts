/** The tools by themselves: schedules are data, a mistake is found and shrunk, and a long run can be done in parts. */
import { spawn } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "vitest";
import type { Positions } from "../../src/core/wire/frames.ts";
import { Session } from "../../src/core/session/session.ts";
import { draw } from "./draw.ts";
import { FAULT_KINDS } from "./fault-kinds.ts";
import { isLegal } from "./options.ts";
import { plant, uproot } from "./planted.ts";
import { Progress } from "./progress.ts";
import { Failure, runSchedule } from "./run.ts";
import { parseSchedule, type Schedule } from "./schedule.ts";
import { shrink } from "./shrink.ts";

const here = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
let folder: string;

beforeEach(() => {
  uproot();
  folder = mkdtempSync(join(tmpdir(), "resplice-sim-"));
});
afterEach(uproot);

interface Ended {
  code: number | null;
  output: string;
}

/** `npm run sim` without npm. Interrupted as soon as it says what it is about to do, if that is asked for. */
function sim(args: readonly string[], { planted = false, interrupt = false } = {}): Promise<Ended> {
  const nodeArgs = planted ? ["--import", here("planted.ts")] : [];
  const child = spawn(process.execPath, [...nodeArgs, here("main.ts"), ...args]);
  let output = "";
  child.stderr.on("data", (chunk) => (output += chunk));
  child.stdout.on("data", (chunk) => {
    output += chunk;
    if (interrupt && output.includes("to go\n")) {
      interrupt = false;
      child.kill("SIGINT");
    }
  });
  return new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("close", (code) => resolve({ code, output }));
  });
}

function failureOf(schedule: Schedule): Failure | undefined {
  try {
    runSchedule(schedule);
    return undefined;
  } catch (error) {
    if (error instanceof Failure) return error;
    throw error;
  }
}

function firstFailure(seeds: number): Failure | undefined {
  for (let seed = 1; seed <= seeds; seed++) {
    const failure = failureOf(draw(seed));
    if (failure !== undefined) return failure;
  }
  return undefined;
}

test("a schedule is all that a run depends on, and survives being written and read", () => {
  for (let seed = 0; seed < 300; seed++) {
    const schedule = draw(seed);
    expect(isLegal(schedule.options), `seed ${seed}`).toBe(true);
    expect(parseSchedule(JSON.stringify(schedule))).toEqual(schedule);
  }
  const schedule = draw(7);
  const { hash } = runSchedule(schedule);
  expect(runSchedule(parseSchedule(JSON.stringify(schedule))).hash).toBe(hash);
  expect(runSchedule({ ...schedule, seed: 8 }).hash).not.toBe(hash);
});

test("each kind of fault is drawn", () => {
  const kinds = new Set<string>();
  for (let seed = 1; seed <= 500; seed++) for (const { kind } of draw(seed).faults) kinds.add(kind);
  expect(FAULT_KINDS.filter((kind) => !kinds.has(kind))).toEqual([]);
});

test("what is no schedule is refused, and why is said", () => {
  const schedule = draw(1) as unknown as Record<string, unknown>;
  const refused = (changed: object): string => {
    try {
      parseSchedule(JSON.stringify({ ...schedule, ...changed }));
    } catch (error) {
      return (error as Error).message;
    }
    return "taken";
  };
  const fault = { atMs: 1, kind: "move", seed: 1, server: 0, spreadMs: 0 };
  expect(refused({ faults: [fault] })).toBe("taken");
  expect(refused({ seed: -1 })).toMatch(/^seed/);
  expect(refused({ options: { ...(schedule["options"] as object), sped: 1 } })).toMatch(/^options.sped/);
  expect(refused({ options: { ...(schedule["options"] as object), mode: 1 } })).toMatch(/^options.mode/);
  expect(refused({ options: { ...(schedule["options"] as object), clients: 0 } })).toMatch(/go together/);
  expect(refused({ faults: [{ ...fault, kind: "flood" }] })).toMatch(/^faults\[0\].kind/);
  expect(refused({ faults: [fault, { ...fault, server: -1 }] })).toMatch(/^faults\[1\].server/);
  expect(refused({ faults: [{ ...fault, more: 1 }] })).toMatch(/^faults\[0\].more/);
});

test("a mistake in the core is found, shrunk to a fault or two, and found again in what is left", () => {
  expect(firstFailure(20)).toBeUndefined();
  plant();
  const failure = firstFailure(300);
  if (failure === undefined) throw new Error("the mistake was not found");
  const shrunk = shrink(failure).failure;
  expect(shrunk.violation).toBe(failure.violation);
  expect(shrunk.schedule.faults.length).toBeLessThanOrEqual(2);
  expect(JSON.stringify(shrunk.schedule).length).toBeLessThan(JSON.stringify(failure.schedule).length);
  const replayed = parseSchedule(JSON.stringify(shrunk.schedule));
  expect(failureOf(replayed)?.message).toBe(shrunk.message);
  uproot();
  expect(failureOf(replayed)).toBeUndefined();
});

test("a core that does not wait for the store is found out", () => {
  const { positions } = Session.prototype;
  Session.prototype.positions = function (): Positions {
    return { ...positions.call(this), accepted: this.receiver.accepted };
  };
  try {
    expect(firstFailure(300)?.schedule.options.commitMs).toBeGreaterThan(0);
  } finally {
    Session.prototype.positions = positions;
  }
});

test("the command runs seeds on several threads, shrinks what fails, and leaves a file that replays it", async () => {
  const failed = await sim(["--seeds", "60", "--out", folder], { planted: true });
  expect(failed).toMatchObject({ code: 1 });
  const [, file] = /replay: npm run sim -- --schedule (\S+)/.exec(failed.output) ?? [];
  if (file === undefined) throw new Error(failed.output);
  expect(failed.output.trimEnd().split("\n").at(-1)).toMatch(/^\d+ seeds passed, [1-9]\d* failed$/);
  const replayed = await sim(["--schedule", file, "--trace"], { planted: true });
  expect([replayed.code, replayed.output]).toEqual([1, expect.stringMatching(/wrote on \d+: hello open/)]);
  const twice = await sim(["--schedule", file, "--trace", "--twice"], { planted: true });
  expect(twice).toEqual(replayed);
  const mended = await sim(["--schedule", file]);
  expect([mended.code, mended.output]).toEqual([0, expect.stringMatching(/^hash \w+\n1 seeds passed, 0 failed\n$/)]);
});

test("an interrupted run goes on where it was, and counts the same", async () => {
  const file = join(folder, "run.json");
  const args = ["--from", "100", "--seeds", "120", "--workers", "1"];
  const interrupted = await sim([...args, "--resume", file], { interrupt: true });
  expect(interrupted).toMatchObject({ code: 130 });
  const { doneSeeds } = Progress.load(file, { from: 100, seeds: 120, twice: false });
  expect(doneSeeds).toBeGreaterThan(0);
  expect(doneSeeds).toBeLessThan(120);
  const rest = await sim(["--resume", file]);
  expect(rest).toMatchObject({ code: 0, output: expect.stringMatching(/\n120 seeds passed, 0 failed\n$/) });
  const whole = await sim(args);
  const table = ({ output }: Ended): string => output.slice(output.indexOf("faults:"), output.indexOf(" seeds in "));
  expect(table(rest).replace(/\d+$/, "")).toBe(table(whole).replace(/\d+$/, ""));
  const other = await sim(["--resume", file, "--seeds", "121"]);
  expect([other.code, other.output]).toEqual([64, expect.stringMatching(/begun with --seeds 120/)]);
});

test("what makes no sense on the command line is refused", async () => {
  const bad = join(folder, "bad.json");
  writeFileSync(bad, "{}");
  const file = join(folder, "good.json");
  writeFileSync(file, JSON.stringify(draw(1)));
  const calls = [
    ["--seeds", "0"],
    ["--seeds", "many"],
    ["--sede", "1"],
    ["7"],
    ["--seed", "1", "--seeds", "2"],
    ["--seed", "1", "--schedule", bad],
    ["--trace"],
    ["--schedule", file, "--out", folder],
    ["--schedule", bad],
    ["--schedule", join(folder, "none.json")],
  ];
  const codes = await Promise.all(calls.map(async (args) => [args, (await sim(args)).code] as const));
  expect(codes).toEqual(calls.map((args) => [args, 64]));
  expect(await sim(["--help"])).toMatchObject({ code: 0, output: expect.stringMatching(/^usage/) });
});

test("what is left is what was not done, and the file tells", () => {
  const progress = new Progress(10, 100, false);
  progress.finished(30, 39, [["a", 1]]);
  progress.finished(10, 19, [["a", 2]]);
  expect([...progress.left(50)]).toEqual([
    [20, 29],
    [40, 89],
    [90, 109],
  ]);
  progress.finished(20, 29, []);
  const file = join(folder, "run.json");
  progress.save(file);
  const again = Progress.load(file, { from: undefined, seeds: undefined, twice: false });
  expect([...again.left(1_000)]).toEqual([[40, 109]]);
  expect([again.doneSeeds, [...again.counts]]).toEqual([30, [["a", 3]]]);
  expect(JSON.parse(readFileSync(file, "utf8"))).toMatchObject({ done: [[10, 39]] });
});
