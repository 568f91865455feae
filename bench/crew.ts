/** The processes of one measurement, seen from the parent: started together, asked, and ended together, come what may. */
import { type ChildProcess, fork } from "node:child_process";
import { mkdirSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { Calls, type Commands, EXIT } from "./calls.ts";

/** A call that is not answered within this is a failure: a measurement ends by itself. */
const CALL_MS = 60_000;
/** Long enough to write a profile. */
const EXIT_MS = 10_000;

export interface Crew {
  /** Starts a file of the workers' folder as a process; `role` names it in errors and profiles. */
  start<C extends Commands>(file: string, role: string, argument: unknown, options?: { exposeGc?: boolean }): Worker<C>;
}

/** This folder: a measurement of another checkout has its workers there. */
const WORKERS = new URL(".", import.meta.url);

/** Runs a measurement with its processes. When it is over, failed or not, none of them is left. */
export async function withCrew<T>(
  profileAs: string | undefined,
  run: (crew: Crew) => Promise<T>,
  workersFolder: URL = WORKERS,
): Promise<T> {
  const workers: Worker<Commands>[] = [];
  const crew: Crew = {
    start(file, role, argument, { exposeGc = false } = {}) {
      const execArgv = exposeGc ? ["--expose-gc"] : [];
      if (profileAs !== undefined) execArgv.push(...profileArguments(`${profileAs}, ${role}`));
      const path = fileURLToPath(new URL(file, workersFolder));
      const worker = new Worker(path, role, JSON.stringify(argument), execArgv);
      workers.push(worker);
      return worker;
    },
  };
  try {
    return await run(crew);
  } finally {
    await Promise.all(workers.map((worker) => worker.stop()));
  }
}

let profileFolder: string | undefined;

export function writeProfilesTo(folder: string): void {
  mkdirSync(folder, { recursive: true });
  profileFolder = folder;
}

function profileArguments(name: string): string[] {
  if (profileFolder === undefined) return [];
  return ["--cpu-prof", `--cpu-prof-dir=${profileFolder}`, `--cpu-prof-name=${name}.cpuprofile`];
}

const running = new Set<ChildProcess>();

/** For a parent that is told to end. A child that has children of its own hears the signal and takes them along. */
export function killAll(): void {
  for (const child of running) child.kill("SIGTERM");
}

export class Worker<C extends Commands> {
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #calls: Calls<C>;
  readonly #exited: Promise<void>;
  #stopping = false;

  constructor(path: string, role: string, argument: string, execArgv: string[]) {
    // A worker's stdout would end up before the object that --json promises as the last line: it has none.
    const child = fork(path, [argument], { execArgv, stdio: ["ignore", "ignore", "inherit", "ipc"] });
    this.#child = child;
    this.#calls = new Calls(child, role);
    this.pid = child.pid ?? 0;
    running.add(child);
    this.#exited = new Promise((resolve) => {
      child.once("exit", () => {
        running.delete(child);
        resolve();
      });
    });
  }

  call<K extends keyof C & string>(command: K, ...argument: Parameters<C[K]>): Promise<Awaited<ReturnType<C[K]>>> {
    return this.callWithin(CALL_MS, command, ...argument);
  }

  callWithin<K extends keyof C & string>(
    ms: number,
    command: K,
    ...argument: Parameters<C[K]>
  ): Promise<Awaited<ReturnType<C[K]>>> {
    const answer = this.#calls.call(ms, command, ...argument);
    // Who called may be busy with another process when this one fails: it finds out when it comes to wait.
    answer.catch(() => {});
    return answer;
  }

  /** As a crash ends it. */
  async kill(): Promise<void> {
    this.#child.kill("SIGKILL");
    await this.#exited;
  }

  async stop(): Promise<void> {
    if (!this.#stopping && this.#child.connected) this.#child.send(EXIT);
    this.#stopping = true;
    const timer = setTimeout(() => this.#child.kill("SIGKILL"), EXIT_MS);
    await this.#exited;
    clearTimeout(timer);
  }
}
