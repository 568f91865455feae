/** What a link needs of the outside; `io` implements it with sockets and timers, `testing` with a simulated network. */
export type { Budget } from "../core/log/window.ts";

/** Monotonic time, in milliseconds. */
export interface Clock {
  now(): number;
  /** Runs `run` with `of` after the current turn, once for each call. */
  defer<T>(run: (of: T) => void, of: T): void;
  /** Runs `run` with `of` when everything that has arrived by now was handed out, once for each call. */
  afterPoll<T>(run: (of: T) => void, of: T): void;
  /**
   * Runs `run` with `of` soon, once for each call and in the order of the calls, with everything else in between when there
   * are many: for what very many connections may want at the same moment.
   */
  spread<T>(run: (of: T) => void, of: T): void;
  /** A timer that is not set yet. */
  timer(run: () => void): Timer;
}

export interface Timer {
  /** Moves it; Infinity clears it. */
  set(dueMs: number): void;
  clear(): void;
}

/** One connection. What it hears goes to its handler, of which there is one at a time. */
export interface Connection {
  handler: ConnectionHandler;
  readonly remoteAddress: string;
  /** What can be written now without anything piling up; 0 until `onDrain`. */
  readonly roomBytes: number;
  /** What was written and may not be changed yet: views of it are still to be read. */
  readonly pendingBytes: number;
  write(buffers: readonly Buffer[]): void;
  /** After `last` has been written. Nothing is heard any more. */
  end(last: readonly Buffer[]): void;
  /** At once. Nothing is heard any more. */
  destroy(): void;
}

export interface ConnectionHandler {
  /** Answers "enough" if its consumer cannot be handed any more in this turn of the event loop: to read on would pile up. */
  onData(chunk: Buffer): "enough" | undefined;
  onDrain(): void;
  /** Once, and the last. */
  onClosed(reason: string): void;
}
