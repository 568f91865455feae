/**
 * Plays a document that is to be typed along: writes its files into a folder, runs its commands there, and waits for
 * what it says is printed. Each block of code has a line above it that says what the block is, and that no reader sees:
 *
 *     <!-- file: server.mjs -->      the block is this file
 *     <!-- terminal 1 -->            the block is a command, which is run in this terminal
 *     <!-- terminal 1 shows -->      the block is what appears there, below what was found before: each line, in this
 *                                    order. Other lines may come in between. "…" stands for any text
 *     <!-- terminal 1: Enter -->     has no block: the key is pressed there
 *     <!-- terminal 1: Ctrl-C -->    has no block: ends what runs there
 *     <!-- not run: why -->          the block is left alone
 */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { createInterface } from "node:readline";
import { onTestFinished } from "vitest";

/** What is written into a document's text before it is played: a port that is free, a shorter pause. */
export type Replacements = ReadonlyArray<readonly [written: string, played: string]>;

/** Each line comes within a second or two; a busy machine takes longer. */
const LINE_WITHIN_MS = 20_000;

interface Step {
  mark: string;
  /** The language of its block, and the block; empty where there is none. */
  language: string;
  block: string;
}

/** What still runs at the end of the test is killed. */
export async function walkThrough(markdown: string, folder: string, replacements: Replacements = []): Promise<void> {
  const terminals = new Terminals(folder);
  onTestFinished(() => terminals.end());
  let text = markdown;
  for (const [written, played] of replacements) {
    if (!text.includes(written)) throw new Error(`the document has no ${written}`);
    text = text.replaceAll(written, played);
  }
  for (const step of stepsOf(text)) await play(step, terminals);
}

function stepsOf(markdown: string): Step[] {
  const steps = [...markdown.matchAll(/^<!-- ([^\n]+) -->\n(?:```(\w+)\n(.*?)^```$)?/gmsu)].map(
    ([, mark = "", language = "", block = ""]) => ({ mark, language, block }),
  );
  const blocks = markdown.match(/^```\w/gmu)?.length ?? 0;
  const marked = steps.filter(({ language }) => language !== "").length;
  if (marked !== blocks) throw new Error(`${blocks - marked} blocks of code have no mark`);
  return steps;
}

async function play({ mark, block }: Step, terminals: Terminals): Promise<void> {
  const file = /^file: (.+)$/u.exec(mark)?.[1];
  if (file !== undefined) return terminals.write(file, block);
  if (mark.startsWith("not run: ")) return undefined;
  const [, name = "", shows, key] = /^terminal (\d+)(?:( shows)|: (Enter|Ctrl-C))?$/u.exec(mark) ?? [];
  if (name === "") throw new Error(`what is "${mark}"?`);
  const terminal = terminals.get(name);
  if (key !== undefined) return terminal.press(key as "Enter" | "Ctrl-C");
  return shows === undefined ? terminal.run(block) : terminal.show(block);
}

class Terminals {
  readonly #folder: string;
  readonly #byName = new Map<string, Terminal>();

  constructor(folder: string) {
    this.#folder = folder;
  }

  write(name: string, content: string): void {
    writeFileSync(join(this.#folder, name), content);
  }

  get(name: string): Terminal {
    const terminal = this.#byName.get(name) ?? new Terminal(name, this.#folder);
    this.#byName.set(name, terminal);
    return terminal;
  }

  async end(): Promise<void> {
    await Promise.all([...this.#byName.values()].map((terminal) => terminal.end()));
  }
}

class Terminal {
  readonly #name: string;
  readonly #folder: string;
  readonly #lines: string[] = [];
  /** How many lines were looked at. */
  #seen = 0;
  #wake: () => void = () => {};
  #process: ChildProcessWithoutNullStreams | undefined;
  #ended: Promise<unknown> = Promise.resolve();

  constructor(name: string, folder: string) {
    this.#name = name;
    this.#folder = folder;
  }

  /** Waits for the command before, which is to end by itself. */
  async run(command: string): Promise<void> {
    await this.#ended;
    const PATH = [dirname(process.execPath), process.env["PATH"]].join(delimiter);
    // A group of its own: a key of a terminal reaches all processes of a command.
    const options = { cwd: this.#folder, env: { ...process.env, PATH }, detached: true };
    const started = spawn("sh", ["-ec", command], options);
    this.#process = started;
    started.stdin.on("error", () => {});
    for (const output of [started.stdout, started.stderr]) {
      createInterface({ input: output }).on("line", (line) => {
        this.#lines.push(line);
        this.#wake();
      });
    }
    this.#ended = once(started, "close").then(() => {
      this.#process = undefined;
      this.#wake();
    });
  }

  async show(expected: string): Promise<void> {
    for (const line of expected.trimEnd().split("\n")) {
      const parts = line.split("…").map((part) => RegExp.escape(part));
      await this.#find(new RegExp(`^${parts.join(".*")}$`, "u"), line);
    }
  }

  async #find(pattern: RegExp, line: string): Promise<void> {
    const late = AbortSignal.timeout(LINE_WITHIN_MS);
    late.addEventListener("abort", () => this.#wake());
    for (;;) {
      while (this.#seen < this.#lines.length) if (pattern.test(this.#lines[this.#seen++] ?? "")) return;
      if (this.#process === undefined || late.aborted) {
        throw new Error(`terminal ${this.#name} does not show "${line}", but\n${this.#lines.join("\n")}`);
      }
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
  }

  async press(key: "Enter" | "Ctrl-C"): Promise<void> {
    if (this.#process?.pid === undefined) throw new Error(`nothing runs in terminal ${this.#name}`);
    if (key === "Enter") this.#process.stdin.write("\n");
    else {
      process.kill(-this.#process.pid, "SIGINT");
      await this.#ended;
    }
  }

  async end(): Promise<void> {
    if (this.#process?.pid !== undefined) process.kill(-this.#process.pid, "SIGKILL");
    await this.#ended;
  }
}
