import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { Memory, parseResident } from "../../../src/io/resources/memory.ts";
import { type Fixture, runModule, systemOf } from "./fixture.ts";

const MACHINE = 10_000_000;
const STATUS = "Name:\tnode\nVmPeak:\t  999 kB\nVmRSS:\t     123 kB\nThreads:\t11\n";

/** The group `/app/one` of version 2 and those above it, each with its limit, its usage and its pages of files. */
function groups(
  levels: ReadonlyArray<readonly [folder: string, max: string, usage: number, inactive: number]>,
): Fixture {
  return systemOf({
    "proc/self/status": STATUS,
    "proc/self/cgroup": "0::/app/one\n",
    "proc/self/mountinfo": "29 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n",
    ...Object.assign(
      {},
      ...levels.map(([folder, max, usage, inactive]) => ({
        [`cg/${folder}/memory.max`]: `${max}\n`,
        [`cg/${folder}/memory.high`]: "max\n",
        [`cg/${folder}/memory.current`]: `${usage}\n`,
        [`cg/${folder}/memory.stat`]: `anon 1\ninactive_file ${inactive}\n`,
      })),
    ),
  });
}

function readOnce(system: Fixture): unknown {
  const memory = new Memory(system, MACHINE);
  const reading = memory.read(0);
  memory.close();
  return reading;
}

test("the group's own working set through its limit", () => {
  const system = groups([["app/one", "1000", 900, 800]]);
  expect(readOnce(system)).toEqual({ observed: 100, limit: 1_000, source: "cgroup" });
  const files = groups([["app/one", "1000", 700, 800]]);
  expect(readOnce(files)).toEqual({ observed: 0, limit: 1_000, source: "cgroup" });
});

test("of the groups above it the one that is nearest to its limit counts, with all that is in it", () => {
  const one = ["app/one", "1000", 500, 0] as const;
  expect(readOnce(groups([one, ["app", "4000", 3_900, 0]]))).toMatchObject({ observed: 3_900, limit: 4_000 });
  expect(readOnce(groups([one, ["app", "4000", 1_000, 0]]))).toMatchObject({ observed: 500, limit: 1_000 });
});

test.each(["max", "9223372036854771712", "18446744073709551615", String(MACHINE + 1)])(
  "without a limit, or with one that the machine does not reach: the process's own memory (%s)",
  (max) => {
    const system = groups([["app/one", max, 900, 0]]);
    expect(readOnce(system)).toEqual({ observed: 123 * 1_024, limit: MACHINE, source: "process" });
  },
);

test("a limit of all that the machine seems to have is one: it may be the container that is shown as the machine", () => {
  const system = groups([["app/one", String(MACHINE), 900, 0]]);
  expect(readOnce(system)).toEqual({ observed: 900, limit: MACHINE, source: "cgroup" });
});

test("without groups, or where they are not told: the process's own memory", () => {
  const own = { observed: 123 * 1_024, limit: MACHINE, source: "process" };
  expect(readOnce(groups([]))).toEqual(own);
  expect(readOnce(systemOf({ "proc/self/status": STATUS }))).toEqual(own);
});

test("a group that cannot be read now is left out; if no other has a limit, there is no reading", () => {
  const system = groups([
    ["app/one", "1000", 500, 0],
    ["app", "4000", 1_000, 0],
  ]);
  const memory = new Memory(system, MACHINE);
  system.write("cg/app/one/memory.current", "");
  expect(memory.read(0)).toEqual({ observed: 1_000, limit: 4_000, source: "cgroup" });
  system.write("cg/app/memory.stat", "");
  expect(memory.read(250)).toBeUndefined();
  memory.close();
});

test("a group that is given a limit later is watched within a minute", () => {
  const system = groups([["app/one", "max", 500, 0]]);
  const memory = new Memory(system, MACHINE);
  expect(memory.read(0)).toMatchObject({ observed: 123 * 1_024, source: "process" });
  system.write("cg/app/one/memory.max", "1000\n");
  expect(memory.read(60_000)).toMatchObject({ observed: 500, source: "cgroup" });
  memory.close();
});

test("of any text the resident set is a number or unknown", () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      const bytes = parseResident(text);
      expect(bytes === undefined || bytes >= 0).toBe(true);
      expect(parseResident(`${text}\n${STATUS}`)).toBe(123 * 1_024);
    }),
  );
});

test("on another system: the process's own memory through that of the machine", () => {
  const memory = new Memory({ root: "/nowhere", platform: "darwin" });
  const { observed, limit } = memory.read(0) ?? { observed: 0, limit: 0 };
  expect(observed).toBeGreaterThan(10_000_000);
  expect(limit).toBeGreaterThan(observed);
  memory.close();
});

const MiB = 1_048_576;
const GROUP = `/sys/fs/cgroup/memory/resplice-${process.pid}`;

/** Of version 1, which root may make where it is mounted. */
function canMakeGroup(): boolean {
  try {
    mkdirSync(GROUP);
    rmdirSync(GROUP);
    return true;
  } catch {
    return false;
  }
}

test.runIf(canMakeGroup())(
  "a group of 256 MiB: a log of 64 MiB is no memory in use, a block of 64 MiB is",
  async () => {
    mkdirSync(GROUP);
    try {
      writeFileSync(`${GROUP}/memory.limit_in_bytes`, String(256 * MiB));
      const { output } = await runModule(
        `
      import { mkdtempSync, readFileSync, rmSync, writeSync, openSync } from "node:fs";
      import { tmpdir } from "node:os";
      import { join } from "node:path";
      import { Memory } from "#resources/memory.ts";
      import { SYSTEM } from "#resources/reader.ts";
      const memory = new Memory(SYSTEM);
      const usage = () => Number(readFileSync(${JSON.stringify(`${GROUP}/memory.usage_in_bytes`)}, "utf8"));
      const steps = [];
      const note = () => steps.push({ ...memory.read(0), usage: usage() });
      const chunk = Buffer.alloc(1_048_576, 1);
      note();
      const folder = mkdtempSync(join(tmpdir(), "resplice-log-"));
      const log = openSync(join(folder, "log"), "w");
      for (let n = 0; n < 64; n++) writeSync(log, chunk);
      note();
      const block = Buffer.alloc(64 * 1_048_576, 1);
      note();
      rmSync(folder, { recursive: true });
      console.log(JSON.stringify({ steps, length: block.length }));
      `,
        { shell: `echo $$ > ${GROUP}/cgroup.procs` },
      );
      const { steps } = JSON.parse(output) as {
        steps: Array<{ observed: number; limit: number; source: string; usage: number }>;
      };
      const [idle, logged, allocated] = steps as [(typeof steps)[0], (typeof steps)[0], (typeof steps)[0]];
      expect(idle).toMatchObject({ limit: 256 * MiB, source: "cgroup" });
      expect(logged.usage - idle.usage).toBeGreaterThan(55 * MiB);
      expect(logged.observed - idle.observed).toBeLessThan(16 * MiB);
      expect(allocated.observed - logged.observed).toBeGreaterThan(55 * MiB);
    } finally {
      // Its process has ended; what is left of it takes a moment.
      await expect.poll(() => readFileSync(`${GROUP}/cgroup.procs`, "utf8")).toBe("");
      rmdirSync(GROUP);
    }
  },
);
