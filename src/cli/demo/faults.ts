/** The demo's faults and their order, drawn from a seed, so that a run's faults can be repeated. */
import type { Direction } from "../../testing/index.ts";
import { seeded } from "../../testing/random.ts";

export type Fault =
  /** All connections are closed, and new ones accepted at once. */
  | { readonly kind: "fin" | "rst" }
  /** As "rst", after so many more bytes have passed to the receiver. */
  | { readonly kind: "cut-after-bytes"; readonly bytes: number }
  /** Bytes are dropped, and open connections stay dead after the path has healed. */
  | { readonly kind: "black-hole"; readonly holdMs: number }
  | { readonly kind: "one-way-black-hole"; readonly holdMs: number; readonly direction: Direction }
  /** All connections are reset, and new ones refused. */
  | { readonly kind: "refuse"; readonly holdMs: number }
  /** Bytes are held back, and none are lost. */
  | { readonly kind: "stall"; readonly holdMs: number }
  | { readonly kind: "latency"; readonly holdMs: number; readonly delayMs: number; readonly jitterMs: number };

export type FaultKind = Fault["kind"];

/**
 * The time of a recovery in milliseconds, or why there is none. "not-measured": nothing was left to measure with.
 * "none": it was waited for in vain.
 */
export type Outcome = number | "never-stopped" | "not-measured" | "none";

/**
 * The first round has each kind once, the slow ones last. Each later round of thirteen has nine cuts and one slow fault.
 */
const CUTS = ["fin", "rst", "cut-after-bytes"] as const;
const QUICK_KINDS = [...CUTS, "stall", "latency", "refuse"] as const;
/** A black hole lasts until the link notices it: some seconds. */
const SLOW_KINDS = ["black-hole", "one-way-black-hole"] as const;
export const FAULT_KINDS: readonly FaultKind[] = [...CUTS, ...SLOW_KINDS, "stall", "latency", "refuse"];

const BYTES_MAX = 20_000;
const HOLD_MS = [300, 1_000] as const;
/** Too short for a link to suspect its connection. */
const DELAY_MS = [40, 160] as const;
/**
 * Chosen so that there is a little less than one cut a second: a link gets its quick retries back at that rate, and
 * with more cuts its delays would grow.
 */
const CALM_MS = [300, 700] as const;

export interface Step {
  /** The pause before the fault. */
  readonly calmMs: number;
  readonly fault: Fault;
}

/** Where a run's faults come from. */
export interface FaultSource {
  /** Undefined: there are no more. */
  take(): Step | undefined;
  /** The first fault that ends connections, of those that are not taken yet; any such fault if there is none. */
  nextEnding(): Fault;
}

export class FaultPlan implements FaultSource {
  readonly #random: () => number;
  #round: FaultKind[] = [];
  #rounds = 0;
  #holes = 0;
  #oneWays = 0;
  /** Steps that are drawn already, and not taken. */
  readonly #ahead: Step[] = [];

  constructor(seed: number) {
    this.#random = seeded(seed);
  }

  take(): Step {
    return this.#ahead.shift() ?? this.#draw();
  }

  /** The first fault that ends connections, of those that are not taken yet. */
  nextEnding(): Fault {
    for (let at = 0; ; at++) {
      const step = this.#ahead[at] ?? this.#draw();
      if (at === this.#ahead.length) this.#ahead.push(step);
      if (endsConnections(step.fault)) return step.fault;
    }
  }

  #draw(): Step {
    if (this.#round.length === 0) this.#round = this.#shuffledRound();
    return { calmMs: this.#between(CALM_MS), fault: this.#fault(this.#round.pop() as FaultKind) };
  }

  /** The last one is taken first. */
  #shuffledRound(): FaultKind[] {
    if (this.#rounds++ === 0) return [...this.#shuffled(SLOW_KINDS), ...this.#shuffled(QUICK_KINDS)];
    const hole = this.#holes++ % 2 === 0 ? "one-way-black-hole" : "black-hole";
    return this.#shuffled([...CUTS, ...CUTS, ...QUICK_KINDS, hole]);
  }

  #shuffled(kinds: readonly FaultKind[]): FaultKind[] {
    const round = [...kinds];
    for (let at = round.length - 1; at > 0; at--) {
      const other = Math.floor(this.#random() * (at + 1));
      [round[at], round[other]] = [round[other] as FaultKind, round[at] as FaultKind];
    }
    return round;
  }

  #fault(kind: FaultKind): Fault {
    const holdMs = this.#between(HOLD_MS);
    switch (kind) {
      case "fin":
      case "rst":
        return { kind };
      case "cut-after-bytes":
        return { kind, bytes: Math.floor(this.#random() * BYTES_MAX) };
      case "black-hole":
      case "stall":
      case "refuse":
        return { kind, holdMs };
      case "one-way-black-hole":
        return { kind, holdMs, direction: this.#oneWays++ % 2 === 0 ? "to-server" : "to-client" };
      case "latency": {
        const delayMs = this.#between(DELAY_MS);
        return { kind, holdMs, delayMs, jitterMs: Math.round(delayMs / 4) };
      }
    }
  }

  #between([least, most]: readonly [number, number]): number {
    return Math.round(least + (most - least) * this.#random());
  }
}

/** Whether the fault ends the connections that are open now. */
export function endsConnections(fault: Fault): boolean {
  return fault.kind !== "stall" && fault.kind !== "latency";
}

/**
 * Whether messages stop, so that there is a recovery to measure. Latency only delays them; a black hole towards the
 * client drops the receiver's ACKs, while messages go on arriving.
 */
export function stopsMessages(fault: Fault): boolean {
  if (fault.kind === "one-way-black-hole") return fault.direction === "to-server";
  return fault.kind !== "latency";
}
