/** The options and the events of a link's core that are the same at both ends. */
import type { EvidenceOptions } from "./evidence.ts";
import type { Fault } from "../wire/faults.ts";
import type { RefuseCode, ResetCode } from "../wire/frames.ts";
import type { SessionLimits } from "./session.ts";
import type { Undelivered } from "./tickets.ts";

export interface LinkCoreOptions extends SessionLimits {
  /** The most that may wait to be written for the first time. */
  queue: { maxMessages: number; maxBytes: number };
  /** A message that is accepted after the turn in which it came is acknowledged within this time. */
  ackDelayMs: number;
  keepalive: EvidenceOptions;
}

/** How a link, or its session, ended. */
export type Outcome =
  | "closed"
  | "session-lost"
  | "expired"
  | "taken-over"
  | "authentication-refused"
  | "mismatch"
  | "protocol-error"
  | "peer-aborted"
  | "peer-handler-failed"
  | "peer-close-timeout"
  /** This end has reset the link: abort(), a handler that threw, a drain that took too long. */
  | "aborted"
  | "handler-failed"
  | "close-timeout"
  | "gave-up"
  /** The only connection of a link is lost. */
  | "connection-lost";

/** The reason of a connection that the peer has ended in order. */
export const CLOSED_BY_PEER = "closed by the peer";
/** The reason of a connection that has closed without an error, as one does whose two ends have ended it in order. */
export const CLOSED = "closed";

/** The reason of a connection that is lost as the server has asked its client to come back later. */
export const ASKED_AWAY = "asked to come back later";

/** The outcome of a link that the peer has reset. */
export const RESET_OUTCOMES: Readonly<Record<ResetCode, Outcome>> = {
  aborted: "peer-aborted",
  "handler-failed": "peer-handler-failed",
  "close-timeout": "peer-close-timeout",
  protocol: "protocol-error",
};

/** An attempt of the client to connect has failed. */
export interface AttemptFailed {
  type: "attempt-failed";
  channel: number;
  /** For people to read. */
  reason: string;
  /** The server's refusal, if it refused, and how long the client is to stay away; 0 if the server has not said. */
  refused: RefuseCode | undefined;
  retryAfterMs: number;
  fault: Fault | undefined;
}

/**
 * `last` set (even to `[]`): write everything pending, then `last`, then close. Unset: destroy the connection at once.
 * `lingerMs`: the peer may take so long to close after us, if not as long as usual.
 */
export interface CloseConnection {
  type: "close-connection";
  channel: number;
  last: Buffer[] | undefined;
  reason: string;
  fault: Fault | undefined;
  lingerMs?: number | undefined;
}

export type LinkCoreEvent =
  | { type: "connected"; channel: number; session: "new" | "resumed"; reason: string }
  /**
   * `wasUseless`: nothing that was of use has arrived on the connection, so the next dial waits as after an attempt
   * that failed. `restsAddress`: the next dials go to other addresses, if there are any.
   */
  | { type: "disconnected"; reason: string; fault: Fault | undefined; wasUseless?: boolean; restsAddress?: boolean }
  /** The server has asked the client to come back after `retryAfterMs`. Comes after the loss of the connection. */
  | { type: "shed"; retryAfterMs: number }
  | { type: "suspect"; reason: string }
  | { type: "recovered" }
  /**
   * The server goes away: the client ends the session, and goes on in another if it can. `isLast`: it cannot, and the
   * link is to call end(). `reason`: why the link itself is to end, if that is another.
   */
  | { type: "leaving"; isLast?: boolean; reason?: string }
  | CloseConnection
  | AttemptFailed
  | ({ type: "replaced"; reason: "session-lost" | "too-large" | "moved"; sessionId: string } & Undelivered)
  /** The link has ended, and the application is to be told so. It comes once. */
  | ({ type: "ended"; outcome: Outcome; peerCode: string; detail: string } & Undelivered)
  /** Neither end needs the session any more. */
  | { type: "gone" };
