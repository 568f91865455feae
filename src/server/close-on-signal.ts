/** Ends the process in order when a signal asks for it: closes what is open, and tells whether anything was left. */
import { constants } from "node:os";
import { SystemClock } from "../io/clock.ts";
import { checkOptions, logger } from "../link/check.ts";
import { invalidOption, RespliceError } from "../link/errors.ts";
import { timedWait } from "../link/waits.ts";
import { Journal } from "../telemetry/journal.ts";
import { logLines } from "../telemetry/log-line.ts";
import type { ContainedLogger, Logger } from "../telemetry/logger.ts";
import { warnOfFailures } from "../telemetry/warning.ts";
import { type DrainOptions, type ResolvedDrain, resolveDrain } from "./drain.ts";

/**
 * A manager, a supervisor, a supervised server, or anything else that ends when it is told to. `close()` may answer a
 * report, or several in an array: of `left`, a number, and `undelivered`, an array, it is known whether anything was
 * left.
 */
export interface Closable {
  /** Called once, with the time that is left. */
  close(options: DrainOptions): Promise<unknown>;
}

/** The options of closeOnSignal(). */
export interface CloseOnSignalOptions {
  /** Default ["SIGTERM", "SIGINT"]. */
  signals?: readonly NodeJS.Signals[];
  /**
   * For all together, from the signal on: each has what those before it have left. Default 5,000. Danger: choose less
   * than the system waits before it kills the process (Kubernetes 30 s, systemd 90 s by default).
   */
  deadlineMs?: number;
  /** See `DrainOptions`; counted from the signal on. Default 0; in Kubernetes 5,000. */
  readyDelayMs?: number;
  /** Lines `process.closing`, `process.close-failed`, `process.closed`, `process.interrupted`. Default none. */
  logger?: Logger;
  /**
   * Ends the process; called once. `code`: 0 if everything has ended; 1 if a link or a connection was cut off, messages
   * were not delivered, or a close() has failed; 128 and the signal's number for a second signal. Default
   * `process.exit`.
   */
  exit?: (code: number) => void;
}

interface Resolved extends ResolvedDrain {
  signals: readonly NodeJS.Signals[];
  logger: ContainedLogger | undefined;
  exit: (code: number) => void;
}

/** One that has not ended so long after its deadline is waited for no longer. */
const OVERDUE_MS = 2_000;

/**
 * Waits for a signal; then closes everything, one after the other, and ends the process. A second signal ends it at
 * once. To close some together, give `{ close: (options) => Promise.all([a.close(options), b.close(options)]) }`. To be
 * called once in a process, with everything that is open. Answers a function that gives the signals back to the system;
 * what has begun to close goes on. Throws INVALID_ARGUMENT, INVALID_OPTION.
 *
 * @example
 * ```ts
 * closeOnSignal([supervisor, manager], { deadlineMs: 25_000, logger: console });
 * ```
 */
export function closeOnSignal(
  closables: Closable | readonly Closable[],
  options: CloseOnSignalOptions = {},
): () => void {
  const all: readonly Closable[] = Array.isArray(closables) ? closables : [closables];
  if (all.length === 0 || !all.every(isClosable)) {
    throw new RespliceError("INVALID_ARGUMENT", "closeOnSignal() needs objects with a method close()");
  }
  const ending = new EndOnSignal([...all], resolve(options));
  return () => ending.giveBack();
}

function isClosable(given: Partial<Closable> | null | undefined): boolean {
  return typeof given?.close === "function";
}

