/** What both ends of a link are told before they start, and what they tell. */
import type { EvidenceOptions } from "./evidence.ts";
import type { Fault } from "../wire/faults.ts";
import type { RefuseCode, ResetCode } from "../wire/frames.ts";
import type { UndeliveredEntry } from "../log/sender.ts";
import type { SessionLimits } from "./session.ts";

export interface LinkCoreOptions extends SessionLimits {
  /** What may wait to be written for the first time. */
  queue: { maxMessages: number; maxBytes: number };
  /** What is accepted after the turn in which it came is acknowledged within this. */
  ackDelayMs: number;
  keepalive: EvidenceOptions;
}

/** How a link, or its session, came to its end. */
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
  /** Our own: abort(), a handler that threw, a drain that took too long. */
  | "aborted"
  | "handler-failed"
  | "close-timeout"
  | "gave-up";

/** How a link ends whose peer has reset it. */
export const RESET_OUTCOMES: Readonly<Record<ResetCode, Outcome>> = {
  aborted: "peer-aborted",
  "handler-failed": "peer-handler-failed",
  "close-timeout": "peer-close-timeout",
  protocol: "protocol-error",
};

/** No connection came of an attempt of the client's. */
export interface AttemptFailed {
  type: "attempt-failed";
  channel: number;
  /** For people to read. */
  reason: string;
  /** The server's refusal, if that was it, and how long the client is to stay away; 0 if the server has not said. */
  refused: RefuseCode | undefined;
  retryAfterMs: number;
  fault: Fault | undefined;
}

export type LinkCoreEvent =
  | { type: "connected"; channel: number; session: "new" | "resumed"; reason: string }
  | { type: "disconnected"; reason: string; fault: Fault | undefined }
  | { type: "suspect"; reason: string }
  | { type: "recovered" }
  /** The server goes away: the client ends the session, and goes on in another if it can. */
  | { type: "leaving" }
  /** With `last`, though it be empty: what is under way is written, then that, then the connection ends. Without: at once. */
  | { type: "close-connection"; channel: number; last: Buffer[] | undefined; reason: string; fault: Fault | undefined }
  | AttemptFailed
  | {
      type: "replaced";
      reason: "session-lost" | "too-large" | "moved";
      sessionId: string;
      undelivered: UndeliveredEntry[];
      /** For each message that was carried over, by where it ended in the old session: where it ends in the new one. */
      carried: Map<number, number>;
    }
  /** The application is told: final. */
  | { type: "ended"; outcome: Outcome; peerCode: string; undelivered: UndeliveredEntry[]; detail: string }
  /** The session is not needed any more, by anybody. */
  | { type: "gone" };
