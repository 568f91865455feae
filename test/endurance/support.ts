/** Runs a command of ours as somebody at a terminal does. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { onTestFinished } from "vitest";

export interface Ended {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** `path` is seen from this file. What takes too long is ended, and has no code. */
export function command(path: string): (args: readonly string[], withinMs: number) => Promise<Ended> {
  const file = fileURLToPath(new URL(path, import.meta.url));
  return async (args, withinMs) => {
    const child = spawn(process.execPath, ["--expose-gc", file, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      timeout: withinMs,
    });
    onTestFinished(() => void child.kill("SIGKILL"));
    const exited = once(child, "close") as Promise<[number | null]>;
    const [stdout, stderr, [code]] = await Promise.all([text(child.stdout), text(child.stderr), exited]);
    return { code, stdout, stderr };
  };
}
