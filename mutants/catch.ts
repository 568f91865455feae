/** What catches a mutant: the simulation, or tests, each in a process of its own in which one file is replaced. */
import { fork, spawn } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { brokenIn } from "./broken.ts";
import { absolute } from "./mutant.ts";
import type { Progress } from "./simulate.ts";

export interface Outcome {
  /** What has failed, as it should; undefined: nothing has. */
  by: string | undefined;
  /** Of the simulation. */
  seeds?: number;
  /** What it said. */
  detail: string;
}

/** A seed takes a fraction of a second: one that takes so long will never be over. */
const SEED_WITHIN_MS = 60_000;
const TESTS_WITHIN_MS = 180_000;
/** Of the sources as they are, all files are run at once: each has so long. */
const FILE_WITHIN_MS = 5_000;
const NODE_OPTIONS = ["--disable-warning=ExperimentalWarning", "--max-old-space-size=1024"];

/** Seeds from 1 until one fails. `name` undefined: with the sources as they are. */
export function simulate(name: string | undefined, seeds: number): Promise<Outcome> {
  const child = fork(absolute("mutants/simulate.ts"), [name ?? "", String(seeds)], {
    execArgv: NODE_OPTIONS,
    stdio: ["ignore", "ignore", "pipe", "ipc"],
  });
  return new Promise((resolve, reject) => {
    let last: Progress = { seed: 0, violation: undefined };
    let errors = "";
    let hangs = false;
    const watchdog = setTimeout(() => {
      hangs = true;
      child.kill("SIGKILL");
    }, SEED_WITHIN_MS);
    child.on("message", (progress: Progress) => {
      last = progress;
      watchdog.refresh();
    });
    child.stderr?.on("data", (chunk: Buffer) => {
      errors += chunk.toString();
    });
    child.on("error", reject);
    child.on("close", (code) => {
      clearTimeout(watchdog);
      const detail = hangs ? "never comes to an end" : (last.violation?.split("\n")[0] ?? "");
      if (hangs) resolve({ by: "simulation (hangs)", seeds: last.seed + 1, detail });
      else if (last.violation !== undefined) resolve({ by: "simulation", seeds: last.seed, detail });
      else if (code === 0) resolve({ by: undefined, seeds: last.seed, detail });
      else reject(new Error(`the simulation ended with ${code}: ${errors}`));
    });
  });
}

export interface Report {
  numTotalTests: number;
  testResults: Array<{
    name: string;
    message: string;
    status: string;
    assertionResults: Array<{ status: string; fullName: string; failureMessages: string[] }>;
  }>;
}

/** Rejects where tests could not be run at all: that catches nothing. */
export async function runTests(name: string | undefined, files: readonly string[]): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "mutant-"));
  const output = join(folder, "report.json");
  const args = ["run", "--config", "mutants/vitest.config.ts", "--reporter=json", `--outputFile.json=${output}`];
  const { MUTANT: _, ...env } = process.env;
  const child = spawn(process.execPath, [absolute("node_modules/vitest/vitest.mjs"), ...args, ...files], {
    cwd: absolute(""),
    env: name === undefined ? env : { ...env, MUTANT: name },
    stdio: "ignore",
    timeout: Math.max(TESTS_WITHIN_MS, files.length * FILE_WITHIN_MS),
    killSignal: "SIGKILL",
  });
  try {
    const signal = await new Promise<string | null>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (__, killedBy) => resolve(killedBy));
    });
    if (signal !== null) return { by: `${files.join(" ")} (hangs)`, detail: "never comes to an end" };
    return judge(JSON.parse(readFileSync(output, "utf8")) as Report);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** Throws where nothing was tested, or what was tested is broken. */
export function judge({ numTotalTests, testResults }: Report): Outcome {
  for (const { name, assertionResults } of testResults) {
    const failed = assertionResults.find(({ status }) => status === "failed");
    if (failed === undefined) continue;
    const broken = brokenIn(failed.failureMessages.join("\n"));
    if (broken !== undefined) throw new Error(`${failed.fullName}: ${broken}`);
    return { by: name.slice(absolute("").length), detail: failed.fullName };
  }
  const broken = testResults.find(({ status }) => status === "failed");
  if (broken !== undefined) throw new Error(`${broken.name} could not be run: ${broken.message}`);
  if (numTotalTests === 0) throw new Error("there are no such tests");
  return { by: undefined, detail: "" };
}
