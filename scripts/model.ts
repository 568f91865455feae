/**
 * Checks the models of the protocol in model/ with spin: each in every state it can reach, and each deliberately broken
 * variant, which must fail.
 *
 *     npm run model                  all of them
 *     npm run model -- --only lost   one
 *
 * It needs spin and a C compiler (Debian: `apt-get install spin gcc libc6-dev`), and takes two cores and at most 4 GiB.
 */
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { parseArgs, promisify } from "node:util";

const execute = promisify(execFile);
const MODELS_AT = join(import.meta.dirname, "../model");
/** In each of two processes. */
const MEMORY_MIB = 1_900;
const MOST_DEPTH = 10_000;
const WORKERS = 2;
const MOST_SECONDS = 900;

interface Model {
  name: string;
  /** It holds with these as well. */
  options?: readonly string[];
  /** So many mishaps when circles are looked for: that takes three times as many states. */
  faultsForCircles: number;
  broken: readonly string[];
}

const MODELS: readonly Model[] = [
  {
    name: "open",
    faultsForCircles: 2,
    broken: [
      "CONFIRM_LEFT_OUT",
      "CONFIRM_WITHOUT_NONCE",
      "OLDER_NONCE_CONFIRMS",
      "PROVISIONAL_IS_KEPT",
      "SECRET_NOT_CHECKED",
      "INCARNATION_IGNORED",
    ],
  },
  {
    name: "resume",
    faultsForCircles: 2,
    broken: [
      "PROOF_NOT_CHECKED",
      "GENERATION_NOT_CHECKED",
      "NOT_FENCED",
      "RESUME_POSITION_IGNORED",
      "ACK_BEFORE_ACCEPT",
    ],
  },
  {
    name: "standby",
    faultsForCircles: 2,
    broken: [
      "COMMIT_NOT_COMPARED",
      "COMMIT_IS_NEVER_LATE",
      "PROMOTED_BESIDE_THE_OLD",
      "STANDBY_HEARS_LOST",
      "DEDUPE_OFF_BY_ONE",
    ],
  },
  {
    name: "lost",
    options: ["RESEND"],
    faultsForCircles: 2,
    broken: [
      "LOST_IS_REPLAYED_SILENTLY",
      "FALLBACK_IS_LIVE_AT_ONCE",
      "OLD_SESSION_UNTIL_CONFIRMED",
      "INCARNATION_IGNORED",
    ],
  },
  {
    name: "credit",
    faultsForCircles: 2,
    broken: [
      "CREDIT_IGNORED",
      "LIMIT_IS_THE_LARGEST",
      "FLOOR_IS_A_PAYLOAD",
      "FORGETS_WHAT_WAS_HANDED",
      "SHRINKS_WHILE_CONNECTED",
    ],
  },
  {
    name: "ending",
    options: ["SERVER_SENDS"],
    faultsForCircles: 1,
    broken: ["END_NOT_COUNTED", "TOMBSTONE_AT_ONE_END", "SWALLOWED_IS_ACCEPTED", "OUTCOME_CHANGES"],
  },
  {
    name: "moved",
    faultsForCircles: 1,
    broken: ["MOVES_WITHOUT_WAITING", "BOTH_END_AT_GOAWAY", "GOAWAY_IS_AN_EVENT", "END_HAS_NO_KIND"],
  },
];

interface Run {
  model: string;
  what: "holds" | "no circles" | "broken";
  /** -D of spin. */
  flags: readonly string[];
}

interface Outcome {
  states: number;
  depth: number;
  seconds: number;
  /** What spin has found wrong. */
  error: string | undefined;
  /** The search was cut short: it has shown nothing. */
  truncated: string | undefined;
}

