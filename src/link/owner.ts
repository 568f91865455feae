/** The interface from a link to its owner, which is one link of a client's manager or of a server's supervisor. */
import type { ProtocolEvent } from "./protocol.ts";
import type { LinkReport, StateChange, Undelivered } from "./types.ts";
import type { DeliveryCounts } from "./undelivered.ts";

export interface LinkOwner {
  readonly identity: string | undefined;
  readonly claims: unknown;
  readonly openPayload: Buffer;
  /** The server's handler is still running: it may go on sending when the peer has ended to go on elsewhere. */
  readonly isServing: boolean;
  /** Ends a link that was never opened, and answers true if so: then there is no peer to be told. */
  endUnopened(): boolean;
  /** Dials at once. Does nothing on a server, which never dials. */
  retryNow(): void;
  /** Called after every step of the driver. */
  onStepComplete(): void;
  onEvent(event: ProtocolEvent): void;
  onState(change: StateChange): void;
  onUndelivered(reason: Undelivered["reason"], counts: DeliveryCounts): void;
  /** A lost connection was replaced after `recoveryMs`. */
  onRecovered(recoveryMs: number): void;
  /** A handler of the link has thrown `thrown`. `isHeard`: the link's 'error' event has a listener. */
  onHandlerFailed(thrown: unknown, isHeard: boolean): void;
  onEnded(report: LinkReport): void;
}
