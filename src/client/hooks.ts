/**
 * Calls the functions of the application's options (credentials, endpoints, tls, connect) and checks their answers. An
 * answer that is wrong now may be right at the next attempt: a registry is empty for a moment, a cache was cleared. So
 * a wrong answer fails the attempt, and not the link.
 */
import type { ConnectionOptions } from "node:tls";
import { isTlsOptions } from "../io/tls-options.ts";
import { invalidOption, RespliceError } from "../link/errors.ts";
import { isThenable } from "../link/check.ts";
import type { Clock } from "../link/ports.ts";
import { abortableWait } from "../link/waits.ts";
import type { Journal } from "../telemetry/journal.ts";
import { printable } from "../telemetry/printable.ts";
import { messageOf } from "../telemetry/thrown.ts";
import { Deadline } from "./deadline.ts";
import type { ForEachAttempt } from "./targets.ts";

/**
 * Calls the function `name` for one attempt. The function may hang, or answer anything. When `withinMs` are over,
 * rejects with TIMED_OUT; when `signal` is aborted, with the signal's reason. An answer that comes after that goes to
 * `discard`.
 */
export async function ask(
  name: string,
  hook: ForEachAttempt<unknown>,
  { number, signal, withinMs, clock }: { number: number; signal: AbortSignal; withinMs: number; clock: Clock },
  discard: (answer: unknown) => void = () => {},
): Promise<unknown> {
  signal.throwIfAborted();
  const late = new AbortController();
  const deadline = new Deadline(clock, `the function ${name}`, withinMs, (error) => late.abort(error));
  deadline.start();
  const patience = AbortSignal.any([signal, late.signal]);
  const given = abortableWait<unknown>(patience, () => patience.reason as Error);
  // The function may throw, and may abort the signal before it does.
  const call = async (): Promise<unknown> => hook({ number, signal: patience });
  call().then((answer) => {
    if (patience.aborted) discard(answer);
    else given.resolve(answer);
  }, given.reject);
  try {
    return await given.promise;
  } finally {
    deadline.clear();
  }
}

/** The answer of the function `name`, as `check` returns it. Throws CONNECT_FAILED where `check` throws. */
export function usable<T>(name: string, given: unknown, check: (given: unknown) => T): T {
  try {
    return check(given);
  } catch (cause) {
    const message = `the function ${name} gave what cannot be used: ${printable(messageOf(cause))}`;
    throw new RespliceError("CONNECT_FAILED", message, { cause });
  }
}

/** Throws for undefined as well, which must not be taken for "no TLS". */
export function toTlsOptions(given: unknown): ConnectionOptions {
  if (!isTlsOptions(given)) throw invalidOption("tls", given, "options of tls.connect()");
  return given;
}

/**
 * Whether another attempt follows this error. If `shouldRetry` throws or gives a promise, `error.retryable` decides.
 */
export function isRetried(
  failure: RespliceError,
  shouldRetry: ((error: RespliceError) => boolean) | undefined,
  link: string,
  journal: Journal,
): boolean {
  const failed = (thrown: unknown): boolean => {
    journal.record({ event: "link.hook-failed", link, failure: { hook: "reconnect.shouldRetry", thrown } });
    return failure.retryable;
  };
  try {
    const answer: unknown = shouldRetry?.(failure) ?? failure.retryable;
    if (!isThenable(answer)) return Boolean(answer);
    // Nobody else handles a rejection of this promise.
    answer.then(undefined, () => {});
    return failed(new TypeError("gave a promise, where it is to say at once"));
  } catch (thrown) {
    return failed(thrown);
  }
}
