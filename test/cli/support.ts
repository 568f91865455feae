/** Runs the command line as its users do: a process of its own, and only what it prints and how it ends. */
import { type ChildProcess, spawn, type StdioOptions } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

const MAIN = fileURLToPath(new URL("../../src/cli/main.ts", import.meta.url));

export interface Run {
  readonly child: ChildProcess;
  /** What came so far; all of it once `exit` is there. */
  stdout(): Buffer;
  stderr(): string;
  /** The match, as soon as stderr has it. Rejects when the process ends without. */
  says(pattern: RegExp): Promise<RegExpExecArray>;
  /** The exit code, or the signal that ended it, when all output has been read. */
  readonly exit: Promise<number | NodeJS.Signals | null>;
}

/** Killed at the end of the test, if it still runs then. */
export function resplice(
  args: readonly string[],
  options: { stdio?: StdioOptions; execArgv?: readonly string[] } = {},
): Run {
  const child = spawn(process.execPath, [...(options.execArgv ?? []), MAIN, ...args], {
    stdio: options.stdio ?? ["pipe", "pipe", "pipe"],
    env: { ...process.env, NODE_OPTIONS: "" },
  });
  onTestFinished(() => void child.kill("SIGKILL"));
  const out: Buffer[] = [];
  let err = "";
  const looks = new Set<() => void>();
  const look = (): void => {
    for (const one of looks) one();
  };
  child.stdin?.on("error", () => {}); // it may end without having read all
  child.stdout?.on("data", (chunk: Buffer) => out.push(chunk)).on("error", () => {});
  child.stderr?.on("data", (chunk: Buffer) => {
    err += chunk.toString();
    look();
  });
  let over = false;
  const exit = once(child, "close").then(([code, signal]) => {
    over = true;
    look();
    return (code ?? signal) as number | NodeJS.Signals | null;
  });
  return {
    child,
    stdout: () => Buffer.concat(out),
    stderr: () => err,
    says: (pattern) =>
      new Promise((resolve, reject) => {
        const one = (): void => {
          const match = pattern.exec(err);
          if (match !== null) resolve(match);
          else if (over) reject(new Error(`it ended without saying ${String(pattern)}: ${err}`));
          else return;
          looks.delete(one);
        };
        looks.add(one);
        one();
      }),
    exit,
  };
}

/** `resplice listen` on a free port of 127.0.0.1. */
export async function listening(
  args: readonly string[] = [],
  stdio: StdioOptions = ["pipe", "pipe", "pipe"],
  execArgv: readonly string[] = [],
): Promise<Run & { port: number }> {
  const run = resplice(["listen", "127.0.0.1:0", ...args], { stdio, execArgv });
  const [, port] = await run.says(/listening on 127\.0\.0\.1:(\d+)/);
  return { ...run, port: Number(port) };
}
