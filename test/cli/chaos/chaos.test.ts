// The command as it is run.
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { commandOf } from "../../../src/cli/chaos/chaos.ts";
import type { ChaosFigures } from "../../../src/cli/chaos/figures.ts";
import { resplice } from "../support.ts";

function folder(): string {
  const made = mkdtempSync(join(tmpdir(), "resplice-chaos-"));
  onTestFinished(() => rm(made, { recursive: true }));
  return made;
}

test("a schedule is played, and its report, its JSON and its JUnit file are of the same run", async () => {
  const path = (name: string): string => join(folder(), name);
  const [schedule, report, junit] = [path("schedule.json"), path("out.html"), path("out.xml")];
  writeFileSync(schedule, '{"faults":[{"after":0.2,"kind":"rst"},{"after":0.2,"kind":"stall","for":0.3}]}');
  const run = resplice([
    "chaos",
    "--json",
    "--seconds=30",
    `--schedule=${schedule}`,
    `--report=${report}`,
    `--junit=${junit}`,
  ]);
  expect(await run.exit).toBe(0);
  const figures = JSON.parse(String(run.stdout())) as ChaosFigures;
  expect(figures).toMatchObject({ lost: 0, doubled: 0, reordered: 0, seed: null, errors: [] });
  expect(figures.faults.map(({ text }) => text)).toEqual(["rst", "stall 300 ms"]);
  expect(figures.sent).toBeGreaterThan(0);
  expect(figures.received).toBe(figures.sent);
  expect(figures.faults[1]?.gapMs).toBeGreaterThan(200);
  expect(figures.throughput.length).toBeGreaterThan(2);
  expect(readFileSync(report, "utf8")).toContain(`data-figure="sent">${figures.sent.toLocaleString("en-US")}<`);
  expect(readFileSync(junit, "utf8")).toContain('failures="0"');
}, 60_000);

test("a schedule that is none is the fault of the command line", async () => {
  const schedule = join(folder(), "schedule.json");
  writeFileSync(schedule, "{}");
  const run = resplice(["chaos", "--schedule", schedule]);
  expect(await run.exit).toBe(2);
  expect(run.stderr()).toContain('"faults" is a list');
});

test("a schedule that is not there", async () => {
  const run = resplice(["chaos", "--schedule", join(folder(), "nowhere.json")]);
  expect(await run.exit).toBe(1);
  expect(run.stderr()).toContain("nowhere.json cannot be read: ENOENT");
});

test.for(["--report", "--junit"])("%s in a folder that is not there is told before the run", async (option) => {
  const run = resplice(["chaos", "--seconds", "3600", option, join(folder(), "nowhere", "out")]);
  expect(await run.exit).toBe(1);
  expect(run.stderr()).toMatch(/out cannot be written: ENOENT/);
});

test("a report says how to make the same faults again", () => {
  const options = {
    seconds: 60,
    schedule: undefined,
    seed: 5,
    toxiproxy: false,
    report: "out.html",
    junit: undefined,
    json: true,
    verbose: false,
  };
  expect(commandOf(options)).toBe("resplice chaos --seconds 60 --seed 5");
  expect(commandOf({ ...options, schedule: "a b.json", toxiproxy: true })).toBe(
    'resplice chaos --seconds 60 --schedule "a b.json" --toxiproxy',
  );
});
