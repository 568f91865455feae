/** Promises that wait for the same thing, each with its own signal. */
import { aborted, type RespliceError } from "./errors.ts";

export class Waits {
  readonly #waits = new Set<{ resolve: () => void; reject: (error: RespliceError) => void }>();

  /** Rejects ABORTED. */
  wait(signal: AbortSignal | undefined): Promise<void> {
    return new Promise((resolve, reject) => {
      const settle = (): void => {
        this.#waits.delete(wait);
        signal?.removeEventListener("abort", onAbort);
      };
      const onAbort = (): void => {
        settle();
        reject(aborted(signal as AbortSignal));
      };
      const wait = {
        resolve: (): void => {
          settle();
          resolve();
        },
        reject: (error: RespliceError): void => {
          settle();
          reject(error);
        },
      };
      if (signal?.aborted === true) return onAbort();
      signal?.addEventListener("abort", onAbort, { once: true });
      this.#waits.add(wait);
    });
  }

  resolve(): void {
    for (const wait of this.#waits) wait.resolve();
  }

  reject(error: RespliceError): void {
    for (const wait of this.#waits) wait.reject(error);
  }
}