function resolve(options: CloseOnSignalOptions): Resolved {
  checkOptions("closeOnSignal()", options, "{ deadlineMs: 5_000 }", [
    "signals",
    "deadlineMs",
    "readyDelayMs",
    "logger",
    "exit",
  ]);
  const { deadlineMs, readyDelayMs, signals = ["SIGTERM", "SIGINT"] } = options;
  const { exit = (code) => process.exit(code) } = options;
  if (!Array.isArray(signals) || signals.length === 0 || !signals.every(canBeHeard)) {
    throw invalidOption("signals", signals, "names of signals that a process can hear, such as SIGTERM");
  }
  if (typeof exit !== "function") throw invalidOption("exit", exit, "a function");
  const drain = resolveDrain({
    ...(deadlineMs !== undefined && { deadlineMs }),
    ...(readyDelayMs !== undefined && { readyDelayMs }),
  });
  return {
    ...drain,
    signals: [...new Set(signals as readonly NodeJS.Signals[])],
    logger: logger(options.logger),
    exit,
  };
}

function canBeHeard(signal: unknown): boolean {
  return Object.hasOwn(constants.signals, String(signal)) && signal !== "SIGKILL" && signal !== "SIGSTOP";
}

class EndOnSignal {
  readonly #closables: readonly Closable[];
  readonly #options: Resolved;
  readonly #clock = new SystemClock();
  readonly #journal = new Journal();
  readonly #heard = (signal: NodeJS.Signals): void => this.#onSignal(signal);
  #state: "waiting" | "closing" | "over" = "waiting";
  #left = 0;
  #undelivered = 0;
  #failed = 0;

  constructor(closables: readonly Closable[], options: Resolved) {
    this.#closables = closables;
    this.#options = options;
    this.#journal.subscribe(options.logger === undefined ? warnOfFailures : logLines(options.logger));
    for (const signal of options.signals) process.on(signal, this.#heard);
  }

  giveBack(): void {
    for (const signal of this.#options.signals) process.off(signal, this.#heard);
  }

  #onSignal(signal: NodeJS.Signals): void {
    if (this.#state === "waiting") {
      this.#state = "closing";
      void this.#closeAll(signal);
    } else if (this.#state === "closing") {
      const code = 128 + constants.signals[signal];
      this.#journal.record({ event: "process.interrupted", signal, code });
      this.#exit(code);
    }
  }

  async #closeAll(signal: NodeJS.Signals): Promise<void> {
    const { deadlineMs, readyDelayMs } = this.#options;
    const fromMs = this.#clock.now();
    const leftOf = (ms: number): number => Math.max(0, Math.ceil(fromMs + ms - this.#clock.now()));
    this.#journal.record({ event: "process.closing", signal, deadlineMs, readyDelayMs });
    for (const closable of this.#closables) {
      await this.#close(closable, { deadlineMs: leftOf(deadlineMs), readyDelayMs: leftOf(readyDelayMs) });
      if (this.#state === "over") return;
    }
    const [left, undelivered, failed] = [this.#left, this.#undelivered, this.#failed];
    const code = left + undelivered + failed === 0 ? 0 : 1;
    const ms = Math.round(this.#clock.now() - fromMs);
    this.#journal.record({ event: "process.closed", code, left, undelivered, failed, ms });
    this.#exit(code);
  }

  async #close(closable: Closable, options: { deadlineMs: number; readyDelayMs: number }): Promise<void> {
    const overdue = timedWait(this.#clock, this.#clock.now() + options.deadlineMs + OVERDUE_MS);
    try {
      const report = await Promise.race([closable.close(options), overdue.promise.then(hasNotEnded)]);
      for (const each of Array.isArray(report) ? report : [report]) this.#count(each);
    } catch (thrown) {
      this.#failed++;
      this.#journal.record({ event: "process.close-failed", failure: { hook: "close", thrown } });
    } finally {
      overdue.end();
    }
  }

  #count(report: unknown): void {
    const { left, undelivered } = (report ?? {}) as { left?: unknown; undelivered?: unknown };
    if (typeof left === "number") this.#left += left;
    if (Array.isArray(undelivered)) this.#undelivered += undelivered.length;
  }

  #exit(code: number): void {
    this.#state = "over";
    this.giveBack();
    this.#options.logger?.flush();
    this.#options.exit(code);
  }
}

function hasNotEnded(): never {
  throw new RespliceError("CLOSE_TIMEOUT", `close() had not ended ${OVERDUE_MS} ms after its deadline`);
}