function runsOf({ name, options = [], faultsForCircles, broken }: Model): Run[] {
  return [
    { model: name, what: "holds", flags: [] },
    ...options.map((option): Run => ({ model: name, what: "holds", flags: [option] })),
    { model: name, what: "no circles", flags: [`FAULTS=${faultsForCircles}`] },
    ...broken.map((flag): Run => ({ model: name, what: "broken", flags: [flag] })),
  ];
}

// ── what it needs ─────────────────────────────────────────────────────────────────────────────────────────────────────

function has(command: string): boolean {
  try {
    execFileSync("sh", ["-c", `command -v ${command}`], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

/** The names of spin, which may be installed now, and of the C compiler. */
function findTools(): string {
  if (!has("spin") && process.getuid?.() === 0 && has("apt-get")) {
    console.log("spin is not here: apt-get install spin");
    const env = { ...process.env, DEBIAN_FRONTEND: "noninteractive" };
    execFileSync("apt-get", ["update", "-qq"], { stdio: ["ignore", "ignore", "inherit"], env });
    execFileSync("apt-get", ["install", "-y", "-qq", "--no-install-recommends", "spin"], {
      stdio: ["ignore", "ignore", "inherit"],
      env,
    });
  }
  if (!has("spin")) throw new Error("spin is not installed: apt-get install spin, or see https://spinroot.com");
  const compiler = ["cc", "gcc", "clang"].find(has);
  if (compiler === undefined) throw new Error("no C compiler: apt-get install gcc libc6-dev");
  return compiler;
}

/** A variant that the model does not know would be the model itself, and one that nobody asks for is not checked. */
function checkFlags({ name, options = [], broken }: Model): void {
  const sources = [`${name}.pml`, "session.h"].map((file) => readFileSync(join(MODELS_AT, file), "utf8"));
  const known = (source: string | undefined): string[] =>
    [...(source ?? "").matchAll(/(?:ifdef|ifndef|defined\()\s*([A-Z_]+)/gu)].map(([, flag]) => flag ?? "");
  const [own, shared] = sources.map(known);
  const listed = [...options, ...broken];
  const missing = listed.find((flag) => !own?.includes(flag) && !shared?.includes(flag));
  if (missing !== undefined) throw new Error(`model ${name} has no variant ${missing}`);
  const unlisted = own?.find((flag) => flag !== "FAULTS" && !listed.includes(flag));
  if (unlisted !== undefined) throw new Error(`scripts/model.ts does not list ${name}'s variant ${unlisted}`);
}

// ── one run ───────────────────────────────────────────────────────────────────────────────────────────────────────────

async function check(run: Run, compiler: string): Promise<Outcome> {
  const folder = mkdtempSync(join(tmpdir(), "resplice-model-"));
  const isForCircles = run.what === "no circles";
  const timeout = MOST_SECONDS * 1_000;
  try {
    const source = join(MODELS_AT, `${run.model}.pml`);
    await execute("spin", [...run.flags.map((flag) => `-D${flag}`), "-a", source], { cwd: folder, timeout });
    // States are stored whole, never as bits of a hash.
    const mode = isForCircles ? "-DNP" : "-DSAFETY";
    const limits = ["-DVECTORSZ=1024", `-DMEMLIM=${MEMORY_MIB}`];
    await execute(compiler, ["-O2", "-w", mode, ...limits, "-o", "pan", "pan.c"], { cwd: folder, timeout });
    const began = performance.now();
    const { stdout } = await execute("./pan", [`-m${MOST_DEPTH}`, ...(isForCircles ? ["-l"] : [])], {
      cwd: folder,
      timeout,
      maxBuffer: 64 * 1_048_576,
    });
    return read(stdout, (performance.now() - began) / 1_000);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function read(output: string, seconds: number): Outcome {
  const numberOf = (pattern: RegExp): number => Number(pattern.exec(output)?.[1] ?? Number.NaN);
  const errors = numberOf(/errors: (\d+)/u);
  const cutShort = /max search depth too small|reached -DMEMLIM bound|out of memory|VECTORSZ/u.exec(output)?.[0];
  const finding = /^pan:1: (.*?)(?: \(at depth \d+\))?$/mu.exec(output)?.[1];
  return {
    states: numberOf(/(\d+(?:\.\d+e\+\d+)?) states, stored/u),
    depth: numberOf(/depth reached (\d+)/u),
    seconds,
    error: errors === 0 ? undefined : (finding ?? "an error that the output does not name"),
    truncated: cutShort ?? (Number.isNaN(errors) ? "no result" : undefined),
  };
}

/** Undefined: as it should be. */
function complaint(run: Run, { error, truncated }: Outcome): string | undefined {
  if (run.what !== "broken") return truncated ?? error;
  if (error === undefined) return truncated ?? "NOT FOUND";
  return /^(?:assertion violated|non-progress cycle)/u.test(error) && !error.includes("invalid array index")
    ? undefined
    : `found, but as: ${error}`;
}

// ── all of them ───────────────────────────────────────────────────────────────────────────────────────────────────────

const WIDTHS = [46, 12, 6, 8];

function row(cells: readonly string[], result: string): string {
  const padded = cells.map((cell, at) => (at === 0 ? cell.padEnd(WIDTHS[at] ?? 0) : cell.padStart(WIDTHS[at] ?? 0)));
  return `${padded.join("  ")}  ${result}`;
}

function report(run: Run, outcome: Outcome): string {
  const flags = run.flags.length > 0 ? ` -D ${run.flags.join(" -D ")}` : "";
  const good = run.what === "broken" ? `found: ${outcome.error ?? ""}` : run.what;
  const problem = complaint(run, outcome);
  return row(
    [`${run.model}${flags}`, outcome.states.toLocaleString("en"), String(outcome.depth), outcome.seconds.toFixed(1)],
    problem === undefined ? good.slice(0, 100) : `FAILED: ${problem}`,
  );
}

async function main(): Promise<void> {
  const { values } = parseArgs({ options: { only: { type: "string" } } });
  const chosen = MODELS.filter(({ name }) => values.only === undefined || name === values.only);
  if (chosen.length === 0) throw new Error(`--only takes one of ${MODELS.map(({ name }) => name).join(", ")}`);
  const files = readdirSync(MODELS_AT).filter((file) => file.endsWith(".pml"));
  const unlisted = files.find((file) => !MODELS.some(({ name }) => name === basename(file, ".pml")));
  if (unlisted !== undefined) throw new Error(`scripts/model.ts does not list model/${unlisted}`);
  chosen.forEach(checkFlags);
  const compiler = findTools();

  console.log(row(["model", "states", "depth", "seconds"], "result"));
  const runs = chosen.flatMap(runsOf);
  const outcomes = new Map<Run, Outcome>();
  let printed = 0;
  const waiting = runs.values();
  const work = async (): Promise<void> => {
    for (const run of waiting) {
      outcomes.set(run, await check(run, compiler));
      // In the order of the list, whichever was done first.
      for (let next = runs[printed]; next !== undefined && outcomes.has(next); next = runs[++printed]) {
        console.log(report(next, outcomes.get(next) as Outcome));
      }
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, work));

  const isGood = (run: Run): boolean => complaint(run, outcomes.get(run) as Outcome) === undefined;
  const failed = runs.filter((run) => !isGood(run));
  const holding = chosen.filter(({ name }) => !failed.some((run) => run.model === name && run.what !== "broken"));
  const found = runs.filter((run) => run.what === "broken" && isGood(run));
  const states = [...outcomes.values()].reduce((sum, outcome) => sum + outcome.states, 0);
  if (failed.length > 0) process.exitCode = 1;
  console.log(
    `${holding.length} models hold, ${found.length} broken variants found, ${states.toLocaleString("en")} states` +
      (failed.length > 0 ? `; ${failed.length} of ${runs.length} runs FAILED` : ""),
  );
}

await main().catch((error: unknown) => {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
});
