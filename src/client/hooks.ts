/**
 * The application's functions: how they are asked, and what becomes of their answers. An answer that is wrong now may be right
 * at the next attempt: a registry that is empty for a moment, a cache that was cleared. So it fails the attempt, and not the
 * link.
 */
import type { ConnectionOptions } from "node:tls";
import { isTlsOptions } from "../io/tls-options.ts";
import { invalidOption, RespliceError } from "../link/errors.ts";
import { isThenable } from "../link/incoming.ts";
import type { Clock } from "../link/ports.ts";
import { abortableWait } from "../link/waits.ts";
import { logHookFailed } from "../telemetry/events.ts";
import type { LogSink } from "../telemetry/logger.ts";
import { printable } from "../telemetry/printable.ts";
import { messageOf } from "../telemetry/thrown.ts";
import { warnOnce } from "../telemetry/warning.ts";
import { Deadline } from "./deadline.ts";
import type { ForEachAttempt } from "./targets.ts";

/**
 * Asks the function `name` for one attempt. The function may hang, and answer anything: nobody waits for it any more when
 * `withinMs` are over or `signal` is aborted. Rejects then with TIMED_OUT, or with the signal's reason.
 */
export async function ask(
  name: string,
  hook: ForEachAttempt<unknown>,
  { number, signal, withinMs, clock }: { number: number; signal: AbortSignal; withinMs: number; clock: Clock },
): Promise<unknown> {
  signal.throwIfAborted();
  const late = new AbortController();
  const deadline = new Deadline(clock, `the function ${name}`, withinMs, (error) => late.abort(error));
  deadline.start();
  const patience = AbortSignal.any([signal, late.signal]);
  const given = abortableWait<unknown>(patience, () => patience.reason as Error);
  try {
    // The function may throw, and abort the signal before it does.
    const answer = (async () => hook({ number, signal: patience }))();
    return await Promise.race([given.promise, answer]);
  } finally {
    deadline.clear();
    given.resolve(undefined);
  }
}

/** What the function `name` gave, as `check` makes it of that. Throws CONNECT_FAILED where it throws. */
export function usable<T>(name: string, given: unknown, check: (given: unknown) => T): T {
  try {
    return check(given);
  } catch (cause) {
    const message = `the function ${name} gave what cannot be used: ${printable(messageOf(cause))}`;
    throw new RespliceError("CONNECT_FAILED", message, { cause });
  }
}

/** Nothing is no options: undefined must not mean that there is to be no TLS. */
export function toTlsOptions(given: unknown): ConnectionOptions {
  if (!isTlsOptions(given)) throw invalidOption("tls", given, "options of tls.connect()");
  return given;
}

/** Whether there is to be another attempt after this error. A function that cannot say leaves it to `error.retryable`. */
export function isRetried(
  failure: RespliceError,
  shouldRetry: ((error: RespliceError) => boolean) | undefined,
  link: string,
  logger: LogSink | undefined,
): boolean {
  const failed = (thrown: unknown): boolean => {
    reportHook("reconnect.shouldRetry", thrown, link, logger);
    return failure.retryable;
  };
  try {
    const answer: unknown = shouldRetry?.(failure) ?? failure.retryable;
    if (!isThenable(answer)) return Boolean(answer);
    // There is nobody else to hear of its rejection.
    answer.then(undefined, () => {});
    return failed(new TypeError("gave a promise, where it is to say at once"));
  } catch (thrown) {
    return failed(thrown);
  }
}

/** To the log, or else once to whoever runs the process. */
function reportHook(hook: string, thrown: unknown, link: string, logger: LogSink | undefined): void {
  if (logger === undefined) warnOnce("RESPLICE_HOOK_FAILED", thrown, hook);
  else logHookFailed(logger, { link, hook, detail: messageOf(thrown) });
}
