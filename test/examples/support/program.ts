/** An example as its users run it: a process of its own, on this repository's sources. */
import { type ChildProcessWithoutNullStreams, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

const RESOLVE = new URL("resolve.ts", import.meta.url).href;

export class Program {
  readonly process: ChildProcessWithoutNullStreams;
  /** Of both its outputs. */
  readonly lines: string[] = [];
  readonly exited: Promise<number | string>;
  #waits: Array<() => void> = [];
  #over = false;

  /** It is killed at the end of the test, if it has not come to its own. */
  constructor(path: string, ...args: string[]) {
    this.process = spawn(process.execPath, ["--import", RESOLVE, path, ...args]);
    this.process.stdin.on("error", () => {});
    for (const output of [this.process.stdout, this.process.stderr]) {
      createInterface({ input: output }).on("line", (line) => {
        this.lines.push(line);
        this.#wake();
      });
    }
    this.exited = once(this.process, "close").then(([code, signal]) => {
      this.#over = true;
      this.#wake();
      return (code ?? signal) as number | string;
    });
    onTestFinished(async () => {
      this.process.kill("SIGKILL");
      await this.exited;
    });
  }

  #wake(): void {
    for (const wake of this.#waits.splice(0)) wake();
  }

  /** The first line that matches, from `from` on, as soon as it is there. */
  async line(pattern: RegExp, from = 0): Promise<RegExpExecArray> {
    for (let at = from; ;) {
      for (; at < this.lines.length; at++) {
        const match = pattern.exec(this.lines[at] ?? "");
        if (match !== null) return match;
      }
      if (this.#over) throw new Error(`no line like ${pattern}:\n${this.lines.join("\n")}`);
      await new Promise<void>((resolve) => this.#waits.push(resolve));
    }
  }

  /** Resolves when there are so many lines that match. */
  async count(pattern: RegExp, times: number): Promise<void> {
    for (let found = 0, at = 0; found < times; found++) {
      await this.line(pattern, at);
      at = this.lines.findIndex((line, index) => index >= at && pattern.test(line)) + 1;
    }
  }

  /** The port on which it says that it listens. */
  async port(): Promise<number> {
    return Number((await this.line(/^listening on (\d+)$/u))[1]);
  }

  write(...lines: string[]): void {
    this.process.stdin.write(lines.map((line) => `${line}\n`).join(""));
  }

  async kill(signal: NodeJS.Signals): Promise<number | string> {
    this.process.kill(signal);
    return this.exited;
  }
}

export function example(name: string, ...args: Array<string | number>): Program {
  return new Program(fileURLToPath(new URL(`../../../examples/${name}.ts`, import.meta.url)), ...args.map(String));
}
