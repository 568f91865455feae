/** Calls to a process of our own that answers them, over Node's IPC: both sides. */
import type { ChildProcess } from "node:child_process";
import { fail } from "./worker.ts";

/** What a process can be asked, by name. */
export type Commands = Record<string, (argument: never) => unknown>;
type Call = { id: number; command: string; argument: unknown };
type Answer = { id: number; value: unknown };
/** What a process is told when it is to go: one that is asked writes its profile first. */
export const EXIT = "exit";

/** The caller's side. */
export class Calls<C extends Commands> {
  readonly #child: ChildProcess;
  readonly #name: string;
  readonly #pending = new Map<number, { resolve: (value: unknown) => void; reject: (error: Error) => void }>();
  #ids = 0;
  #end: Error | undefined;

  /** `name` stands in errors. */
  constructor(child: ChildProcess, name: string) {
    this.#child = child;
    this.#name = name;
    child.once("exit", (code, signal) => this.#failAll(new Error(`${name} ended with ${signal ?? code}`)));
    child.on("error", (error) => this.#failAll(error));
    child.on("message", ({ id, value }: Answer) => {
      this.#pending.get(id)?.resolve(value);
      this.#pending.delete(id);
    });
  }

  /** Rejects when the process ends, or does not answer within so long. */
  call<K extends keyof C & string>(
    withinMs: number,
    command: K,
    ...[argument]: Parameters<C[K]>
  ): Promise<Awaited<ReturnType<C[K]>>> {
    const id = ++this.#ids;
    return new Promise((resolve, reject) => {
      if (!this.#child.connected) {
        reject(this.#end ?? new Error(`${this.#name} has ended`));
        return;
      }
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new Error(`${this.#name} did not answer "${command}" within ${withinMs / 1_000} s`));
      }, withinMs);
      this.#pending.set(id, {
        resolve: (value) => {
          clearTimeout(timer);
          resolve(value as Awaited<ReturnType<C[K]>>);
        },
        reject: (error) => {
          clearTimeout(timer);
          reject(error);
        },
      });
      this.#child.send({ id, command, argument } satisfies Call);
    });
  }

  #failAll(error: Error): void {
    this.#end ??= error;
    for (const { reject } of this.#pending.values()) reject(error);
    this.#pending.clear();
  }
}

/** The process's side: answers calls until its parent is gone. Whatever fails ends the process, and with it the run. */
export function answerCalls(commands: Commands): void {
  const answer = async ({ id, command, argument }: Call): Promise<void> => {
    const value = await commands[command]?.(argument as never);
    process.send?.({ id, value } satisfies Answer);
  };
  process.on("disconnect", () => process.exit(0));
  process.on("message", (message: Call | typeof EXIT) => {
    if (message === EXIT) process.exit(0);
    answer(message).catch((error: unknown) => fail(error instanceof Error ? (error.stack ?? error.message) : error));
  });
}
