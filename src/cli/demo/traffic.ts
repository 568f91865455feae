/** What goes through the path while it breaks, and what is known of its arrival. */
import type { Direction } from "../../testing/index.ts";
import type { Fault } from "./faults.ts";
import type { Gaps } from "./gaps.ts";
import type { Tally } from "./messages.ts";
import type { Samples } from "./samples.ts";

/** What was counted by the end. */
export interface Ends {
  /** Undefined: the messages are not ours, or an end that had counted them is gone. */
  readonly counted: { readonly sent: number; readonly tally: Tally } | undefined;
  /** Undefined: the end that had noted them is gone. */
  readonly gaps: Gaps | undefined;
  /** Of the traffic of other programs. */
  readonly passed: Passed | undefined;
  /** What went wrong beside what was counted. */
  readonly errors: readonly string[];
}

/** How many bytes have arrived at each end, and over how many connections. */
export interface Passed {
  readonly bytes: Readonly<Record<Direction, number>>;
  readonly connections: number;
}

/** The path tells it what passes. */
export interface Watch {
  /** The server has accepted a connection. */
  connected(): void;
  /** The server could not be dialled. */
  unreachable(error: Error): void;
  passed(direction: Direction, bytes: number): void;
  /** A fault that waits for bytes has ended connections. */
  cut(): void;
  /**
   * A connection is gone whose client had sent so many bytes. Of a path that cannot tell when a fault that waits for bytes
   * has ended connections.
   */
  closed(sent: number): void;
}

/** What the live view shows. */
export interface Live {
  state: string;
  sent: number;
  received: number;
  inFlightBytes: number;
  rttMs: number | undefined;
}

export interface Traffic {
  /** Where the path leads. */
  readonly target: Promise<{ readonly host: string; readonly port: number }>;
  /** The path's own port; 0: any free one. */
  readonly listenPort: number;
  /** Undefined: it sees for itself what arrives. */
  readonly watch: Watch | undefined;
  /** Undefined: a line for each fault is all there is to see. */
  readonly live: Live | undefined;
  /** For people, once the path is open at the port: before anything has arrived. */
  beginning(port: number): Promise<string | undefined>;
  /** Something has to arrive within this time in milliseconds. */
  readonly beginsWithinMs: number;
  readonly samples: Samples;
  /** Rejects when the traffic ends before it was told to. */
  readonly failed: Promise<never>;
  /** Resolves when all that was to be sent is sent. */
  readonly exhausted: Promise<void>;
  /**
   * The path is open at the port. `perSecond`, `messages`: what to send, if that is ours to say. Resolves when the first
   * has arrived.
   */
  begin(port: number, perSecond: number, messages: number | undefined): Promise<void>;
  /** A fault is about to be made. */
  striking(): void;
  /** Whether arrivals stop, so that there is a recovery to measure. */
  isStoppedBy(fault: Fault): boolean;
  /**
   * Answers when the first of what was sent at `sinceMs` or later has arrived. "idle": it has, but nothing was arriving
   * before the fault, and so that is no time of a recovery.
   */
  arrivedSince(sinceMs: number): Promise<number | "idle">;
  /** Resolves when all that was sent until now is known to have arrived. */
  flushed(): Promise<void>;
  /**
   * Answers when connections were first seen to be cut, after so many bytes. To be called before that happens. "idle": so
   * few bytes pass that it need not be waited for.
   */
  lost(bytes: number): Promise<number | "idle">;
  /** Ends the traffic in order, and answers what was counted. */
  finish(): Promise<Ends>;
  /** Ends it at once. May be called again. */
  kill(): void;
}
