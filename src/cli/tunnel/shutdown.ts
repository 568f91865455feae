/** SIGTERM and SIGINT: the first drains, the second ends at once. */
export class Shutdown {
  /** Resolves with the first signal. */
  readonly begun: Promise<NodeJS.Signals>;
  readonly #now = new AbortController();
  #count = 0;
  #begin: (signal: NodeJS.Signals) => void = () => {};
  readonly #handler = (signal: NodeJS.Signals): void => {
    this.#count++;
    if (this.#count === 1) this.#begin(signal);
    else this.#now.abort();
  };

  constructor() {
    this.begun = new Promise((resolve) => {
      this.#begin = resolve;
    });
    for (const signal of SIGNALS) process.on(signal, this.#handler);
  }

  /** Aborted by the second signal. */
  get atOnce(): AbortSignal {
    return this.#now.signal;
  }

  dispose(): void {
    for (const signal of SIGNALS) process.off(signal, this.#handler);
  }
}

const SIGNALS = ["SIGTERM", "SIGINT"] as const;
