/** A measured process, seen from inside: it answers the calls that `crew.ts` makes, and goes when its parent does. */
import { writeSync } from "node:fs";

export type Commands = Record<string, (argument: never) => unknown>;
export type Call = { id: number; command: string; argument: unknown };
export type Answer = { id: number; value: unknown };
/** What a worker is told when it is to go: a process that is asked writes its profile first. */
export const EXIT = "exit";

/** What the parent has given to `start()`. */
export function given(): unknown {
  return JSON.parse(process.argv[2] ?? "null");
}

export function serve(commands: Commands): void {
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

/** Ends the process, and with it the measurement: a run that lost something is no result. */
export function fail(reason: unknown): never {
  writeSync(2, `${process.argv[1] ?? ""} ${process.argv[2] ?? ""}: ${String(reason)}\n`);
  process.exit(1);
}

/** On a clock that all processes of the machine share. */
export function monotonicMs(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
