/** The interface from a link to its owner, which is one link of a client's manager or of a server's supervisor. */
import type { Journal } from "../telemetry/journal.ts";
import type { LinkIds } from "../telemetry/record.ts";
import type { ProtocolEvent } from "./protocol.ts";
import type { Pace } from "./turn.ts";
import type { StateChange } from "./types.ts";

export interface LinkOwner {
  readonly journal: Journal;
  /** For the records about the link. */
  readonly ids: LinkIds;
  readonly identity: string | undefined;
  readonly claims: unknown;
  readonly openPayload: Buffer;
  /** Limits how many messages the consumer is handed. Only a server has this. */
  readonly pace?: Pace | undefined;
  /** The server's handler is still running: it may go on sending when the peer has ended to go on elsewhere. */
  readonly isServing: boolean;
  /** A promise that `waitUntil()` was given has not settled: it may go on sending whenever the peer has ended. */
  readonly isAtWork: boolean;
  /** Throws INVALID_ARGUMENT. */
  waitUntil(promise: unknown): void;
  /**
   * Ends a link of whose session no server knows, if nothing waits to be sent, and answers true if so: then there is no
   * peer to be told.
   */
  endUnopened(): boolean;
  /** Begins no dial until `retryNow()`. Does nothing on a server, which never dials. */
  hold(): void;
  /** Dials at once. Does nothing on a server, which never dials. */
  retryNow(): void;
  /** Whether waiting for the next dial keeps the process alive. Does nothing on a server, which never dials. */
  holdProcess(isHeld: boolean): void;
  /** Asks the client for its credentials again. Throws NOT_SUPPORTED. Undefined where there are none to ask for. */
  reauthenticate?(): void;
  /** Called after every step of the driver. */
  onStepComplete(): void;
  /** The application has called close(), also of a link that has ended. */
  onCloseCalled(): void;
  onEvent(event: ProtocolEvent): void;
  onState(change: StateChange): void;
  /** Whether `onHandlerFailed()` tells a listener of the application. */
  readonly hearsHandlerErrors: boolean;
  /** A handler of the link has thrown `thrown`. */
  onHandlerFailed(thrown: unknown): void;
  onEnded(): void;
  /**
   * The link has ended, and its peer has until `dueMs` to hear of it. Resolves when nothing is left of the link: no
   * connection, no dial, no timer. A second call can only bring the time forward. Undefined at a server, which keeps
   * the session until the client knows.
   */
  letGo?(dueMs: number): Promise<void>;
}
