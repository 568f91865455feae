/** The state of a link, when it last changed, and the events that are emitted when a step is complete. */
import { type LinkInput, type LinkState, nextLinkState } from "../core/states.ts";
import type { RespliceError } from "./errors.ts";
import type { Clock } from "./ports.ts";
import type { StateChange } from "./types.ts";

/** The fields of a 'state' event besides its states. */
export type TransitionDetail = {
  reason: string;
  attempt?: number;
  nextDelayMs?: number;
  session?: "new" | "resumed";
  error?: RespliceError;
};

export class Life {
  state: LinkState = "created";
  reconnects = 0;
  /** From the loss of a connection until the next one was in use, the last time. */
  recoveryMs: number | undefined;
  /** The link is, or has been, connected. */
  wasConnected = false;
  readonly #clock: Clock;
  readonly #host: { onChange(change: StateChange): void };
  #sinceMs: number;
  #lostMs: number | undefined;
  #emissions: Array<() => void> | undefined;
  #emitting = false;

  constructor(clock: Clock, host: { onChange(change: StateChange): void }) {
    this.#clock = clock;
    this.#host = host;
    this.#sinceMs = clock.now();
  }

  get stateForMs(): number {
    return this.#clock.now() - this.#sinceMs;
  }

  /** Changes the state. Does nothing if the table has no such transition. */
  to(input: LinkInput, detail: TransitionDetail): void {
    const to = nextLinkState(this.state, input);
    if (to === undefined) return;
    const change = { from: this.state, to, ...detail } as StateChange;
    this.state = to;
    this.#sinceMs = this.#clock.now();
    this.#host.onChange(change);
  }

  connectionLost(): void {
    this.#lostMs ??= this.#clock.now();
  }

  /** Answers how long there was no connection; undefined if none had been lost. */
  connectionAdopted(): number | undefined {
    this.wasConnected = true;
    if (this.#lostMs === undefined) return undefined;
    this.recoveryMs = this.#clock.now() - this.#lostMs;
    this.reconnects++;
    this.#lostMs = undefined;
    return this.recoveryMs;
  }

  /** Runs `emission` when the current step is complete. */
  later(emission: () => void): void {
    (this.#emissions ??= []).push(emission);
  }

  /** For an event that happens outside any step. */
  emitNow(emission: () => void): void {
    this.later(emission);
    this.emitAll();
  }

  /** Emits every event that waits. A listener that throws stops neither the other events nor the caller. */
  emitAll(): void {
    // An event that a listener causes is emitted after those that were waiting before.
    const emissions = this.#emissions;
    if (this.#emitting || emissions === undefined) return;
    this.#emitting = true;
    for (let emission = emissions.shift(); emission !== undefined; emission = emissions.shift()) {
      runContained(this.#clock, emission);
    }
    this.#emissions = undefined;
    this.#emitting = false;
  }
}

/** An error that `emission` throws is thrown again later, outside any step. */
export function runContained(clock: Clock, emission: () => void): void {
  try {
    emission();
  } catch (error) {
    throwLater(clock, error);
  }
}

/** Throws an error of a listener in a later turn, so that it reaches `uncaughtException`, as with any emitter. */
export function throwLater(clock: Clock, error: unknown): void {
  clock.defer(rethrow, error);
}

function rethrow(error: unknown): never {
  throw error;
}
