/** What a link asks of whom it belongs to: a client's manager or a server's supervisor. */
import type { ProtocolEvent } from "./protocol.ts";
import type { LinkReport, StateChange, Undelivered } from "./types.ts";

export interface LinkOwner {
  readonly identity: string | undefined;
  readonly claims: unknown;
  readonly openPayload: Buffer;
  /** Something is at work that wants to go on sending when the peer has ended to go on elsewhere. */
  readonly isServing: boolean;
  /** Ends a link that was never opened: answers whether nobody has to be told. */
  endUnopened(): boolean;
  /** Dials at once. On a server there is nobody to dial. */
  retryNow(): void;
  /** After every step of the driver. */
  onStepComplete(): void;
  onEvent(event: ProtocolEvent): void;
  onState(change: StateChange): void;
  onUndelivered(event: Undelivered): void;
  /** A handler of the link has thrown this. Answers whether anybody hears of it. */
  onHandlerFailed(thrown: unknown): boolean;
  onEnded(report: LinkReport): void;
}
