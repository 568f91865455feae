/** One of the two processes between a client and its server: an end of the tunnel, or a hop of the plain relay beside it. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Calls, EXIT } from "../../../bench/calls.ts";
import { isListening } from "./kernel-sockets.ts";
import type { MeasuredCommands } from "./measured.ts";

const MEASURED = new URL("measured.ts", import.meta.url).href;
const CALL_MS = 60_000;
/** Long enough to write a profile. */
const EXIT_MS = 10_000;
const STARTS_WITHIN_MS = 20_000;
const ASKED_EVERY_MS = 20;

export interface EndOptions {
  program: string;
  args: readonly string[];
  /** For its output, and its profile. */
  folder: string;
  /** The port of 127.0.0.1 at which it listens. It stands in errors and in the names of files, too. */
  port: number;
  /** "near" or "far", for the names of files. */
  role: string;
  /** Whether it writes a profile of its CPU when it ends. */
  profile: boolean;
}

export class End {
  readonly options: EndOptions;
  /** Resolves with the code, or the signal, that it ended with. */
  readonly exited: Promise<number | NodeJS.Signals>;
  readonly #process: ChildProcess;
  readonly #calls: Calls<MeasuredCommands>;
  readonly #output: string;

  constructor(options: EndOptions) {
    const { program, args, folder, port, role, profile } = options;
    this.options = options;
    this.#output = join(folder, `${role}-${port}.log`);
    const output = openSync(this.#output, "a");
    const profiling = ["--cpu-prof", `--cpu-prof-dir=${folder}`, `--cpu-prof-name=${role}-${port}.cpuprofile`];
    this.#process = fork(program, args, {
      execArgv: ["--expose-gc", "--import", MEASURED, ...(profile ? profiling : [])],
      stdio: ["ignore", output, output, "ipc"],
      detached: true,
    });
    closeSync(output);
    this.#calls = new Calls(this.#process, role);
    this.exited = once(this.#process, "exit").then(([code, signal]) => (signal ?? code) as number | NodeJS.Signals);
  }

  /** All that it has written. */
  get output(): string {
    return readFileSync(this.#output, "utf8");
  }

  get isRunning(): boolean {
    return this.#process.exitCode === null && this.#process.signalCode === null;
  }

  /** Resolves when it listens. No connection is made for that: it would be one through the tunnel. */
  async listening(): Promise<void> {
    const untilMs = performance.now() + STARTS_WITHIN_MS;
    while (!isListening(this.options.port)) {
      if (!this.isRunning || performance.now() > untilMs) {
        throw new Error(`${this.#process.spawnargs.join(" ")}: nobody listens on ${this.options.port}: ${this.output}`);
      }
      await sleep(ASKED_EVERY_MS);
    }
  }

  call(command: keyof MeasuredCommands): Promise<number> {
    return this.#calls.call(CALL_MS, command);
  }

  signal(signal: NodeJS.Signals): void {
    this.#process.kill(signal);
  }

  /** Ends it at once; where it writes a profile, when it has. */
  async stop(): Promise<void> {
    if (this.options.profile && this.isRunning && this.#process.connected) this.#process.send(EXIT);
    else this.signal("SIGKILL");
    const timer = setTimeout(() => this.signal("SIGKILL"), EXIT_MS);
    await this.exited;
    clearTimeout(timer);
  }
}
