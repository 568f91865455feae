/** Programs that know nothing of resplice: run to their end, or until the row is over. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import type { TunnelStage } from "./stage.ts";

export interface Ran {
  /** Null: it was ended by a signal. */
  code: number | null;
  stdout: string;
  stderr: string;
  ms: number;
}

/** `input`: what it reads. */
export async function ran(
  stage: TunnelStage,
  command: string,
  args: readonly string[],
  { env = {}, input = "" }: { env?: Record<string, string>; input?: string } = {},
): Promise<Ran> {
  const fromMs = performance.now();
  const child = spawn(command, args, { cwd: stage.folder, env: { ...process.env, ...env }, stdio: "pipe" });
  const closed = once(child, "close") as Promise<[number | null]>;
  stage.onClose(async () => {
    child.kill("SIGKILL");
    // It may not have begun.
    await closed.catch(() => {});
  });
  child.stdin.on("error", () => {});
  child.stdin.end(input);
  const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return { code, stdout, stderr, ms: performance.now() - fromMs };
}

/** A line of the shell that must not fail, in any part of a pipe. */
export async function line(stage: TunnelStage, what: string): Promise<string> {
  const { code, stdout, stderr } = await ran(stage, "bash", ["-o", "pipefail", "-c", what]);
  if (code !== 0) throw new Error(`${what}: ${code}, ${stderr.slice(-1_000)}`);
  return stdout.trim();
}

/** How it ended, for a note. */
export function told({ code, stderr }: Ran): string {
  return `exit ${code}${stderr === "" ? "" : `: ${stderr.trim().split("\n").at(-1)}`}`;
}

/** The number that a program's report has at the first group of the pattern. NaN: none. */
export function reported(output: string, pattern: RegExp): number {
  return Number(pattern.exec(output)?.[1] ?? Number.NaN);
}
