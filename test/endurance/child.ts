/** A process of our own that answers calls: the one that is watched has nothing else to do. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { Calls, type Commands } from "../../bench/calls.ts";

const CALL_MS = 120_000;

export class Child<C extends Commands> {
  readonly #process: ChildProcess;
  readonly #calls: Calls<C>;
  readonly #exited: Promise<unknown>;

  /**
   * Starts the module as a process that a Ctrl-C at the terminal does not reach: it ends when we say so, or are gone.
   * `execPath`: the Node that runs it.
   */
  constructor(module: URL, name: string, env: Record<string, string> = {}, execPath: string = process.execPath) {
    this.#process = fork(fileURLToPath(module), [], {
      execPath,
      execArgv: ["--expose-gc"],
      env: { ...process.env, ...env },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      detached: true,
    });
    this.#calls = new Calls(this.#process, name);
    this.#exited = once(this.#process, "exit");
  }

  call<K extends keyof C & string>(command: K, ...argument: Parameters<C[K]>): Promise<Awaited<ReturnType<C[K]>>> {
    return this.#calls.call(CALL_MS, command, ...argument);
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.kill("SIGKILL");
    await this.#exited;
  }
}
