/** Waits that end early: because the caller's signal is aborted, or because their time is over. */
import { aborted, type RespliceError } from "./errors.ts";
import type { Clock } from "./ports.ts";

/** A promise, and the functions with which its owner settles it. Only the first call counts. */
export interface Wait<T> {
  readonly promise: Promise<T>;
  /** With a promise the wait goes on until that is settled. */
  readonly resolve: (value: T | Promise<T>) => void;
  readonly reject: (error: Error) => void;
}

/**
 * A wait that is rejected with the error that `onAbort` answers if the signal is aborted before the owner settles the
 * wait. The caller must check first whether the signal is aborted already: such a signal fires no event.
 */
export function abortableWait<T>(signal: AbortSignal | undefined, onAbort: () => Error): Wait<T> {
  const wait = Promise.withResolvers<T>();
  if (signal === undefined) return wait;
  const { promise, resolve, reject } = wait;
  const abort = (): void => reject(onAbort());
  const settle = (): void => signal.removeEventListener("abort", abort);
  signal.addEventListener("abort", abort, { once: true });
  return {
    promise,
    resolve: (value) => {
      settle();
      resolve(value);
    },
    reject: (error) => {
      settle();
      reject(error);
    },
  };
}

/** As `promise`, unless the signal is aborted first: rejects ABORTED then. What was begun goes on by itself. */
export function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (signal === undefined) return promise;
  const wait = abortableWait<T>(signal, () => aborted(signal));
  promise.then(wait.resolve, wait.reject);
  return wait.promise;
}

/** A wait that resolves with true when `end` is called, or with false when the clock reaches `dueMs`. */
export function timedWait(
  clock: Clock,
  dueMs: number,
): { readonly promise: Promise<boolean>; readonly end: () => void } {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const timer = clock.timer(() => resolve(false));
  timer.set(dueMs);
  return {
    promise,
    end: () => {
      timer.clear();
      resolve(true);
    },
  };
}

/** Work that is done once: each call of `run()` after the first answers the same promise. */
export class Once<T> {
  #promise: Promise<T> | undefined;

  get isBegun(): boolean {
    return this.#promise !== undefined;
  }

  /** The promise is there before the work begins: listeners that the work calls at once may call this again. */
  run(work: () => Promise<T>): Promise<T> {
    if (this.#promise !== undefined) return this.#promise;
    const { promise, resolve } = Promise.withResolvers<T>();
    this.#promise = promise;
    resolve(work());
    return promise;
  }
}

/** Several waits for the same event, each with its own signal. */
export class Waits {
  readonly #waits = new Set<Wait<void>>();

  /** Rejects ABORTED. */
  wait(signal: AbortSignal | undefined): Promise<void> {
    if (signal?.aborted === true) return Promise.reject(aborted(signal));
    const wait: Wait<void> = abortableWait(signal, () => {
      this.#waits.delete(wait);
      return aborted(signal as AbortSignal);
    });
    this.#waits.add(wait);
    return wait.promise;
  }

  resolve(): void {
    for (const wait of this.#waits) wait.resolve();
    this.#waits.clear();
  }

  reject(error: RespliceError): void {
    for (const wait of this.#waits) wait.reject(error);
    this.#waits.clear();
  }
}
