import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { expect, onTestFinished, test } from "vitest";
import { Calls, EXIT } from "../../bench/calls.ts";
import type { Answered } from "./calls-answered.ts";

const MODULE = fileURLToPath(new URL("calls-answered.ts", import.meta.url));

function start(): { child: ChildProcess; calls: Calls<Answered> } {
  const child = fork(MODULE, { execArgv: [], stdio: ["ignore", "ignore", "ignore", "ipc"] });
  onTestFinished(() => void child.kill("SIGKILL"));
  return { child, calls: new Calls<Answered>(child, "the doubler") };
}

test("each call gets its own answer", async () => {
  const { calls } = start();
  expect(await Promise.all([1, 2, 3].map((number) => calls.call(5_000, "double", number)))).toEqual([2, 4, 6]);
});

test("a call that is not answered in its time is rejected, and the next is answered", async () => {
  const { calls } = start();
  await expect(calls.call(50, "never")).rejects.toThrow('the doubler did not answer "never" within 0.05 s');
  expect(await calls.call(5_000, "double", 4)).toBe(8);
});

test("when the process ends, what waits is rejected, and what comes later", async () => {
  const { calls } = start();
  const waiting = calls.call(5_000, "never");
  const last = calls.call(5_000, "leave");
  await expect(waiting).rejects.toThrow("the doubler ended with 3");
  await expect(last).rejects.toThrow("the doubler ended with 3");
  await expect(calls.call(5_000, "double", 1)).rejects.toThrow("the doubler ended with 3");
});

test("a process that is told to go goes, and one whose parent is gone", async () => {
  const told = start().child;
  told.send(EXIT);
  const left = start().child;
  left.disconnect();
  for (const child of [told, left]) {
    const [code] = child.exitCode === null ? ((await once(child, "exit")) as [number]) : [child.exitCode];
    expect(code).toBe(0);
  }
});
