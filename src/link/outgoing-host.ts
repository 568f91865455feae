/** The parts of a link that its sending side uses. */
import type { DropHost } from "./drop-reports.ts";
import type { RespliceError } from "./errors.ts";
import type { Clock } from "./ports.ts";

/** The driver of the link. */
export interface OutgoingDriver {
  readonly clock: Clock;
  /** "writes": something was taken, and nothing else has changed. */
  changed(what?: "writes"): void;
  run(): void;
}

export interface OutgoingHost {
  /** Told of messages that a policy of the queue has dropped. */
  readonly reports: DropHost;
  /** The error that calls get once nothing can be sent any more. */
  endedError(): RespliceError;
}
