/** A process of our own that answers calls: the one that is watched has nothing else to do. */
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { writeSync } from "node:fs";
import { fileURLToPath } from "node:url";

export type Commands = Record<string, (argument: never) => unknown>;
type Call = { id: number; command: string; argument: unknown };
type Answer = { id: number; value: unknown };

const CALL_MS = 120_000;

/** The parent's side. */
export class Child<C extends Commands> {
  readonly #name: string;
  readonly #process: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #pending = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #calls = 0;

  /** Starts the module as a process that a Ctrl-C at the terminal does not reach: it ends when we say so, or are gone. */
  constructor(module: URL, name: string, env: Record<string, string> = {}) {
    this.#name = name;
    this.#process = fork(fileURLToPath(module), [], {
      execArgv: ["--expose-gc"],
      env: { ...process.env, ...env },
      stdio: ["ignore", "inherit", "inherit", "ipc"],
      detached: true,
    });
    this.#exited = once(this.#process, "exit");
    this.#process.on("exit", (code, signal) => {
      for (const { reject } of this.#pending.values()) reject(new Error(`${name} ended with ${signal ?? code}`));
      this.#pending.clear();
    });
    this.#process.on("message", ({ id, value }: Answer) => {
      this.#pending.get(id)?.resolve(value);
      this.#pending.delete(id);
    });
  }

  call<K extends keyof C & string>(command: K, ...[argument]: Parameters<C[K]>): Promise<Awaited<ReturnType<C[K]>>> {
    const id = ++this.#calls;
    return new Promise((resolve, reject) => {
      if (!this.#process.connected) {
        reject(new Error(`${this.#name} has ended`));
        return;
      }
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new Error(`${this.#name} did not answer "${command}" within ${CALL_MS / 1_000} s`));
      }, CALL_MS);
      const settle = <T>(then: (value: T) => void): ((value: T) => void) => {
        return (value) => {
          clearTimeout(timer);
          then(value);
        };
      };
      this.#pending.set(id, {
        resolve: settle((value) => resolve(value as Awaited<ReturnType<C[K]>>)),
        reject: settle(reject),
      });
      this.#process.send({ id, command, argument } satisfies Call);
    });
  }

  async stop(): Promise<void> {
    if (this.#process.exitCode === null && this.#process.signalCode === null) this.#process.kill("SIGKILL");
    await this.#exited;
  }
}

/** The child's side: answers calls until its parent is gone. Whatever fails ends the process, and with it the run. */
export function answerCalls(commands: Commands): void {
  const answer = async ({ id, command, argument }: Call): Promise<void> => {
    const value = await commands[command]?.(argument as never);
    process.send?.({ id, value } satisfies Answer);
  };
  process.on("disconnect", () => process.exit(0));
  process.on("message", (call: Call) => {
    answer(call).catch((error: unknown) => {
      writeSync(2, `${String(error instanceof Error ? error.stack : error)}\n`);
      process.exit(1);
    });
  });
}
