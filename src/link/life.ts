/** Where a link is in its life: its state, when it changed, and the events that tell of it when a step is complete. */
import { type LinkInput, type LinkState, nextLinkState } from "../core/states.ts";
import type { RespliceError } from "./errors.ts";
import type { Clock } from "./ports.ts";
import type { StateChange } from "./types.ts";

/** What a transition tells besides its states. */
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
  /** From the loss of the connection to the next one in use, the last time. */
  recoveryMs: number | undefined;
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

  /** Does nothing where the table has no such transition. */
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

  connectionAdopted(): void {
    if (this.#lostMs !== undefined) {
      this.recoveryMs = this.#clock.now() - this.#lostMs;
      this.reconnects++;
    }
    this.#lostMs = undefined;
  }

  /** Runs `emission` when nothing is half done. */
  later(emission: () => void): void {
    (this.#emissions ??= []).push(emission);
  }

  /** For what happens outside any step. */
  emitNow(emission: () => void): void {
    this.later(emission);
    this.emitAll();
  }

  /** A listener that throws stops no other event, and not us. */
  emitAll(): void {
    // What a listener sets off is told after what was there before it.
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

/** What `emission` throws is thrown where nobody is in the middle of anything. */
export function runContained(clock: Clock, emission: () => void): void {
  try {
    emission();
  } catch (error) {
    throwLater(clock, error);
  }
}

/** For what a listener throws: it reaches `uncaughtException`, as with any emitter. */
export function throwLater(clock: Clock, error: unknown): void {
  clock.defer(rethrow, error);
}

function rethrow(error: unknown): never {
  throw error;
}
