/** The package as a user of this runtime has it, installed in a folder of its own. */
import { execFile } from "node:child_process";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { certificate } from "../certificate.ts";
import { packageFile } from "../endurance/packages.ts";
import { type Row, type RowDraft, toRow } from "../endurance/rows.ts";
import type { Scenario, Stage } from "../endurance/suite.ts";
import { type Installed, installed } from "../package/installed.ts";
import type { Given, Played } from "./scenarios.ts";

const PLAY_MS = 120_000;
const HERE = fileURLToPath(new URL("./", import.meta.url));

export type RuntimeScenario = Scenario<RuntimeStage>;

export class RuntimeStage implements Stage {
  static #user: Promise<string> | undefined;
  readonly rows: Row[] = [];
  readonly #scenario: string;
  readonly #percent: number;

  constructor(scenario: string, percent: number) {
    this.#scenario = scenario;
    this.#percent = percent;
  }

  row(draft: RowDraft): void {
    this.rows.push(toRow(this.#scenario, draft));
  }

  /** A program of the packages of test/runtimes. They are installed where they are missing or others. */
  program(path: string): string {
    return packageFile(HERE, path);
  }

  /** The folder in which the package is installed: one for all scenarios. */
  user(): Promise<string> {
    return (RuntimeStage.#user ??= install());
  }

  /** Runs it there. Answers what it prints, and how it ends. */
  async run(program: string, args: readonly string[]): Promise<{ out: string; code: number }> {
    const cwd = await this.user();
    return await new Promise((resolve) => {
      execFile(program, args, { cwd, encoding: "utf8", timeout: PLAY_MS }, (error, stdout, stderr) => {
        const code = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
        resolve({ out: stdout + stderr, code });
      });
    });
  }

  /** Plays all of `scenarios.ts` on the runtime, a row for each figure. */
  async play(program: string, args: readonly string[]): Promise<void> {
    const given: Given = {
      messages: Math.max(10, 10 * this.#percent),
      bytes: Math.max(1_000, 40_000 * this.#percent),
      ...(await certificate()),
    };
    const { out, code } = await this.run(program, [...args, "play.ts", JSON.stringify(given)]);
    const lines = out.split("\n").filter((line) => line.startsWith("{"));
    for (const line of lines) {
      this.row({ is: "at least", unit: "", ...(JSON.parse(line) as Played & { note?: string }) });
    }
    this.ended("it", code, lines.length === 0 ? out : "");
  }

  /** A row for how a program has ended: with `expected`. */
  ended(what: string, code: number, out: string, expected = 0): void {
    const note = code === expected ? "" : `ended with ${code}: ${out.slice(-1_000)}`;
    this.row({
      what: `${what} ended with ${expected}`,
      figure: Number(code === expected),
      bound: 1,
      is: "at least",
      unit: "",
      note,
    });
  }

  async close(): Promise<void> {}
}

async function install(): Promise<string> {
  const folder = mkdtempSync(join(tmpdir(), "resplice-runtimes-"));
  process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
  const { user }: Installed = await installed(folder);
  writeFileSync(join(user, "package.json"), JSON.stringify({ dependencies: { resplice: "*" }, type: "module" }));
  for (const name of ["play.ts", "scenarios.ts"]) cpSync(join(HERE, name), join(user, name));
  return user;
}
